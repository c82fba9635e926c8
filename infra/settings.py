"""The configuration of a stack, checked before any resource is created."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from pydantic.alias_generators import to_camel

from infra.profiles import PROFILES, Profile
from infra.validators import (
    PLACEHOLDER_OBJECT_ID,
    is_public_ipv4,
    is_region,
    is_reserved,
    is_stack_name,
    why_no_email,
    why_no_origin,
    why_no_tag,
)
from queued_jobs.redact import mask_secrets
from queued_jobs.urls import is_address, is_port, names_no_tenant
from queued_jobs.validation import SettingProblem, SettingsModel, matches, problems_of, rejection, require

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
#: Namespaces of Pulumi itself and of the providers that the program uses.
_OTHER_NAMESPACES: Final = ("azure-native", "pulumi", "random")
#: Defaults as in Pulumi.yaml, for programs that run without it. All other keys may be empty.
_DEFAULTS: Final = {
    "profile": "dev",
    "authMode": "invite",
    "databaseAdminType": "User",
    "alertEmails": "[]",
    "monthlyBudget": "0",
    "generation": "1",
    "highAvailability": "true",
    "deleteProtection": "true",
}


class ConfigError(pulumi.RunError):
    """The configuration of the stack is incomplete or unsafe; the message has one line for each problem."""

    def __init__(self, problems: Iterable[SettingProblem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(map(str, self.problems))
        super().__init__(f"Invalid configuration, this stack cannot be deployed:\n{lines}")


def _is_production(given: Mapping[str, str]) -> bool:
    return given.get("profile") == "prod"


def _is_for_production(given: Mapping[str, str]) -> bool:
    return _is_production(given) or given.get("stack", "").startswith("prod")


def _has_budget(given: Mapping[str, str]) -> bool:
    return _is_positive(given.get("monthlyBudget", ""))


def _is_positive(text: str) -> bool:
    return text.isascii() and text.isdecimal() and text.strip("0") != ""


def _wants_alerts(given: Mapping[str, str]) -> bool:
    return _is_production(given) or _has_budget(given)


def _is_private(given: Mapping[str, str]) -> bool:
    return given.get("privateNetwork", "").lower() == "true"


def _is_https(text: str) -> bool:
    return is_address(text) and text.startswith("https:")


def _is_real(text: str) -> bool:
    """Return whether it is none of the values that the sample stacks begin with."""
    host = urlsplit(text).hostname if "://" in text else text.rpartition("@")[2]
    return text != PLACEHOLDER_OBJECT_ID and not is_reserved(host or "")


def _is_in_azure(given: Mapping[str, str]) -> bool:
    return not given.get("rehearsal")


def _list_of(why_not: Callable[[str], str | None], code: str, what: str, remedy: str) -> BeforeValidator:
    """Parse a JSON list of strings; one message has the problem of each of them."""

    def read(text: str) -> tuple[str, ...]:
        try:
            values = json.loads(text)
        except ValueError:
            values = None
        if not isinstance(values, list):
            raise rejection(code, f"is not a list of {what}; {remedy}")
        reasons = {str(one): why_not(one) if isinstance(one, str) else "is not text" for one in values}
        wrong = ", ".join(f"{mask_secrets(one)!r} {reason}" for one, reason in reasons.items() if reason)
        if wrong:
            raise rejection(code, f"is not a list of {what}: {wrong}; {remedy}")
        return tuple(values)

    return BeforeValidator(read)


def _read_tags(text: str) -> dict[str, str]:
    """Parse a JSON object of texts, within the limits that Azure has for all types of resources."""
    try:
        tags = json.loads(text)
    except ValueError:
        tags = None
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise rejection("not_tags", 'is not an object with strings as values; set one such as {"cost-center": "4711"}')
    reasons = {name: why_no_tag(name, value) for name, value in tags.items()}
    reasons |= {name: "is set by the program" for name in tags if name.lower() in _OWN_TAGS}
    if len(tags) > _MAX_TAGS:
        raise rejection("not_tags", f"has {len(tags)} tags; use {_MAX_TAGS} at most")
    if wrong := ", ".join(f"{mask_secrets(name)!r} {reason}" for name, reason in reasons.items() if reason):
        raise rejection("not_tags", f"has tags that cannot be used: {wrong}; change them")
    return tags


_OWN_TAGS: Final = ("project", "stack", "managed-by")
_MAX_TAGS: Final = 40
_SAMPLE_ADMIN: Final = "{value} is the sample value; set the principal that deploys, or let ./scripts/deploy do it"
_Word = Annotated[
    str, require(matches(re.compile(r"\S+")), "not_a_word", "{value} is not a single word; copy it again")
]
_Flag = Annotated[Literal["true", "false"], BeforeValidator(str.lower)]


class OidcSettings(SettingsModel, alias_generator=lambda name: to_camel(f"oidc_{name}")):
    """Users sign in at an identity provider."""

    issuer: Annotated[
        str,
        require(_is_https, "not_https", "{value} is not a valid https address; copy `issuer` from the metadata"),
        require(
            lambda text: not names_no_tenant(text),
            "no_tenant",
            "{value} does not name a tenant, so it matches no token; put the tenant's id into it",
        ),
        require(_is_real, "sample", "{value} is the sample value; set the issuer of your identity provider"),
    ]
    audience: _Word
    client_id: _Word
    roles_claim: Annotated[
        str,
        require(
            matches(re.compile("[A-Za-z][A-Za-z0-9_.:/-]*")),
            "not_a_claim",
            "{value} is not a claim; use one such as roles",
        ),
    ]
    scope: str = ""
    audience_parameter: Literal["", "audience", "resource"] = ""


class DatabaseAdmin(SettingsModel, alias_generator=lambda name: to_camel(f"database_admin_{name}")):
    """The Entra principal that applies migrations: a group (for several deployers), a user or a service principal."""

    name: Annotated[str, require(_is_real, "sample", _SAMPLE_ADMIN, when=_is_in_azure)]
    object_id: Annotated[
        str,
        require(matches(_GUID), "not_a_guid", "{value} is not an object id; copy it from the principal in Entra"),
        require(_is_real, "sample", _SAMPLE_ADMIN, when=_is_in_azure),
    ]
    type: Literal["User", "Group", "ServicePrincipal"]


class Rehearsal(SettingsModel, alias_generator=to_camel):
    """Local endpoints that replace those in Azure."""

    scm_url: str
    postgres_host: str
    postgres_port: int
    postgres_sslmode: str


def _check_rehearsal(text: str) -> str:
    keys = {str(info.alias) for info in Rehearsal.model_fields.values()}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or value.keys() != keys:
        raise rejection("not_a_rehearsal", f"is not an object with the keys {', '.join(sorted(keys))}; remove it")
    if not _is_here(str(value["scmUrl"])) or value["postgresHost"] not in _LOOPBACK:
        raise rejection("not_here", "does not refer to this machine; use endpoints on 127.0.0.1")
    if not is_port(str(value["postgresPort"])):
        raise rejection("not_a_port", f"{value['postgresPort']!r} is not a port; set postgresPort to a number")
    return text


def _is_here(address: str) -> bool:
    try:
        return urlsplit(address).hostname in _LOOPBACK
    except ValueError:
        return False


class _Keys(SettingsModel, alias_generator=to_camel):
    stack: Annotated[
        str,
        require(
            is_stack_name,
            "not_a_stack_name",
            "{value} cannot be a part of the resources' names; "
            "use at most 40 characters of a-z, 0-9 and single dashes: pulumi stack rename",
        ),
    ]
    location: Annotated[
        str, require(is_region, "not_a_region", "{value} is not a region; set its short name, such as westeurope")
    ] = Field(alias="azure-native:location")
    profile: Literal["dev", "prod"]
    generation: Annotated[
        str,
        require(
            matches(re.compile("[1-9][0-9]{0,5}")),
            "not_a_generation",
            "{value} is not a whole number of at least 1; set one",
        ),
    ]
    auth_mode: Annotated[
        Literal["invite", "oidc"],
        require(
            lambda mode: mode == "oidc",
            "not_for_production",
            "invite links are for a first look, not for production; set authMode oidc",
            when=_is_for_production,
        ),
    ]
    private_network: _Flag = "false"
    high_availability: _Flag  # checked even if the profile does not use it: the profile may change
    delete_protection: _Flag
    workbook: _Flag = "false"
    deployer_ip: Annotated[
        str | None,
        require(is_public_ipv4, "not_public", "{value} is not a public IPv4 address; set your public address, or none"),
        require(
            lambda text: not text,
            "private_network",
            "a private database does not accept addresses from outside; remove it, or privateNetwork",
            when=_is_private,
        ),
    ] = None
    allowed_origins: Annotated[
        tuple[str, ...],
        _list_of(
            why_no_origin,
            "not_origins",
            "exact https origins, so foreign pages could call the API",
            'set a list of exact origins, as ["https://intranet.example.com"]',
        ),
    ] = ()
    tags: Annotated[dict[str, str], BeforeValidator(_read_tags)] = Field(default_factory=dict)
    monthly_budget: Annotated[
        str,
        require(
            matches(re.compile("[0-9]+")),
            "not_an_amount",
            "{value} is not a whole number of at least 0; set 0 for no budget",
        ),
        require(
            _is_positive,
            "no_budget",
            "the prod profile requires a budget, to warn about costs; set an amount",
            when=_is_production,
        ),
    ]
    alert_emails: Annotated[
        tuple[str, ...],
        _list_of(why_no_email, "not_emails", "email addresses", 'set a list, as ["ops@example.com"]'),
        require(
            bool,
            "no_recipient",
            "alerts and budget warnings need a recipient; add at least one email address",
            when=_wants_alerts,
        ),
    ]
    rehearsal: Annotated[
        str | None,
        AfterValidator(_check_rehearsal),
        require(
            lambda text: text is None,
            "not_for_production",
            "it replaces endpoints of Azure, which the prod profile needs; use the dev profile",
            when=_is_production,
        ),
    ] = None


class _Config(BaseModel):
    """Each part reads its own keys from the whole configuration."""

    keys: _Keys
    database_admin: DatabaseAdmin
    oidc: OidcSettings | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """The settings of a stack.

    Attributes
    ----------
    generation
        Part of the globally unique names. It changes only between `pulumi destroy` and `pulumi up`.
    oidc
        None for a stack with invite links.
    monthly_budget
        In the currency of the subscription; 0 for no budget. A warning about costs, which does not stop resources.
    """

    profile: Profile
    generation: int
    location: str
    oidc: OidcSettings | None
    allowed_origins: tuple[str, ...]
    database_admin: DatabaseAdmin
    deployer_ip: str | None
    private_network: bool
    zone_redundant_database: bool
    protected: bool
    alert_emails: tuple[str, ...]
    monthly_budget: int
    tags: Mapping[str, str]
    workbook: bool
    rehearsal: Rehearsal | None

    @classmethod
    def from_config(cls, config: pulumi.Config, azure: pulumi.Config, *, stack: str) -> Self:
        """Read and check all keys of this stack. Raises `ConfigError` that lists every problem."""
        found = {name: (config.get(name) or "").strip() for name in config_keys()}
        given = _DEFAULTS | {name: value for name, value in found.items() if value}
        given |= {"stack": stack, "azure-native:location": azure.get("location") or ""}
        parts: dict[str, Any] = dict.fromkeys(_Config.model_fields, given)
        if given["authMode"] != "oidc":
            parts["oidc"] = None
        unknown = list(_unknown_keys(config))
        try:
            read = _Config.model_validate(parts, context=given)
        except ValidationError as exc:
            missing = "set it; Pulumi.yaml describes every key"
            raise ConfigError([*problems_of(exc, missing=missing), *unknown]) from None
        if unknown:
            raise ConfigError(unknown)
        keys, profile = read.keys, PROFILES[read.keys.profile]
        return cls(
            profile=profile,
            generation=int(keys.generation),
            location=keys.location,
            oidc=read.oidc,
            allowed_origins=keys.allowed_origins,
            database_admin=read.database_admin,
            deployer_ip=keys.deployer_ip,
            private_network=keys.private_network == "true",
            zone_redundant_database=profile.zone_redundant and keys.high_availability == "true",
            protected=profile.protected and keys.delete_protection == "true",
            alert_emails=keys.alert_emails,
            monthly_budget=int(keys.monthly_budget),
            tags=keys.tags,
            workbook=keys.workbook == "true",
            rehearsal=Rehearsal.model_validate_json(keys.rehearsal) if keys.rehearsal else None,
        )


def config_keys() -> set[str]:
    """Return the names of all keys of the project's own namespace that the program reads."""
    models: list[type[BaseModel]] = [_Keys, DatabaseAdmin, OidcSettings]
    names = {str(info.alias) for model in models for info in model.model_fields.values()}
    return names - {"stack", "azure-native:location"}


def _unknown_keys(config: pulumi.Config) -> Iterable[SettingProblem]:
    """Find keys without effect, such as misspelt keys or keys of another project."""
    prefix, known = f"{config.name}:", config_keys()
    everything = {*CONFIG.get(), *get_config_env()}
    for key in sorted(everything):
        namespace, _, name = key.partition(":")
        if namespace == config.name and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            remedy = f"use {close[0]}, if you meant that" if close else "remove it; Pulumi.yaml has all keys"
            yield SettingProblem(name=name, code="unknown_key", message=f"is not known and has no effect; {remedy}")
        elif namespace not in (config.name, *_OTHER_NAMESPACES) and (
            name in known or difflib.get_close_matches(namespace, [config.name])
        ):
            message = f"is not read and has no effect; write it as {prefix}{name}"
            yield SettingProblem(name=key, code="other_namespace", message=message)
