"""The settings of the function app, read from the environment and checked at startup."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from queued_jobs.identity import POSTGRES_SCOPE, Identity, Keyless, passwordless
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.push.signalr import ConnectionString
from queued_jobs.quotas import Limits
from queued_jobs.redact import mask_secrets
from queued_jobs.secret_strength import is_guessable
from queued_jobs.urls import checks_server, is_address, is_conninfo, is_origin, is_port, is_safe, names_no_tenant
from queued_jobs.validation import SettingProblem, SettingsModel, matches, problems_of, rejection, require

#: Without HS256 and none: a shared secret, or no signature, would let others sign.
_ALGORITHMS = ("RS256", "ES256", "EdDSA")
#: Each may be empty if the other form of the same connection is set.
_WITH_KEY = ("DATABASE_URL", "QueuesConn", "BlobsConn", "SIGNALR_CONNECTION")


#: Of an invite, in characters: the API rejects longer ones.
MAX_SECRET = 200


class SettingsError(Exception):
    """The settings are unsafe or incomplete; the message has one line for each problem, with its remedy."""

    def __init__(self, problems: Iterable[SettingProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def _in_cloud(given: Mapping[str, str]) -> bool:
    return "WEBSITE_SITE_NAME" in given


def _in_prod(given: Mapping[str, str]) -> bool:
    return given.get("ENVIRONMENT") == "prod"


def _instead_of(other: str, *, both_locally: bool = False) -> BeforeValidator:
    """Require exactly one of the two forms of a connection: this one holds a key, the other uses an identity."""

    def check(value: str, info: ValidationInfo) -> str:
        given = info.context or {}
        if value and other in given and (_in_cloud(given) or not both_locally):
            raise rejection("two_forms", f"is set, and so is {other}; remove this one, which holds a secret")
        if not value and other not in given:
            raise rejection("missing", f"is missing, and so is {other}; set {other}, which does not need a secret")
        return value

    return BeforeValidator(check)


def _check_schedule(text: str) -> str:
    try:
        Ncrontab(text)
    except ValueError as exc:
        raise rejection(
            "not_a_schedule", f"{mask_secrets(str(exc))}; write six fields, such as */15 * * * * *"
        ) from exc
    return text


def _check_signalr(text: str) -> str:
    try:
        if text:  # else an identity is used
            ConnectionString.parse(text)
    except ValueError as exc:
        raise rejection("not_signalr", f"{str(exc).rstrip('.')}; copy the whole string") from exc
    return text


def _check_storage(text: str) -> str:
    parts = _parts(text)
    if text in ("", "UseDevelopmentStorage=true"):
        return text
    if not parts.get("AccountName") or not parts.get("AccountKey"):
        raise rejection("no_account", "has no AccountName or no AccountKey; copy the whole string")
    if not re.fullmatch("[a-z0-9]+", parts["AccountName"]):
        raise rejection("not_an_account", "has an AccountName that is not a valid account name; copy the whole string")
    if not _is_base64(parts["AccountKey"]):
        raise rejection("not_a_key", "has an incomplete AccountKey; copy the whole string")
    if not all(is_address(there) for part, there in parts.items() if part.endswith("Endpoint")):
        raise rejection("not_an_address", "has an endpoint that is not a valid address; copy the whole string")
    return text


def _check_origins(text: str) -> str:
    for origin in text.split():
        is_lower = origin == origin.lower()  # browsers send lower case
        if not (is_lower and is_origin(origin) and is_safe(origin)):
            reason = f"{mask_secrets(origin)!r} is not exactly one https origin, so foreign pages could call the API"
            raise rejection("not_an_origin", f"{reason}; write origins such as https://intranet.example, or omit it")
    return text


def _parts(connection_string: str) -> dict[str, str]:
    pairs = (part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    return {name.strip(): value.strip() for name, value in pairs}


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False


def _is_encrypted(text: str) -> bool:
    return not any(re.match("http(:|$)", part) for part in (text, *_parts(text).values()))


def _is_no_emulator(text: str) -> bool:
    return "devstoreaccount1" not in text and "UseDevelopmentStorage" not in text


def _names_a_tenant(issuer: str) -> bool:
    return not names_no_tenant(issuer)


_HTTPS = require(is_safe, "not_https", "is not a valid https address; copy it from the service or provider")
_ENCRYPTED = require(_is_encrypted, "not_encrypted", "is not encrypted; use an https address", when=_in_cloud)
_NOT_EMULATOR = require(
    _is_no_emulator, "emulator", "is the storage emulator, whose key is public; use an account", when=_in_cloud
)
_VERIFIED = "unverified_server", "does not require TLS with a verified name; set sslmode verify-full"
_GENERATE = "generate a random one of 43 characters"
_Secret = Annotated[
    str,
    require(lambda text: len(text.encode()) >= 32, "too_short", f"is shorter than 32 bytes; {_GENERATE}"),
    require(lambda text: not is_guessable(text), "guessable", f"can be guessed; {_GENERATE}"),
    Field(repr=False),
]
_LinkSecret = Annotated[
    _Secret,
    require(lambda text: len(text) <= MAX_SECRET, "too_long", f"is longer than {MAX_SECRET} characters; {_GENERATE}"),
    require(
        matches(re.compile("[A-Za-z0-9._~-]+")),
        "not_for_links",
        f"has characters that are not allowed in links; {_GENERATE} from letters, digits, - and _",
    ),
]
_Word = Annotated[
    str, require(matches(re.compile(r"\S+")), "not_a_word", "is more than one word; copy it from the provider")
]
_Limit = Annotated[
    str,
    require(
        matches(re.compile("[1-9][0-9]{0,5}")),
        "not_a_limit",
        "must be a whole number from 1 to 999999, not {value}; omit it to use the default",
    ),
]
_StorageKey = Annotated[str, _NOT_EMULATOR, AfterValidator(_check_storage), _ENCRYPTED]
_StorageAddress = Annotated[
    str,
    _HTTPS,
    require(matches(re.compile("https:.*")), "not_https", "does not use TLS; copy the https address"),
    _NOT_EMULATOR,
]


class InviteSettings(SettingsModel, alias_generator=str.upper):
    """`AUTH_MODE=invite`: one link makes guests, the other makes admins."""

    invite_secret: _LinkSecret
    session_secret: _Secret
    admin_invite_secret: _LinkSecret

    @field_validator("admin_invite_secret")
    @classmethod
    def _check_distinct(cls, secret: str, info: ValidationInfo) -> str:
        if len({secret, *info.data.values()}) <= len(info.data):
            raise rejection("equal_secrets", "two of the three secrets are equal; generate each one separately")
        return secret


class OidcSettings(SettingsModel, alias_generator=lambda name: f"OIDC_{name.upper()}"):
    """`AUTH_MODE=oidc`: users sign in at an OpenID Connect provider, and the app checks its access tokens.

    Attributes
    ----------
    audience_parameter
        Name of the parameter with which the page sends the audience, if the scope does not contain it.
    """

    issuer: Annotated[
        str,
        _HTTPS,
        _ENCRYPTED,
        require(
            _names_a_tenant, "no_tenant", "does not name a tenant, so it matches no token; put the tenant's id into it"
        ),
    ]
    audience: _Word
    client_id: _Word
    roles_claim: str = "roles"
    scope: str = "openid profile offline_access"
    audience_parameter: Literal["", "audience", "resource"] = ""
    algorithms: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda given: given.split() if isinstance(given, str) else given),
        require(
            set(_ALGORITHMS).issuperset,
            "unsafe_algorithm",
            "has an algorithm that is unknown or lets others sign; remove it",
        ),
    ] = _ALGORITHMS

    @property
    def origin(self) -> str:
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"


class _App(SettingsModel, alias_generator=str.upper):
    auth_mode: Annotated[
        Literal["invite", "oidc"],
        require(
            lambda value: value == "oidc",
            "not_for_production",
            "invite links are not for production; set AUTH_MODE=oidc",
            when=_in_prod,
        ),
    ]
    environment: Annotated[
        Literal["local", "dev", "prod"],
        require(
            lambda value: value != "local", "local_in_cloud", "local is for a laptop; use dev or prod", when=_in_cloud
        ),
    ]
    sweep_schedule: Annotated[str, AfterValidator(_check_schedule)]
    allowed_origins: Annotated[str, AfterValidator(_check_origins)] = ""
    database_pooler: Annotated[
        str,
        require(("none", "transaction").__contains__, "not_a_pooler", "is not known; use transaction, or omit it"),
    ] = "none"
    max_active_jobs: _Limit | None = None
    max_jobs_per_day: _Limit | None = None
    max_writes_per_minute: _Limit = "60"
    max_waiting_jobs: _Limit = "10000"

    def limits(self) -> Limits:
        is_open = self.auth_mode == "invite" and self.environment != "local"  # the link may have been passed on
        return Limits(
            active=int(self.max_active_jobs or (5 if is_open else 10)),
            per_day=int(self.max_jobs_per_day or (50 if is_open else 1_000)),
            writes_per_minute=int(self.max_writes_per_minute),
            waiting=int(self.max_waiting_jobs),
        )


class _Services(SettingsModel):
    """Storage and hub, each with a key or an identity."""

    queues: Annotated[_StorageKey, _instead_of("QueuesConn__queueServiceUri")] = Field(alias="QueuesConn")
    queues_address: _StorageAddress = Field("", alias="QueuesConn__queueServiceUri")
    blobs: Annotated[_StorageKey, _instead_of("BlobsConn__blobServiceUri")] = Field(alias="BlobsConn")
    blobs_address: _StorageAddress = Field("", alias="BlobsConn__blobServiceUri")
    signalr: Annotated[str, _instead_of("SIGNALR_ENDPOINT"), AfterValidator(_check_signalr), _ENCRYPTED] = Field(
        alias="SIGNALR_CONNECTION"
    )
    signalr_address: Annotated[
        str,
        AfterValidator(lambda text: text.rstrip("/")),
        _HTTPS,
        require(is_origin, "not_https", "has a path; write https://NAME.service.signalr.net"),
        _ENCRYPTED,
    ] = Field("", alias="SIGNALR_ENDPOINT")


class _PasswordDatabase(SettingsModel):
    url: Annotated[
        str,
        _instead_of("PGHOST", both_locally=True),  # a laptop may have PGHOST set for psql
        require(is_conninfo, "not_postgres", "is not a valid Postgres connection string; write postgresql://..."),
        require(checks_server, *_VERIFIED, when=_in_cloud),
    ] = Field(alias="DATABASE_URL")


class _EntraDatabase(SettingsModel, alias_generator=str.upper):
    """libpq's environment variables, with a token as the password."""

    pghost: Annotated[
        str,
        require(
            matches(re.compile(r"/\S*|[\w.,:-]+")), "not_a_host", "{value} is not a host name; write the name alone"
        ),
    ]
    pgdatabase: str
    pguser: str
    pgport: Annotated[str, require(is_port, "not_a_port", "{value} is not a port; omit it to use 5432")] = "5432"
    pgsslmode: Annotated[
        Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
        require(lambda value: value == "verify-full", *_VERIFIED, when=_in_cloud),
    ] = "verify-full"
    pgpassword: Annotated[
        str, require(lambda value: value == "", "password", "an identity has no password; remove it")
    ] = ""

    @property
    def url(self) -> str:
        return passwordless(
            host=self.pghost, port=self.pgport, database=self.pgdatabase, role=self.pguser, sslmode=self.pgsslmode
        )


def _sign_in_form(given: Mapping[str, str]) -> str:
    return "oidc" if given.get("AUTH_MODE") == "oidc" else "invite"


def _database_form(given: Mapping[str, str]) -> str:
    return "identity" if "PGHOST" in given and not given["DATABASE_URL"] else "password"


class _Environment(BaseModel):
    """Each part reads its own variables from the whole environment."""

    app: _App
    sign_in: Annotated[
        Annotated[InviteSettings, Tag("invite")] | Annotated[OidcSettings, Tag("oidc")], Discriminator(_sign_in_form)
    ]
    database: Annotated[
        Annotated[_PasswordDatabase, Tag("password")] | Annotated[_EntraDatabase, Tag("identity")],
        Discriminator(_database_form),
    ]
    services: _Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the app. If `database_url` has no password, `database_password` returns one per connection."""

    environment: str
    sign_in: InviteSettings | OidcSettings
    limits: Limits
    allowed_origins: tuple[str, ...]
    database_url: str = field(repr=False)
    database_password: Callable[[], Awaitable[str]] | None
    transaction_pooler: bool
    queues: str | Keyless = field(repr=False)
    blobs: str | Keyless = field(repr=False)
    signalr: ConnectionString | Keyless = field(repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read and check all settings. Raises `SettingsError` that lists every problem, never a secret."""
        given = {name: value.strip() for name, value in environment.items() if value.strip()}
        to_read = dict.fromkeys(_WITH_KEY, "") | given
        try:
            read = _Environment.model_validate(dict.fromkeys(_Environment.model_fields, to_read), context=given)
        except ValidationError as exc:  # holds all values, so it must not become the cause
            raise SettingsError(problems_of(exc, missing="set it as docs/reference/settings.md describes")) from None
        identity, services, database = Identity(), read.services, read.database
        keyless = partial(Keyless, identity=identity)
        signalr = ConnectionString.parse(services.signalr) if services.signalr else None
        return cls(
            environment=read.app.environment,
            sign_in=read.sign_in,
            limits=read.app.limits(),
            allowed_origins=tuple(read.app.allowed_origins.split()),
            database_url=database.url,
            database_password=partial(identity.token, POSTGRES_SCOPE) if isinstance(database, _EntraDatabase) else None,
            transaction_pooler=read.app.database_pooler == "transaction",
            queues=services.queues or keyless(endpoint=services.queues_address.rstrip("/")),
            blobs=services.blobs or keyless(endpoint=services.blobs_address.rstrip("/")),
            signalr=signalr or keyless(endpoint=services.signalr_address),
        )


def setting_names() -> set[str]:
    """Return the names of all settings that the app reads."""
    models: list[Any] = [_App, InviteSettings, OidcSettings, _PasswordDatabase, _EntraDatabase, _Services]
    return {str(info.alias) for model in models for info in model.model_fields.values()}
