"""What the function app refuses to start with."""

from __future__ import annotations

import hashlib
import traceback

import pytest

from settings import OidcSettings, Settings, SettingsError, setting_names
from tests.support import link_secrets

GOOD = {
    "AUTH_MODE": "invite",
    "ENVIRONMENT": "local",
    **link_secrets.SETTINGS,
    "DATABASE_URL": "postgresql://u:SECRET@127.0.0.1/d",
    "QueuesConn": "AccountName=devstoreaccount1;AccountKey=SECRETED",
    "BlobsConn": "AccountName=devstoreaccount1;AccountKey=SECRETED",
    "SIGNALR_CONNECTION": "Endpoint=http://127.0.0.1:8888;AccessKey=SECRET;",
    "SWEEP_SCHEDULE": "*/15 * * * * *",
}
CLOUD = GOOD | {
    "WEBSITE_SITE_NAME": "app",
    "ENVIRONMENT": "dev",
    "DATABASE_URL": "postgresql://u@db.example/d?sslmode=verify-full",
    "QueuesConn": "AccountName=mine;AccountKey=SECRETED",
    "BlobsConn": "AccountName=mine;AccountKey=SECRETED",
    "SIGNALR_CONNECTION": "Endpoint=https://x.service.signalr.net;AccessKey=SECRET;",
}


#: Long enough, and not random.
GUESSABLE = (
    *("i" * 43, "changeme" * 6, "change-me-please-change-me-please-1234", "CHANGE_ME_9zXq7LwPs4VtRb2NkYc8HdGf"),
    *("ibcdefghjk" * 4, "0123456789abcdef" * 4, "abcdefghijklmnopqrstuvwxyz0123456789", "a1" * 20),
    *("my-super-long-password-of-our-first-site", "zZ9" * 14, "Tr0ub4dor3" * 4),
)
RANDOM = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(4))


@pytest.mark.parametrize("environment", [GOOD, CLOUD])
def test_what_is_safe_is_taken(environment: dict[str, str]) -> None:
    assert Settings.from_environment(environment).environment == environment["ENVIRONMENT"]


@pytest.mark.parametrize("name", GOOD)
def test_each_missing_setting_is_named(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({key: value for key, value in GOOD.items() if key != name})
    assert [(problem.name, problem.code) for problem in caught.value.problems] == [(name, "missing")]


@pytest.mark.parametrize(
    ("changes", "name", "code"),
    [
        ({"AUTH_MODE": "anonymous"}, "AUTH_MODE", "literal_error"),
        ({"AUTH_MODE": "easyauth"}, "AUTH_MODE", "literal_error"),
        ({"DATABASE_POOLER": "session"}, "DATABASE_POOLER", "not_a_pooler"),
        ({"ENVIRONMENT": "prod"}, "AUTH_MODE", "not_for_production"),
        ({"INVITE_SECRET": "short"}, "INVITE_SECRET", "too_short"),
        ({"INVITE_SECRET": f"{link_secrets.SESSION}+/="}, "INVITE_SECRET", "not_for_links"),
        ({"ADMIN_INVITE_SECRET": RANDOM[:201]}, "ADMIN_INVITE_SECRET", "too_long"),
        *(({name: secret}, name, "guessable") for name in link_secrets.SETTINGS for secret in GUESSABLE),
        ({"SESSION_SECRET": link_secrets.INVITE}, "ADMIN_INVITE_SECRET", "equal_secrets"),
        ({"DATABASE_URL": "postgres:/u:SECRET;@h/d"}, "DATABASE_URL", "not_postgres"),
        ({"DATABASE_URL": "postgresql://u:SECRET;@h:99999/d"}, "DATABASE_URL", "not_postgres"),
        ({"DATABASE_URL": "postgresql://u:SECRET;@h/d?sslmode=on"}, "DATABASE_URL", "not_postgres"),
        ({"QueuesConn": "AccountName=mine;AccountKey="}, "QueuesConn", "no_account"),
        ({"QueuesConn": "AccountName=a b;AccountKey=SECRETED;"}, "QueuesConn", "not_an_account"),
        ({"QueuesConn": "AccountName=mine;AccountKey=SECRET;"}, "QueuesConn", "not_a_key"),
        (
            {"BlobsConn": "AccountName=mine;AccountKey=SECRETED;BlobEndpoint=https://["},
            "BlobsConn",
            "not_an_address",
        ),
        ({"QueuesConn": "SECRET;"}, "QueuesConn", "no_account"),
        ({"BlobsConn": "BlobEndpoint=https://x;SharedAccessSignature=SECRET;"}, "BlobsConn", "no_account"),
        ({"SWEEP_SCHEDULE": "every minute"}, "SWEEP_SCHEDULE", "not_a_schedule"),
        ({"MAX_ACTIVE_JOBS": "0"}, "MAX_ACTIVE_JOBS", "not_a_limit"),
        ({"MAX_JOBS_PER_DAY": "many"}, "MAX_JOBS_PER_DAY", "not_a_limit"),
        ({"MAX_WRITES_PER_MINUTE": "-1"}, "MAX_WRITES_PER_MINUTE", "not_a_limit"),
        ({"MAX_WAITING_JOBS": "1e9"}, "MAX_WAITING_JOBS", "not_a_limit"),
        ({"ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS", "not_an_origin"),
        ({"ALLOWED_ORIGINS": "https://*.example"}, "ALLOWED_ORIGINS", "not_an_origin"),
        ({"ALLOWED_ORIGINS": "null"}, "ALLOWED_ORIGINS", "not_an_origin"),
        ({"ALLOWED_ORIGINS": "http://a.example"}, "ALLOWED_ORIGINS", "not_an_origin"),
        ({"ALLOWED_ORIGINS": "https://a.example/x"}, "ALLOWED_ORIGINS", "not_an_origin"),
        ({"ALLOWED_ORIGINS": "https://a.example?x"}, "ALLOWED_ORIGINS", "not_an_origin"),
        ({"ALLOWED_ORIGINS": "https://A.example"}, "ALLOWED_ORIGINS", "not_an_origin"),
        ({"ALLOWED_ORIGINS": "https://a.example:99999"}, "ALLOWED_ORIGINS", "not_an_origin"),
        (
            {"ALLOWED_ORIGINS": "https://u:SECRET@a.example"},
            "ALLOWED_ORIGINS",
            "not_an_origin",
        ),
        ({"SIGNALR_CONNECTION": "Endpoint=http://x"}, "SIGNALR_CONNECTION", "not_signalr"),
    ],
)
def test_what_is_unsafe_is_refused_in_a_line(changes: dict[str, str], name: str, code: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(GOOD | changes)
    assert [(problem.name, problem.code) for problem in caught.value.problems] == [(name, code)]
    assert "SECRET;" not in str(caught.value)


@pytest.mark.parametrize("name", ["DATABASE_URL", "QueuesConn", "BlobsConn", "SIGNALR_CONNECTION"])
def test_emulators_are_refused_in_azure(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        Settings.from_environment(CLOUD | {name: GOOD[name]})


@pytest.mark.parametrize(
    ("changes", "name", "code"),
    [
        ({"ENVIRONMENT": "local"}, "ENVIRONMENT", "local_in_cloud"),
        ({"SESSION_SECRET": "changeme" * 6}, "SESSION_SECRET", "guessable"),
        ({"QueuesConn": "AccountName=mine;AccountKey=SECRETED;QueueEndpoint=http://x"}, "QueuesConn", "not_encrypted"),
        (
            {"BlobsConn": "DefaultEndpointsProtocol=http;AccountName=mine;AccountKey=SECRETED"},
            "BlobsConn",
            "not_encrypted",
        ),
        *(
            ({"DATABASE_URL": f"postgresql://u:{password}@h/d{query}"}, "DATABASE_URL", "unverified_server")
            for password, query in (
                ("SECRET", ""),
                ("SECRET", "?sslmode=disable"),
                ("SECRET", "?sslmode=require"),
                ("SECRET", "?sslmode=verify-full&sslmode=disable"),
                ("SECRET", "?application_name=sslmode%3Dverify-full"),
                ("sslmode=verify-full", ""),
            )
        ),
    ],
)
def test_what_is_unsafe_in_azure_is_refused_in_a_line(changes: dict[str, str], name: str, code: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(CLOUD | changes)
    assert [(problem.name, problem.code) for problem in caught.value.problems] == [(name, code)]
    assert "SECRETED" not in str(caught.value)


OIDC = {name: value for name, value in GOOD.items() if "SECRET" not in name} | {
    "AUTH_MODE": "oidc",
    "ENVIRONMENT": "prod",
    "OIDC_ISSUER": "https://login.example/tenant/v2.0",
    "OIDC_AUDIENCE": "api",
    "OIDC_CLIENT_ID": "page",
}


def test_oidc_is_for_production_too() -> None:
    settings = Settings.from_environment(OIDC | {"OIDC_ISSUER": "https://login.example/tenant/v2.0"})
    assert isinstance(settings.sign_in, OidcSettings)
    assert settings.sign_in.algorithms == ("RS256", "ES256", "EdDSA")
    assert settings.sign_in.origin == "https://login.example"
    local = Settings.from_environment(OIDC | {"OIDC_ISSUER": "http://127.0.0.1:5000", "OIDC_ALGORITHMS": "ES256"})
    assert isinstance(local.sign_in, OidcSettings)
    assert local.sign_in.algorithms == ("ES256",)


@pytest.mark.parametrize(
    ("changes", "name", "code"),
    [
        (
            {"OIDC_ISSUER": "http://login.example"},
            "OIDC_ISSUER",
            "not_https",
        ),
        ({"OIDC_ISSUER": "http://localhost.evil.example"}, "OIDC_ISSUER", "not_https"),
        ({"OIDC_ISSUER": "login.example"}, "OIDC_ISSUER", "not_https"),
        ({"OIDC_ISSUER": "https://[x"}, "OIDC_ISSUER", "not_https"),
        ({"OIDC_ISSUER": "https://u:SECRET@login.example"}, "OIDC_ISSUER", "not_https"),
        ({"OIDC_ISSUER": "https://login.example/?a=b"}, "OIDC_ISSUER", "not_https"),
        ({"OIDC_ISSUER": "https://login.example/#a"}, "OIDC_ISSUER", "not_https"),
        ({"OIDC_ISSUER": "https://login.example; script-src *"}, "OIDC_ISSUER", "not_https"),
        ({"OIDC_ISSUER": "https://login.example:x"}, "OIDC_ISSUER", "not_https"),
        (
            {"OIDC_ISSUER": "https://login.microsoftonline.com/common/v2.0"},
            "OIDC_ISSUER",
            "no_tenant",
        ),
        ({"OIDC_AUDIENCE": "a b"}, "OIDC_AUDIENCE", "not_a_word"),
        ({"OIDC_AUDIENCE": " "}, "OIDC_AUDIENCE", "missing"),
        ({"OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID", "missing"),
        ({"OIDC_ALGORITHMS": "RS256 HS256"}, "OIDC_ALGORITHMS", "unsafe_algorithm"),
        ({"OIDC_ALGORITHMS": "none"}, "OIDC_ALGORITHMS", "unsafe_algorithm"),
        ({"OIDC_AUDIENCE_PARAMETER": "scope"}, "OIDC_AUDIENCE_PARAMETER", "literal_error"),
    ],
)
def test_oidc_that_is_unsafe_is_refused(changes: dict[str, str], name: str, code: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(OIDC | changes)
    assert [(problem.name, problem.code) for problem in caught.value.problems] == [(name, code)]


def test_a_pooler_is_named() -> None:
    assert Settings.from_environment(GOOD | {"DATABASE_POOLER": "transaction"}).transaction_pooler
    assert not Settings.from_environment(GOOD).transaction_pooler


def test_strangers_in_the_cloud_get_less() -> None:
    local, cloud = (Settings.from_environment(GOOD | {"ENVIRONMENT": name}).limits for name in ("local", "dev"))
    assert (local.active, local.per_day, cloud.active, cloud.per_day) == (10, 1_000, 5, 50)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({})
    assert {problem.name for problem in caught.value.problems} == GOOD.keys()
    assert len(str(caught.value).splitlines()) == len(GOOD)


@pytest.mark.parametrize("base", [GOOD, CLOUD, OIDC])
def test_no_secret_is_shown_in_a_refusal_its_trace_or_the_settings(base: dict[str, str]) -> None:
    """Whatever is wrong with one setting, the secrets in it and in all others stay out of what may be logged."""
    canary = "k4n4rY"
    shown = [repr(Settings.from_environment({**base, **_with_canary(base, canary)}))]
    for name in setting_names():
        for value in (canary, f"{canary} x", f"http://u:{canary}@h", f"Endpoint={canary};AccountKey={canary}"):
            if name not in _SHOWN_AS_GIVEN or "u:" in value:
                changes = _with_canary(base, canary) | {name: value}
                try:
                    Settings.from_environment(base | changes)
                except SettingsError as error:
                    shown.append("".join(traceback.format_exception(error)))
    assert not [text for text in shown if canary in text]


#: Are no secrets, so a wrong value is repeated; except what looks like a password in it.
_SHOWN_AS_GIVEN = {
    *("AUTH_MODE", "ENVIRONMENT", "SWEEP_SCHEDULE", "ALLOWED_ORIGINS", "PGHOST", "PGPORT", "PGSSLMODE"),
    *("OIDC_AUDIENCE_PARAMETER",),
    *(name for name in setting_names() if name.startswith("MAX_")),
}


def _with_canary(base: dict[str, str], canary: str) -> dict[str, str]:
    return {name: value.replace("SECRET", canary) for name, value in base.items()} | {
        name: base[name] + canary for name in base if name.endswith("_SECRET")
    }
