"""The settings of the function app, read once from the environment and checked before anything starts."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self
from urllib.parse import urlsplit

from queued_jobs.identity import POSTGRES_SCOPE, Identity, Keyless, passwordless
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.push.signalr import ConnectionString
from queued_jobs.quotas import Limits
from queued_jobs.redact import masked
from queued_jobs.urls import (
    TLS_MODES,
    checks_server,
    is_address,
    is_conninfo,
    is_origin,
    is_port,
    is_safe,
    names_no_tenant,
)

_MIN_SECRET_BYTES = 32
#: A random secret of 43 characters has about 30 different ones, and one of 64 hex digits hardly ever fewer than 12.
_MIN_DIFFERENT = 10
_ENVIRONMENTS = ("local", "dev", "prod")
#: A secret that the server shares with whoever checks tokens (HS256), or none at all, would let others sign.
_ALGORITHMS = ("RS256", "ES256", "EdDSA")
#: Published by Microsoft for the emulator, so whoever finds it in the cloud may read and write everything.
_EMULATOR_ACCOUNT = "devstoreaccount1"


class SettingsError(Exception):
    """The settings are unsafe or incomplete; the message has one line for each problem, with its remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteSettings:
    """`AUTH_MODE=invite`: who holds a link is a guest, who holds the other one is an admin."""

    invite_secret: str
    admin_invite_secret: str
    session_secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """`AUTH_MODE=oidc`: people sign in at an OpenID Connect provider, whose access tokens we check."""

    issuer: str
    audience: str
    client_id: str
    roles_claim: str
    scope: str
    #: Under which name the page tells the provider the audience, where the scope does not say it.
    audience_parameter: str
    algorithms: tuple[str, ...]

    @property
    def origin(self) -> str:
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    environment: str
    sign_in: InviteSettings | OidcSettings
    limits: Limits
    allowed_origins: tuple[str, ...]
    database_url: str
    #: Where `database_url` has no password: gives a fresh one for each connection.
    database_password: Callable[[], Awaitable[str]] | None
    queues: str | Keyless
    blobs: str | Keyless
    signalr: ConnectionString | Keyless

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read and check all settings. Raises `SettingsError` that lists every problem, never a secret."""
        reader = _Reader(environment)
        mode = reader.one_of("AUTH_MODE", ("invite", "oidc"))
        name = reader.one_of("ENVIRONMENT", _ENVIRONMENTS)
        sign_in = reader.oidc() if mode == "oidc" else reader.invite(name)
        strangers = mode == "invite" and name != "local"  # whoever got hold of a link of a site in the cloud
        identity = Identity()
        by_password = bool(environment.get("DATABASE_URL", "").strip())
        database_url = reader.database("DATABASE_URL") if by_password else reader.passwordless()
        queues = reader.storage("QueuesConn", "QueuesConn__queueServiceUri", identity)
        blobs = reader.storage("BlobsConn", "BlobsConn__blobServiceUri", identity)
        signalr = reader.signalr("SIGNALR_CONNECTION", "SIGNALR_ENDPOINT", identity)
        if reader.in_cloud:
            reader.check_cloud(name, database_url, by_password, queues, blobs, signalr)
        reader.schedule("SWEEP_SCHEDULE")
        limits = reader.limits(active=5 if strangers else 10, a_day=50 if strangers else 1_000)
        allowed_origins = reader.origins("ALLOWED_ORIGINS")
        reader.no_crashes("QJ_CRASH_AT")
        reader.finish()
        return cls(
            environment=name,
            sign_in=sign_in,
            limits=limits,
            allowed_origins=allowed_origins,
            database_url=database_url,
            database_password=None if by_password else partial(identity.token, POSTGRES_SCOPE),
            queues=queues,
            blobs=blobs,
            signalr=signalr,
        )


class _Reader:
    """Collects every problem, so that they are mended in one go."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.in_cloud = "WEBSITE_SITE_NAME" in environment
        self._problems: list[str] = []

    def refuse(self, name: str, reason: str, remedy: str) -> None:
        self._problems.append(f"{name}: {reason}; {remedy}.")

    def finish(self) -> None:
        if self._problems:
            raise SettingsError("\n".join(self._problems))

    def text(self, name: str) -> str:
        value = self._environment.get(name, "").strip()
        if not value:
            self.refuse(name, "is missing", "set it as docs/reference/settings.md says")
        return value

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name)
        if value and value not in choices:
            self.refuse(name, f"{value!r} is not known", f"use {' or '.join(choices)}")
        return value

    def secret(self, name: str) -> str:
        value = self.text(name)
        if value and len(value.encode()) < _MIN_SECRET_BYTES:
            self.refuse(name, f"is shorter than {_MIN_SECRET_BYTES} bytes", "make a random one of 43 characters")
        elif value and self.in_cloud and len(set(value)) < _MIN_DIFFERENT:
            self.refuse(name, "can be guessed", "make a random one of 43 characters")
        return value

    def word(self, name: str) -> str:
        value = self.text(name)
        if len(value.split()) > 1:
            self.refuse(name, "is more than one word", "set one, as docs/reference/settings.md says")
        return value

    def invite(self, environment: str) -> InviteSettings:
        if environment == "prod":
            self.refuse("AUTH_MODE", "invite links are for a first look, not for production", "set AUTH_MODE=oidc")
        names = ("INVITE_SECRET", "ADMIN_INVITE_SECRET", "SESSION_SECRET")
        secrets = [self.secret(name) for name in names]
        if all(secrets) and len(set(secrets)) < len(secrets):
            self.refuse("ADMIN_INVITE_SECRET", "two of the three secrets are equal", "make each of them anew")
        return InviteSettings(invite_secret=secrets[0], admin_invite_secret=secrets[1], session_secret=secrets[2])

    def oidc(self) -> OidcSettings:
        issuer = self.text("OIDC_ISSUER")
        if issuer and (not is_safe(issuer) or (self.in_cloud and issuer.startswith("http:"))):
            self.refuse("OIDC_ISSUER", "is no https address", "copy `issuer` from the provider's metadata")
        elif names_no_tenant(issuer):
            self.refuse("OIDC_ISSUER", "names no tenant, and no token has it", "put the tenant's id into it")
        algorithms = tuple(self._environment.get("OIDC_ALGORITHMS", "").split()) or _ALGORITHMS
        if not set(algorithms) <= set(_ALGORITHMS):
            reason = "names a way of signing that lets others sign too, or that is not known"
            self.refuse("OIDC_ALGORITHMS", reason, f"use only {', '.join(_ALGORITHMS)}, or leave it out")
        parameter = self._environment.get("OIDC_AUDIENCE_PARAMETER", "").strip()
        if parameter not in ("", "audience", "resource"):
            self.refuse(
                "OIDC_AUDIENCE_PARAMETER", f"{parameter!r} is not known", "use audience or resource, or leave it out"
            )
        return OidcSettings(
            issuer=issuer,
            audience=self.word("OIDC_AUDIENCE"),
            client_id=self.word("OIDC_CLIENT_ID"),
            roles_claim=self._environment.get("OIDC_ROLES_CLAIM", "").strip() or "roles",
            scope=self._environment.get("OIDC_SCOPE", "").strip() or "openid profile offline_access",
            audience_parameter=parameter,
            algorithms=algorithms,
        )

    def limits(self, *, active: int, a_day: int) -> Limits:
        return Limits(
            active=self.number("MAX_ACTIVE_JOBS", active),
            a_day=self.number("MAX_JOBS_A_DAY", a_day),
            writes_a_minute=self.number("MAX_WRITES_A_MINUTE", 60),
            waiting=self.number("MAX_WAITING_JOBS", 10_000),
        )

    def number(self, name: str, default: int) -> int:
        value = self._environment.get(name, "").strip() or str(default)
        if not re.fullmatch("[1-9][0-9]{0,5}", value):
            self.refuse(name, f"{value!r} is no number from 1 to 999999", f"leave it out for {default}")
            return default
        return int(value)

    def origins(self, name: str) -> tuple[str, ...]:
        origins = tuple(self._environment.get(name, "").split())
        for origin in origins:
            small = origin == origin.lower()  # as browsers write it
            if not (small and is_origin(origin) and is_safe(origin)):
                reason = f"{masked(origin)!r} is not exactly one https origin, so pages of strangers could call the API"
                self.refuse(name, reason, "write origins such as https://intranet.example, or leave it out")
        return origins

    def no_crashes(self, name: str) -> None:
        if self._environment.get(name):
            self.refuse(name, "ends the process on purpose, which is for tests of the library alone", "remove it")

    def either(self, with_key: str, by_identity: str) -> tuple[str, str]:
        """Return the two forms of one connection, at most one of them not empty."""
        value, address = (self._environment.get(name, "").strip() for name in (with_key, by_identity))
        if value and address:
            self.refuse(with_key, f"is set, and so is {by_identity}", "remove this one, which holds a key")
            return "", ""
        if not value and not address:
            self.refuse(with_key, f"is missing, and so is {by_identity}", f"set {by_identity}, which needs no key")
        return value, address

    def signalr(self, with_key: str, by_identity: str, identity: Identity) -> ConnectionString | Keyless:
        value, endpoint = self.either(with_key, by_identity)
        endpoint = endpoint.rstrip("/")
        if endpoint and not (is_origin(endpoint) and is_safe(endpoint)):
            self.refuse(by_identity, "is no https address", "write https://NAME.service.signalr.net")
            endpoint = ""
        if value:
            try:
                return ConnectionString.parse(value)
            except ValueError as exc:
                self.refuse(with_key, str(exc).rstrip("."), "copy the whole string")
        return Keyless(endpoint=endpoint, identity=identity)

    def database(self, name: str) -> str:
        value = self.text(name)
        if not is_conninfo(value):
            self.refuse(name, "is no address of a Postgres", "write postgresql://user:password@host:port/database")
            value = ""
        if self.in_cloud and "PGHOST" in self._environment:  # a laptop may have it for psql
            self.refuse(name, "is set, and so is PGHOST", "remove this one, which holds a password")
        return value

    def passwordless(self) -> str:
        """Return the address of a Postgres from the settings that libpq knows, for a token as the password."""
        values = {name: self._environment.get(name, "").strip() for name in ("PGHOST", "PGDATABASE", "PGUSER")}
        if not values["PGHOST"]:
            self.refuse("DATABASE_URL", "is missing, and so is PGHOST", "set PGHOST, PGDATABASE and PGUSER")
            return ""
        for name in ("PGDATABASE", "PGUSER"):
            if not values[name]:
                self.refuse(name, "is missing", "set it beside PGHOST: the database, and the identity's role in it")
        if self._environment.get("PGPASSWORD"):
            self.refuse("PGPASSWORD", "is a password, and an identity has none", "remove it")
        if not re.fullmatch(r"/\S*|[\w.,:-]+", values["PGHOST"]):
            self.refuse("PGHOST", f"{masked(values['PGHOST'])!r} is no host", "write its name alone")
        port = self._environment.get("PGPORT", "").strip() or "5432"
        if not is_port(port):
            self.refuse("PGPORT", f"{port!r} is no port", "leave it out for 5432")
        sslmode = self._environment.get("PGSSLMODE", "").strip() or "verify-full"
        if sslmode not in TLS_MODES:
            self.refuse("PGSSLMODE", f"{sslmode!r} is not known", "leave it out for verify-full")
            sslmode = "verify-full"
        return passwordless(
            host=values["PGHOST"], port=port, database=values["PGDATABASE"], role=values["PGUSER"], sslmode=sslmode
        )

    def storage(self, with_key: str, by_identity: str, identity: Identity) -> str | Keyless:
        value, address = self.either(with_key, by_identity)
        if address:
            if not (is_safe(address) and address.startswith("https:")):  # tokens are never sent in the clear
                self.refuse(by_identity, "is no https address", "copy the service's address from the account")
            return Keyless(endpoint=address.rstrip("/"), identity=identity)
        if not value or value == "UseDevelopmentStorage=true":
            return value
        parts = _parts(value)
        remedy = "copy the whole connection string"
        if not parts.get("AccountName") or not parts.get("AccountKey"):
            self.refuse(with_key, "has no AccountName or no AccountKey", remedy)
        elif not re.fullmatch("[a-z0-9]+", parts["AccountName"]):
            self.refuse(with_key, "has an AccountName that no account has", remedy)
        elif not _is_base64(parts["AccountKey"]):
            self.refuse(with_key, "has an AccountKey that is not whole", remedy)
        elif not all(is_address(there) for part, there in parts.items() if part.endswith("Endpoint")):
            self.refuse(with_key, "has an endpoint that is no address", remedy)
        else:
            return value
        return ""

    def schedule(self, name: str) -> None:
        value = self.text(name)
        try:
            Ncrontab(value or "* * * * * *")
        except ValueError as exc:
            self.refuse(name, str(exc), "write six fields, such as */15 * * * * *")

    def check_cloud(
        self,
        environment: str,
        database_url: str,
        by_password: bool,
        queues: str | Keyless,
        blobs: str | Keyless,
        signalr: ConnectionString | Keyless,
    ) -> None:
        """Refuse in Azure what is meant for a laptop."""
        if environment == "local":
            self.refuse("ENVIRONMENT", "local is for a laptop, where nobody is a stranger", "use dev or prod")
        for name, uri, account in (
            ("QueuesConn", "QueuesConn__queueServiceUri", queues),
            ("BlobsConn", "BlobsConn__blobServiceUri", blobs),
        ):
            name, value = (uri, account.endpoint) if isinstance(account, Keyless) else (name, account)
            if _EMULATOR_ACCOUNT in value or "UseDevelopmentStorage" in value:
                self.refuse(name, "names the storage emulator, whose key everybody knows", "name a storage account")
            elif any(re.match("http(:|$)", part) for part in _parts(value).values()):
                self.refuse(name, "is not encrypted", "copy the connection string, which says https")
        if signalr.endpoint.startswith("http:"):
            name = "SIGNALR_ENDPOINT" if isinstance(signalr, Keyless) else "SIGNALR_CONNECTION"
            self.refuse(name, "is not encrypted", "use the https endpoint of the service")
        if database_url and not checks_server(database_url):
            name, remedy = (
                ("DATABASE_URL", "add sslmode=verify-full") if by_password else ("PGSSLMODE", "set it to verify-full")
            )
            self.refuse(name, "does not ask for TLS with a checked name", remedy)


def _parts(connection_string: str) -> dict[str, str]:
    pairs = (part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    return {name.strip(): value.strip() for name, value in pairs}


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False
