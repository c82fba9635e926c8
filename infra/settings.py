"""The configuration of a stack, read once and checked before anything is stood up."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import pulumi

from infra.profiles import PROFILES, Profile

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])-01")
_CLAIM = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]*")
_ORIGIN = re.compile(r"https://[a-z0-9.-]+(:\d+)?")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_REHEARSAL_KEYS = {"scmUrl", "postgresHost", "postgresPort", "postgresSslmode"}


class ConfigError(pulumi.RunError):
    """The stack's configuration is incomplete or unsafe; one line for each problem: key, reason, remedy."""


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
        reader = _Reader(config)
        profile = PROFILES[reader.one_of("profile", tuple(PROFILES), default="dev")]
        production = profile.name == "prod"
        location = azure.get("location") or ""
        if not re.fullmatch(r"[a-z0-9]+", location):
            reader.refuse(
                "azure-native:location", f"{location!r} is no region", "set a region's short name, as westeurope"
            )
        oidc = reader.oidc()
        if oidc is None and (production or stack.startswith("prod")):
            reader.refuse("authMode", "invite links are for a first look, not for production", "set authMode oidc")
        private_network = reader.flag("privateNetwork", default=False)
        deployer_ip = reader.address("deployerIp")
        if private_network and deployer_ip:
            reader.refuse(
                "deployerIp", "a private database takes no addresses from outside", "remove it, or privateNetwork"
            )
        rehearsal = reader.rehearsal()
        if production and rehearsal is not None:
            reader.refuse("rehearsal", "it replaces endpoints of Azure, which profile prod is for", "use profile dev")
        settings = cls(
            profile=profile,
            location=location,
            oidc=oidc,
            allowed_origins=reader.origins("allowedOrigins"),
            database_admin=reader.database_admin(),
            deployer_ip=deployer_ip,
            private_network=private_network,
            zone_redundant_database=profile.zone_redundant and reader.flag("highAvailability", default=True),
            protected=profile.protected and reader.flag("deleteProtection", default=True),
            alert_emails=reader.emails("alertEmails", needed=production),
            budget=reader.budget(needed=production),
            workbook=reader.flag("workbook", default=False),
            rehearsal=rehearsal,
        )
        reader.finish()
        return settings


class _Reader:
    """Collects every problem, so that they are mended in one go."""

    def __init__(self, config: pulumi.Config) -> None:
        self._config = config
        self._problems: list[str] = []

    def refuse(self, key: str, reason: str, remedy: str) -> None:
        self._problems.append(f"{key}: {reason}; {remedy}.")

    def finish(self) -> None:
        if self._problems:
            raise ConfigError(
                "The configuration of this stack does not allow a deployment:\n" + "\n".join(self._problems)
            )

    def text(self, key: str) -> str:
        return (self._config.get(key) or "").strip()

    def one_of(self, key: str, choices: tuple[str, ...], *, default: str) -> str:
        value = self.text(key) or default
        if value in choices:
            return value
        self.refuse(key, f"{value!r} is not known", f"use {' or '.join(filter(None, choices))}")
        return default

    def matching(self, key: str, pattern: re.Pattern[str], remedy: str) -> str:
        value = self.text(key)
        if not value:
            self.refuse(key, "is missing", remedy)
        elif not pattern.fullmatch(value):
            self.refuse(key, f"{value!r} is not one", remedy)
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._typed(key, self._config.get_bool, "set true or false")
        return default if value is None else value

    def address(self, key: str) -> str | None:
        value = self.text(key)
        if not value:
            return None
        try:
            ipaddress.IPv4Address(value)
        except ValueError:
            self.refuse(key, f"{value!r} is no IPv4 address", "set the one that the internet sees you with")
        return value

    def oidc(self) -> OidcSettings | None:
        if self.one_of("authMode", ("invite", "oidc"), default="invite") == "invite":
            return None
        issuer = self.text("oidcIssuer")
        parts = urlsplit(issuer)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
            self.refuse("oidcIssuer", f"{issuer!r} is no https address", "copy `issuer` from the provider's metadata")
        return OidcSettings(
            issuer=issuer,
            audience=self.matching("oidcAudience", re.compile(r"\S+"), "set the `aud` of the provider's tokens"),
            client_id=self.matching("oidcClientId", re.compile(r"\S+"), "set the id of the page's registration"),
            roles_claim=self.matching("oidcRolesClaim", _CLAIM, "name the claim with the roles, as roles"),
            scope=self.text("oidcScope"),
            audience_parameter=self.one_of("oidcAudienceParameter", ("", "audience", "resource"), default=""),
        )

    def database_admin(self) -> DatabaseAdmin:
        return DatabaseAdmin(
            name=self.matching(
                "databaseAdminName", re.compile(r"\S.*"), "set the name of the group, user (UPN) or service principal"
            ),
            object_id=self.matching("databaseAdminObjectId", _GUID, "set the object id of that principal in Entra"),
            type=self.one_of("databaseAdminType", ("User", "Group", "ServicePrincipal"), default="User"),
        )

    def emails(self, key: str, *, needed: bool) -> tuple[str, ...]:
        values = self._typed(key, self._config.get_object, 'set a list, as ["ops@example.com"]') or []
        if not isinstance(values, list) or not all(
            isinstance(value, str) and _EMAIL.fullmatch(value) for value in values
        ):
            self.refuse(key, "is no list of mail addresses", 'set one, as ["ops@example.com"]')
            return ()
        if needed and not values:
            self.refuse(key, "nobody would hear of an alert in profile prod", "name at least one mail address")
        return tuple(values)

    def origins(self, key: str) -> tuple[str, ...]:
        remedy = 'set a list of exact origins, as ["https://intranet.example.com"]'
        values = self._typed(key, self._config.get_object, remedy) or []
        if not isinstance(values, list) or not all(isinstance(one, str) and _ORIGIN.fullmatch(one) for one in values):
            self.refuse(key, "is no list of exact https origins, so pages of strangers could call the API", remedy)
            return ()
        return tuple(values)

    def budget(self, *, needed: bool) -> Budget | None:
        amount = self._typed("monthlyBudget", self._config.get_int, "set a whole number") or 0
        if amount < 0:
            self.refuse("monthlyBudget", f"{amount} is negative", "set 0 for no budget")
        if needed and amount == 0:
            self.refuse("monthlyBudget", "nobody would hear of a bill in profile prod", "set an amount")
        if amount <= 0:
            return None
        return Budget(
            amount=amount, start=self.matching("budgetStart", _MONTH, "set the first of this month, YYYY-MM-01")
        )

    def rehearsal(self) -> Rehearsal | None:
        value = self._typed("rehearsal", self._config.get_object, "remove it, except in a rehearsal")
        if value is None:
            return None
        if not isinstance(value, Mapping) or value.keys() != _REHEARSAL_KEYS:
            self.refuse("rehearsal", f"is not an object of {', '.join(sorted(_REHEARSAL_KEYS))}", "remove it")
            return None
        hosts = [urlsplit(str(value["scmUrl"])).hostname, value["postgresHost"]]
        if any(host not in _LOOPBACK for host in hosts) or not str(value["postgresPort"]).isdecimal():
            self.refuse("rehearsal", "names another machine than this one", "use endpoints on 127.0.0.1")
            return None
        return Rehearsal(
            scm_url=str(value["scmUrl"]),
            postgres_host=str(value["postgresHost"]),
            postgres_port=int(value["postgresPort"]),
            postgres_sslmode=str(value["postgresSslmode"]),
        )

    def _typed(self, key: str, read: Callable[[str], Any], remedy: str) -> Any:
        try:
            return read(key)
        except (pulumi.ConfigTypeError, ValueError):
            self.refuse(key, f"{self._config.get(key)!r} has the wrong type", remedy)
            return None
