"""The prerequisites of a deployment on this machine, in the directory and in the subscription."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.credentials import OTHER_IDENTITIES
from infra.naming import Names
from infra.profiles import Profile
from infra.project import OLDEST_PULUMI, key
from scripts.azure.cli import AzureCli, AzureError

_SERVERS: Final = "Microsoft.DBforPostgreSQL/flexibleServers"
_NAMES_API: Final = "2025-08-01"


class Unprepared(Exception):
    """Prerequisites are missing; the message has one line for each, with the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployer:
    """The account that is signed in with `az login`, and the subscription that it uses unless another is set."""

    name: str
    object_id: str
    subscription_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    id: str
    name: str


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
    return Deployer(name=me["userPrincipalName"], object_id=me["id"], subscription_id=account["id"])


def find_subscription(deployer: Deployer, config: Mapping[str, Any], environment: Mapping[str, str]) -> Subscription:
    """Return the subscription that Pulumi deploys into. Raises `AzureError` if the deployer has no access to it."""
    chosen = config.get("azure-native:subscriptionId") or environment.get("ARM_SUBSCRIPTION_ID")
    account = AzureCli().ask("account", "show", "--subscription", chosen or deployer.subscription_id)
    return Subscription(id=account["id"], name=account["name"])


def check_region(azure: AzureCli, location: str) -> None:
    """Raise `Unprepared` unless the region offers the plan that the function app runs on."""
    offered = {one["name"] for one in azure.ask("functionapp", "list-flexconsumption-locations")}
    if location not in offered:
        raise Unprepared(
            f"Region: {location!r} does not offer the Flex Consumption plan. Use one of {', '.join(sorted(offered))}."
        )


def check_database(azure: AzureCli, location: str, profile: Profile, *, standby: bool) -> None:
    """Raise `Unprepared` unless the region offers this subscription the size of the server, and the standby."""
    offers = azure.ask("postgres", "flexible-server", "list-skus", "--location", location) or []
    sizes = {
        size["name"].lower()
        for offer in offers
        if offer.get("restricted") != "Enabled"
        for edition in offer.get("supportedServerEditions") or []
        for size in edition.get("supportedServerSkus") or []
    }
    if profile.database_size.lower() not in sizes:
        reasons = " ".join(str(offer["reason"]) for offer in offers if offer.get("reason"))
        raise Unprepared(
            f"Region: {location} does not offer this subscription a database of the size {profile.database_size}. "
            f"{reasons} Use another region, or another size in infra/profiles.py, or ask Azure's support for access."
        )
    if standby and all(offer.get("zoneRedundantHaSupported") in ("Disabled", False) for offer in offers):
        raise Unprepared(
            f"Region: {location} does not offer databases with a standby in another zone. "
            f"Use another region, or pulumi config set {key('highAvailability')} false."
        )


def check_names(azure: AzureCli, names: Names, location: str, *, state: str) -> None:
    """Raise `Unprepared` if the names of a stack without resources are taken in Azure."""
    if azure.ask("group", "exists", "--name", names.resource_group):
        raise Unprepared(
            f"The resource group {names.resource_group} exists already, but the state in {state} has no resources: "
            "the stack belongs to another state, such as a colleague's. Use that state (pulumi login URL), or another "
            "name (--stack). If the state is lost, see docs/how-to/troubleshoot-azure.md."
        )
    url = f"https://management.azure.com/subscriptions/{names.subscription_id}/providers/Microsoft.DBforPostgreSQL"
    url += f"/locations/{location}/checkNameAvailability?api-version={_NAMES_API}"
    body = json.dumps({"name": names.of("psql"), "type": _SERVERS})
    answer = azure.ask("rest", "--method", "post", "--url", url, "--body", body)
    if answer.get("nameAvailable") is False:
        raise Unprepared(
            f"Azure still keeps the name {names.of('psql')} of a deleted database server: {answer.get('message')} "
            f"Use other names: pulumi config set {key('generation')} {names.generation + 1}"
        )


def check_admin(azure: AzureCli, config: Mapping[str, Any], deployer: Deployer, environment: Mapping[str, str]) -> None:
    """Raise `Unprepared` unless Pulumi's identity is the database administrator, or is in that group."""
    name, admin = config.get(key("databaseAdminName")), config.get(key("databaseAdminObjectId"))
    kind = config.get(key("databaseAdminType"), "User")
    if other := used_variable(environment):
        if kind == "User":
            raise Unprepared(
                f"{other} is set, so Pulumi signs in as an application, but the database administrator is the user "
                f"{name}. Unset it, or set {key('databaseAdminName')}, {key('databaseAdminObjectId')} and "
                f"{key('databaseAdminType')} to that application, or to a group that it is a member of."
            )
        return
    if kind == "Group":
        member = ("--group", str(admin), "--member-id", deployer.object_id)
        # without the right to read the directory, the database decides
        if (
            azure.succeeds("ad", "group", "show", "--group", str(admin))
            and not azure.ask("ad", "group", "member", "check", *member)["value"]
        ):
            raise Unprepared(
                f"{deployer.name} is not a member of {name}, whose members administer the database. "
                f"Add it: az ad group member add {' '.join(member)}"
            )
    elif admin != deployer.object_id:
        raise Unprepared(
            f"The database administrator is {name}, not {deployer.name}, who is signed in. Deploy as {name}, or make a "
            f"group of both the administrator: {key('databaseAdminName')}, {key('databaseAdminObjectId')}, "
            f"{key('databaseAdminType')} Group."
        )


def used_variable(environment: Mapping[str, str]) -> str | None:
    """Return the variable that lets Pulumi sign in as a different identity than `az login`, if one is set."""
    return next(
        (name for name in OTHER_IDENTITIES if environment.get(name, "").lower() not in ("", "0", "false")), None
    )


def _pulumi_problems() -> list[str]:
    if shutil.which("pulumi") is None:
        return ["Pulumi: pulumi is not on PATH. Install it: https://www.pulumi.com/docs/iac/download-install/"]
    said = subprocess.run(["pulumi", "version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_PULUMI:
        oldest = ".".join(map(str, OLDEST_PULUMI))
        return [f"Pulumi: {said.strip() or 'no version'} is too old. Install v{oldest} or newer."]
    return []
