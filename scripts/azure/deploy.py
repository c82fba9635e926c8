"""The command scripts/deploy: from a checkout to a running stack and its links, also for the first time."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from scripts.azure.cli import AzureError
from scripts.azure.prerequisites import Deployer, Unprepared, check_region, find_deployer
from scripts.azure.stack import DeployedStack, StackFailed

ROOT: Final = Path(__file__).resolve().parents[2]
#: In the sample stacks: what must be replaced.
_NOBODY: Final = ("00000000-0000-0000-0000-000000000000", "you@example.com")


def main(arguments: Sequence[str] | None = None, *, root: Path = ROOT, smoke: Path = ROOT / "scripts" / "smoke") -> int:
    """Run the command and return its exit code: 0 = the stack runs jobs, 1 = failed."""
    options = _parser().parse_args(arguments)
    try:
        deployer = find_deployer()
        _say(f"deploys as {deployer.name} into {deployer.subscription} ({deployer.subscription_id})")
        stack = DeployedStack(options.stack, root=root, local_state=root / ".local" / "state")
        stack.select()
        _configure(stack, options, deployer)
        stack.up(confirmed=options.yes)
        outputs = stack.outputs()
        _try_out(outputs, smoke)
    except (AzureError, Unprepared, StackFailed) as error:
        print("".join(f"deploy   | {line}\n" for line in str(error).splitlines()), end="", file=sys.stderr)
        return 1
    _show_links(outputs)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/deploy",
        description="Check what a deployment needs, ask what is not known, run pulumi up, run a job on the stack, "
        "print the links. Run it again after each change.",
    )
    parser.add_argument("--stack", default="dev", metavar="NAME", help="the stack to deploy (default: dev)")
    parser.add_argument("--location", metavar="REGION", help="a region's short name, as westeurope")
    parser.add_argument("--email", metavar="ADDRESS", help="who hears of alerts; - for nobody")
    parser.add_argument(
        "--deployer-ip", metavar="ADDRESS", help="your IPv4 address as the internet sees it; - for none"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before changes are made")
    return parser


def _configure(stack: DeployedStack, options: argparse.Namespace, deployer: Deployer) -> None:
    """Settle what the stack does not know yet. What it knows is not asked again."""
    known = stack.config()
    is_new = known.get("queued-jobs:databaseAdminObjectId", _NOBODY[0]) in _NOBODY
    values: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    location = options.location or (not is_new and known.get("azure-native:location")) or ""
    if not location:
        location = _ask("--location", "Region", known.get("azure-native:location") or "westeurope")
    check_region(location)
    if location != known.get("azure-native:location"):
        values["azure-native:location"] = location
    if is_new:
        values |= {
            "queued-jobs:databaseAdminName": deployer.name,
            "queued-jobs:databaseAdminObjectId": deployer.object_id,
            "queued-jobs:databaseAdminType": "User",
            "queued-jobs:workbook": "true",
        }
    address = options.deployer_ip
    if address is None and is_new:
        hint = "Your IPv4 address as the internet sees it, for the database's firewall (- in Azure's own shell)"
        address = _ask("--deployer-ip", hint, "-")
    if address not in (None, "-"):
        values["queued-jobs:deployerIp"] = address
    email = options.email
    if email is None and is_new and not known.get("queued-jobs:alertEmails"):
        email = _ask("--email", "Who hears of alerts (- for nobody)", "-")
    if email not in (None, "-"):
        lists["queued-jobs:alertEmails"] = [email]
    stack.configure(values, lists)


def _ask(option: str, question: str, default: str) -> str:
    if not sys.stdin.isatty():
        raise Unprepared(f"{question}: nobody is there to answer. Give {option}.")
    return input(f"deploy   | {question} [{default}]: ").strip() or default


def _try_out(outputs: dict[str, Any], smoke: Path) -> None:
    if "openUrl" not in outputs and not os.environ.get("SMOKE_TOKEN"):
        _say(f"NO JOB WAS TRIED: people sign in elsewhere. Try SMOKE_TOKEN=... ./scripts/smoke {outputs['siteUrl']}")
        return
    _say("runs a real job on the stack")
    if subprocess.run([str(smoke), outputs.get("openUrl", outputs["siteUrl"])], check=False).returncode != 0:
        raise StackFailed(
            "The stack is up, but a job did not run through it: see above, and docs/how-to/troubleshoot-azure.md."
        )


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
        print("\n  Whoever has one of the first two links gets in.")


def _say(line: str) -> None:
    print(f"deploy   | {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
