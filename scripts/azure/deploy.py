"""The `scripts/deploy` command: creates or updates a stack from a checkout, and prints its links."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infra.naming import Names
from infra.profiles import DEV, PROFILES
from infra.project import PROJECT, key
from infra.validators import PLACEHOLDER_OBJECT_ID
from scripts.azure.arguments import NONE, email, public_ipv4, region, stack_name
from scripts.azure.cli import AzureCli, AzureError
from scripts.azure.prerequisites import (
    Deployer,
    Subscription,
    Unprepared,
    check_admin,
    check_database,
    check_names,
    check_region,
    find_deployer,
    find_subscription,
    used_variable,
)
from scripts.azure.providers import register_providers
from scripts.azure.stack import DeployedStack, StackFailed

ROOT: Final = Path(__file__).resolve().parents[2]
#: Placeholders of the sample configuration.
_SAMPLES: Final = ("login.example.com", "ops@example.com")


def main(arguments: Sequence[str] | None = None, *, root: Path = ROOT, smoke: Path = ROOT / "scripts" / "smoke") -> int:
    """Run the command and return its exit code: 0 = the stack runs jobs, 1 = failed."""
    options = _parser().parse_args(arguments)
    try:
        deployer = find_deployer()
        stack = DeployedStack(options.stack, root=root, local_state=root / ".local" / "state")
        _say(f"the state of the stack is in {stack.state}")
        stack.select()
        known = stack.config()
        subscription = find_subscription(deployer, known, os.environ)
        variable = used_variable(os.environ)
        who = f"the application that {variable} selects" if variable else deployer.name
        _say(f"deploying as {who} into {subscription.name} ({subscription.id})")
        azure = AzureCli(subscription=subscription.id)
        changes = _find_changes(azure, known, options, deployer, subscription)
        config = {**known, **changes}
        check_admin(azure, config, deployer, os.environ)
        if stack.is_empty():
            _check_new(azure, config, options.stack, subscription, stack.state)
        _store(stack, changes, known)
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
    parser.add_argument(
        "--email",
        type=email,
        action="append",
        metavar="ADDRESS",
        help="a recipient of alerts, which replaces the current ones; repeat it for several; - for none",
    )
    parser.add_argument(
        "--deployer-ip",
        type=public_ipv4,
        metavar="ADDRESS",
        help="your public IPv4 address; - for none",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before changes are made")
    return parser


def _find_changes(
    azure: AzureCli,
    known: Mapping[str, Any],
    options: argparse.Namespace,
    deployer: Deployer,
    subscription: Subscription,
) -> dict[str, str | list[str]]:
    """Ask for missing settings, and return those that differ from the stack's; empty ones are to be removed."""
    is_new = known.get(key("databaseAdminObjectId"), PLACEHOLDER_OBJECT_ID) == PLACEHOLDER_OBJECT_ID
    wanted: dict[str, str | list[str]] = {}
    location = options.location or (not is_new and known.get("azure-native:location")) or ""
    if not location:
        location = _ask("--location", "Region", known.get("azure-native:location") or "westeurope", region)
    check_region(azure, location)
    wanted["azure-native:location"] = location
    if is_new:
        wanted |= {
            # so that the stack stays in it, whatever is selected in the CLI later
            "azure-native:subscriptionId": subscription.id,
            key("databaseAdminName"): deployer.name,
            key("databaseAdminObjectId"): deployer.object_id,
            key("databaseAdminType"): "User",
            key("workbook"): "true",
        }
    address = options.deployer_ip
    if address is None and is_new:
        question = "Your public IPv4 address, for the database's firewall (- in Azure Cloud Shell)"
        address = _ask("--deployer-ip", question, NONE, public_ipv4)
    if address is not None:
        wanted[key("deployerIp")] = "" if address == NONE else address
    recipients = options.email
    if recipients is None and is_new and not known.get(key("alertEmails")):
        recipients = [_ask("--email", "Recipient of alerts (- for none)", NONE, email)]
    if recipients is not None:
        wanted[key("alertEmails")] = [one for one in recipients if one != NONE]
    changes = {name: value for name, value in wanted.items() if (value or None) != (known.get(name) or None)}
    _refuse_samples({**known, **changes})
    return changes


def _check_new(azure: AzureCli, config: Mapping[str, Any], stack: str, subscription: Subscription, state: str) -> None:
    """Register missing resource providers, and check what only Azure knows before it takes minutes to find out."""
    profile = PROFILES.get(config.get(key("profile"), DEV.name), DEV)
    standby = profile.zone_redundant and str(config.get(key("highAvailability"), True)).lower() == "true"
    location = config["azure-native:location"]
    generation = int(config.get(key("generation")) or 1)
    names = Names(project=PROJECT, stack=stack, subscription_id=subscription.id, generation=generation)
    register_providers(azure)  # one that is not registered answers no question
    check_names(azure, names, location, state=state)
    check_database(azure, location, profile, standby=standby)


def _store(stack: DeployedStack, changes: Mapping[str, str | list[str]], known: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        _say(f"{name}: {_shown(known.get(name))} -> {_shown(value)}")
    stack.configure(changes, known)


def _shown(value: Any) -> str:
    return (", ".join(value) if isinstance(value, list) else str(value or "")) or "none"


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
