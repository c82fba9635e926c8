"""The `scripts/deploy` command: creates or updates a stack from a checkout, and prints its links."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infra.project import key
from infra.validators import PLACEHOLDER_OBJECT_ID
from scripts.azure.arguments import NONE, email, public_ipv4, region, stack_name
from scripts.azure.cli import AzureError
from scripts.azure.prerequisites import Deployer, Unprepared, check_region, find_deployer
from scripts.azure.stack import DeployedStack, StackFailed

ROOT: Final = Path(__file__).resolve().parents[2]
#: Placeholders of the sample configuration.
_SAMPLES: Final = ("login.example.com", "ops@example.com")


def main(arguments: Sequence[str] | None = None, *, root: Path = ROOT, smoke: Path = ROOT / "scripts" / "smoke") -> int:
    """Run the command and return its exit code: 0 = the stack runs jobs, 1 = failed."""
    options = _parser().parse_args(arguments)
    try:
        deployer = find_deployer()
        _say(f"deploying as {deployer.name} into {deployer.subscription} ({deployer.subscription_id})")
        stack = DeployedStack(options.stack, root=root, local_state=root / ".local" / "state")
        stack.select()
        _configure(stack, options, deployer)
        stack.up(confirmed=options.yes)
        outputs = stack.outputs()
        _try_out(outputs, smoke)
    except (AzureError, Unprepared, StackFailed) as error:
        print("".join(f"deploy   | {line}\n" for line in str(error).splitlines()), end="", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndeploy   | interrupted; running it again is safe", file=sys.stderr)
        return 130
    _show_links(outputs)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/deploy",
        description="Check the prerequisites, ask for missing settings, run pulumi up, run a job on the stack, print "
        "the links. Run it again after each change.",
    )
    parser.add_argument(
        "--stack", type=stack_name, default="dev", metavar="NAME", help="the stack to deploy (default: dev)"
    )
    parser.add_argument("--location", type=region, metavar="REGION", help="a region's short name, such as westeurope")
    parser.add_argument("--email", type=email, metavar="ADDRESS", help="the recipient of alerts; - for none")
    parser.add_argument(
        "--deployer-ip",
        type=public_ipv4,
        metavar="ADDRESS",
        help="your public IPv4 address; - for none",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before changes are made")
    return parser


def _configure(stack: DeployedStack, options: argparse.Namespace, deployer: Deployer) -> None:
    """Ask for missing settings and store them in the stack."""
    known = stack.config()
    is_new = known.get(key("databaseAdminObjectId"), PLACEHOLDER_OBJECT_ID) == PLACEHOLDER_OBJECT_ID
    values: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    location = options.location or (not is_new and known.get("azure-native:location")) or ""
    if not location:
        location = _ask("--location", "Region", known.get("azure-native:location") or "westeurope", region)
    check_region(location)
    if location != known.get("azure-native:location"):
        values["azure-native:location"] = location
    if is_new:
        values |= {
            key("databaseAdminName"): deployer.name,
            key("databaseAdminObjectId"): deployer.object_id,
            key("databaseAdminType"): "User",
            key("workbook"): "true",
        }
    address = options.deployer_ip
    if address is None and is_new:
        question = "Your public IPv4 address, for the database's firewall (- in Azure Cloud Shell)"
        address = _ask("--deployer-ip", question, NONE, public_ipv4)
    if address not in (None, NONE):
        values[key("deployerIp")] = address
    recipient = options.email
    if recipient is None and is_new and not known.get(key("alertEmails")):
        recipient = _ask("--email", "Recipient of alerts (- for none)", NONE, email)
    if recipient not in (None, NONE):
        lists[key("alertEmails")] = [recipient]
    _refuse_samples({name: value for name, value in known.items() if name not in {*values, *lists}})
    stack.configure(values, lists)


def _refuse_samples(config: Mapping[str, Any]) -> None:
    """Raise `Unprepared` if the stack still has placeholders of the sample configuration."""
    found = [
        f"{name}: {sample} is a placeholder; set your own with pulumi config set, or in the stack's file."
        for name, value in config.items()
        for sample in _SAMPLES
        if sample in str(value)
    ]
    if found:
        raise Unprepared("\n".join(found))


def _ask(option: str, question: str, default: str, check: Callable[[str], str]) -> str:
    """Return the answer. Raises `Unprepared` for an invalid one, and without a terminal."""
    if not sys.stdin.isatty():
        raise Unprepared(f"{question}: cannot ask without a terminal. Use {option}.")
    try:
        return check(input(f"deploy   | {question} [{default}]: ").strip() or default)
    except EOFError as error:
        raise Unprepared(f"\n{question}: there was no answer. Use {option}.") from error
    except argparse.ArgumentTypeError as error:
        raise Unprepared(f"{option}: {error}.") from error


def _try_out(outputs: dict[str, Any], smoke: Path) -> None:
    if "openUrl" not in outputs and not os.environ.get("SMOKE_TOKEN"):
        _say(
            "NO JOB WAS RUN: this stack uses an identity provider, so a token is needed. "
            f"Run SMOKE_TOKEN=... ./scripts/smoke {outputs['siteUrl']}"
        )
        return
    _say("running a real job on the stack")
    if subprocess.run([str(smoke), outputs.get("openUrl", outputs["siteUrl"])], check=False).returncode != 0:
        raise StackFailed("The stack is up, but a job on it failed; see above, and docs/how-to/troubleshoot-azure.md.")


def _show_links(outputs: dict[str, Any]) -> None:
    links = {
        "open": outputs.get("openUrl", outputs["siteUrl"]),
        "admins": outputs.get("adminUrl"),
        "portal": outputs["portalUrl"],
    }
    print()
    for name, link in links.items():
        if link:
            print(f"  {name:<8} {link}")
    if "openUrl" in outputs:
        print("\n  The first two links grant access: share them with care.")


def _say(line: str) -> None:
    print(f"deploy   | {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
