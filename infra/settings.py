"""The configuration of a stack, read once and checked before anything is stood up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

import pulumi

from infra.forms import is_region, is_stack_name
from infra.profiles import PROFILES, Profile
from infra.settings_reader import SettingsReader

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MONTH: Final = re.compile(r"20\d\d-(0[1-9]|1[0-2])-01")
_CLAIM: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]*")
_WORD: Final = re.compile(r"\S+")
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_REHEARSAL_KEYS: Final = {"scmUrl", "postgresHost", "postgresPort", "postgresSslmode"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """People sign in at an identity provider."""

    issuer: str
    audience: str
    client_id: str
    roles_claim: str
    scope: str
    audience_parameter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAdmin:
    """The Entra principal that applies migrations: a group (so that several can), a user or a service principal."""

    name: str
    object_id: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A warning about money: it stops nothing.

    Attributes
    ----------
    amount
        A month, in the currency of the subscription.
    start
        The first day of a month; Azure wants the month in which the budget is made.
    """

    amount: int
    start: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """Endpoints on this machine that take the place of those in Azure."""

    scm_url: str
    postgres_host: str
    postgres_port: int
    postgres_sslmode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """What the operator chose. `oidc` is None where people come by invite link."""

    profile: Profile
    location: str
    oidc: OidcSettings | None
    allowed_origins: tuple[str, ...]
    database_admin: DatabaseAdmin
    deployer_ip: str | None
    private_network: bool
    zone_redundant_database: bool
    protected: bool
    alert_emails: tuple[str, ...]
    budget: Budget | None
    workbook: bool
    rehearsal: Rehearsal | None

    @classmethod
    def from_config(cls, config: pulumi.Config, azure: pulumi.Config, *, stack: str) -> Self:
        """Read and check all keys of this stack. Raises `ConfigError` that lists every problem."""
        reader = SettingsReader(config)
        if not is_stack_name(stack):
            reader.refuse(
                "stack",
                f"{stack!r} cannot be a part of the resources' names",
                "name it with at most 40 of a-z, 0-9 and single dashes: pulumi stack rename",
            )
        profile = PROFILES[reader.one_of("profile", tuple(PROFILES), default="dev")]
        production = profile.name == "prod"
        location = azure.get("location") or ""
        if not is_region(location):
            reader.refuse(
                "azure-native:location", f"{location!r} is no region", "set a region's short name, as westeurope"
            )
        mode = reader.one_of("authMode", ("invite", "oidc"), default="invite")
        if mode == "invite" and (production or stack.startswith("prod")):
            reader.refuse("authMode", "invite links are for a first look, not for production", "set authMode oidc")
        private_network = reader.flag("privateNetwork", default=False)
        deployer_ip = reader.address("deployerIp")
        if private_network and deployer_ip:
            reader.refuse(
                "deployerIp", "a private database takes no addresses from outside", "remove it, or privateNetwork"
            )
        rehearsal = _rehearsal(reader)
        if production and rehearsal is not None:
            reader.refuse("rehearsal", "it replaces endpoints of Azure, which profile prod is for", "use profile dev")
        # also where the profile has neither: a wrong value is told before the profile is changed
        standby, protected = (reader.flag(key, default=True) for key in ("highAvailability", "deleteProtection"))
        budget, alert_emails = _budget(reader, needed=production), reader.emails("alertEmails")
        if not alert_emails and (production or budget is not None):
            what = "an alert in profile prod" if production else "the budget"
            reader.refuse("alertEmails", f"nobody would hear of {what}", "name at least one mail address")
        settings = cls(
            profile=profile,
            location=location,
            oidc=_oidc(reader, wanted=mode == "oidc"),
            allowed_origins=reader.origins("allowedOrigins"),
            database_admin=_database_admin(reader),
            deployer_ip=deployer_ip,
            private_network=private_network,
            zone_redundant_database=profile.zone_redundant and standby,
            protected=profile.protected and protected,
            alert_emails=alert_emails,
            budget=budget,
            workbook=reader.flag("workbook", default=False),
            rehearsal=rehearsal,
        )
        reader.finish()
        return settings


def _oidc(reader: SettingsReader, *, wanted: bool) -> OidcSettings | None:
    scope = reader.text("oidcScope")
    parameter = reader.one_of("oidcAudienceParameter", ("", "audience", "resource"), default="")
    if not wanted:
        for key in ("oidcIssuer", "oidcAudience", "oidcClientId", "oidcRolesClaim"):
            reader.text(key)
        return None
    return OidcSettings(
        issuer=reader.issuer("oidcIssuer"),
        audience=reader.matching("oidcAudience", _WORD, "set the `aud` of the provider's access tokens"),
        client_id=reader.matching("oidcClientId", _WORD, "set the id of the page's registration"),
        roles_claim=reader.matching("oidcRolesClaim", _CLAIM, "name the claim with the roles, as roles"),
        scope=scope,
        audience_parameter=parameter,
    )


def _database_admin(reader: SettingsReader) -> DatabaseAdmin:
    return DatabaseAdmin(
        name=reader.matching(
            "databaseAdminName", re.compile(r"\S.*"), "set the name of the group, user (UPN) or service principal"
        ),
        object_id=reader.matching("databaseAdminObjectId", _GUID, "set the object id of that principal in Entra"),
        type=reader.one_of("databaseAdminType", ("User", "Group", "ServicePrincipal"), default="User"),
    )


def _budget(reader: SettingsReader, *, needed: bool) -> Budget | None:
    amount = reader.number("monthlyBudget")
    if amount < 0:
        reader.refuse("monthlyBudget", f"{amount} is negative", "set 0 for no budget")
    if needed and amount == 0:
        reader.refuse("monthlyBudget", "nobody would hear of a bill in profile prod", "set an amount")
    if amount <= 0:
        reader.text("budgetStart")
        return None
    return Budget(
        amount=amount, start=reader.matching("budgetStart", _MONTH, "set the first of this month, YYYY-MM-01")
    )


def _rehearsal(reader: SettingsReader) -> Rehearsal | None:
    value = reader.thing("rehearsal", "remove it, except in a rehearsal")
    if value is None:
        return None
    if not isinstance(value, Mapping) or value.keys() != _REHEARSAL_KEYS:
        reader.refuse("rehearsal", f"is not an object of {', '.join(sorted(_REHEARSAL_KEYS))}", "remove it")
        return None
    if not _is_here(str(value["scmUrl"])) or value["postgresHost"] not in _LOOPBACK:
        reader.refuse("rehearsal", "names another machine than this one", "use endpoints on 127.0.0.1")
        return None
    if not re.fullmatch(r"[1-9]\d{0,4}", str(value["postgresPort"])):
        reader.refuse("rehearsal", f"{value['postgresPort']!r} is no port", "set postgresPort to a number")
        return None
    return Rehearsal(
        scm_url=str(value["scmUrl"]),
        postgres_host=str(value["postgresHost"]),
        postgres_port=int(value["postgresPort"]),
        postgres_sslmode=str(value["postgresSslmode"]),
    )


def _is_here(address: str) -> bool:
    try:
        return urlsplit(address).hostname in _LOOPBACK
    except ValueError:
        return False
