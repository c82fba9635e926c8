"""The prerequisites of a deployment on this machine and in the subscription, reported all at once."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from infra.project import OLDEST_PULUMI
from scripts.azure.cli import AzureCli, AzureError


class Unprepared(Exception):
    """Prerequisites are missing; the message has one line for each, with the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployer:
    """The signed-in account and its subscription."""

    name: str
    object_id: str
    subscription: str
    subscription_id: str


def find_deployer() -> Deployer:
    """Check programs and sign-in, and return the deployer. Raises `Unprepared`."""
    problems = [*_pulumi_problems()]
    account: Any = None
    me: Any = None
    try:
        azure = AzureCli()
        account, me = azure.ask("account", "show"), azure.ask("ad", "signed-in-user", "show")
    except AzureError as error:
        problems.append(f"Azure: {error}")
    if problems:
        raise Unprepared("\n".join(problems))
    return Deployer(
        name=me["userPrincipalName"],
        object_id=me["id"],
        subscription=account["name"],
        subscription_id=account["id"],
    )


def check_region(location: str) -> None:
    """Raise `Unprepared` unless the region offers the plan that the function app runs on."""
    offered = {one["name"] for one in AzureCli().ask("functionapp", "list-flexconsumption-locations")}
    if location not in offered:
        raise Unprepared(f"Region: {location!r} has no Flex Consumption plan. Use one of {', '.join(sorted(offered))}.")


def _pulumi_problems() -> list[str]:
    if shutil.which("pulumi") is None:
        return ["Pulumi: pulumi is not on PATH. Install it: https://www.pulumi.com/docs/iac/download-install/"]
    said = subprocess.run(["pulumi", "version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_PULUMI:
        oldest = ".".join(map(str, OLDEST_PULUMI))
        return [f"Pulumi: {said.strip() or 'no version'} is too old. Install v{oldest} or newer."]
    return []
