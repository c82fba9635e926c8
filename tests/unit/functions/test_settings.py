"""What the function app refuses to start with."""

from __future__ import annotations

import pytest

from settings import OidcSettings, Settings, SettingsError

GOOD = {
    "AUTH_MODE": "invite",
    "ENVIRONMENT": "local",
    "INVITE_SECRET": "i" * 43,
    "ADMIN_INVITE_SECRET": "a" * 43,
    "SESSION_SECRET": "s" * 43,
    "DATABASE_URL": "postgresql://u:SECRET@127.0.0.1/d",
    "QueuesConn": "AccountName=devstoreaccount1;AccountKey=SECRETED",
    "BlobsConn": "AccountName=devstoreaccount1;AccountKey=SECRETED",
    "SIGNALR_CONNECTION": "Endpoint=http://127.0.0.1:8888;AccessKey=SECRET;",
    "SWEEP_SCHEDULE": "*/15 * * * * *",
}
CLOUD = GOOD | {
    "WEBSITE_SITE_NAME": "app",
    "ENVIRONMENT": "dev",
    "INVITE_SECRET": "ibcdefghjk" * 4,
    "ADMIN_INVITE_SECRET": "abcdefghjk" * 4,
    "SESSION_SECRET": "sbcdefghjk" * 4,
    "DATABASE_URL": "postgresql://u@db.example/d?sslmode=verify-full",
    "QueuesConn": "AccountName=mine;AccountKey=SECRETED",
    "BlobsConn": "AccountName=mine;AccountKey=SECRETED",
    "SIGNALR_CONNECTION": "Endpoint=https://x.service.signalr.net;AccessKey=SECRET;",
}


@pytest.mark.parametrize("environment", [GOOD, CLOUD])
def test_what_is_safe_is_taken(environment: dict[str, str]) -> None:
    assert Settings.from_environment(environment).environment == environment["ENVIRONMENT"]


@pytest.mark.parametrize("name", GOOD)
def test_each_missing_setting_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: is missing"):
        Settings.from_environment({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"AUTH_MODE": "anonymous"}, "AUTH_MODE: 'anonymous' is not known; use invite or oidc."),
        ({"AUTH_MODE": "easyauth"}, "AUTH_MODE: 'easyauth' is not known; use invite or oidc."),
        ({"ENVIRONMENT": "prod"}, "AUTH_MODE: invite links are for a first look, not for production"),
        ({"INVITE_SECRET": "short"}, "INVITE_SECRET: is shorter than 32 bytes"),
        ({"SESSION_SECRET": "i" * 43}, "ADMIN_INVITE_SECRET: two of the three secrets are equal"),
        ({"DATABASE_URL": "postgres:/u:SECRET;@h/d"}, "DATABASE_URL: is no address of a Postgres"),
        ({"DATABASE_URL": "postgresql://u:SECRET;@h:99999/d"}, "DATABASE_URL: is no address of a Postgres"),
        ({"DATABASE_URL": "postgresql://u:SECRET;@h/d?sslmode=on"}, "DATABASE_URL: is no address of a Postgres"),
        ({"QueuesConn": "AccountName=mine;AccountKey="}, "QueuesConn: has no AccountName or no AccountKey"),
        ({"QueuesConn": "AccountName=a b;AccountKey=SECRETED;"}, "QueuesConn: has an AccountName that no account has"),
        ({"QueuesConn": "AccountName=mine;AccountKey=SECRET;"}, "QueuesConn: has an AccountKey that is not whole"),
        (
            {"BlobsConn": "AccountName=mine;AccountKey=SECRETED;BlobEndpoint=https://["},
            "BlobsConn: has an endpoint that is no address",
        ),
        ({"QueuesConn": "SECRET;"}, "QueuesConn: has no AccountName or no AccountKey"),
        ({"BlobsConn": "BlobEndpoint=https://x;SharedAccessSignature=SECRET;"}, "BlobsConn: has no AccountName"),
        ({"SWEEP_SCHEDULE": "every minute"}, "SWEEP_SCHEDULE: 'every minute' has 2 fields"),
        ({"MAX_ACTIVE_JOBS": "0"}, "MAX_ACTIVE_JOBS: '0' is no number from 1 to 999999; leave it out for 10."),
        ({"MAX_JOBS_A_DAY": "many"}, "MAX_JOBS_A_DAY: 'many' is no number"),
        ({"MAX_WRITES_A_MINUTE": "-1"}, "MAX_WRITES_A_MINUTE: '-1' is no number"),
        ({"MAX_WAITING_JOBS": "1e9"}, "MAX_WAITING_JOBS: '1e9' is no number"),
        ({"ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS: '*' is not exactly one https origin"),
        ({"ALLOWED_ORIGINS": "https://*.example"}, "ALLOWED_ORIGINS: 'https://*.example' is not exactly one"),
        ({"ALLOWED_ORIGINS": "null"}, "ALLOWED_ORIGINS: 'null' is not exactly one"),
        ({"ALLOWED_ORIGINS": "http://a.example"}, "ALLOWED_ORIGINS: 'http://a.example' is not exactly one"),
        ({"ALLOWED_ORIGINS": "https://a.example/x"}, "ALLOWED_ORIGINS: 'https://a.example/x' is not exactly one"),
        ({"ALLOWED_ORIGINS": "https://a.example?x"}, "ALLOWED_ORIGINS: 'https://a.example?x' is not exactly one"),
        ({"ALLOWED_ORIGINS": "https://A.example"}, "ALLOWED_ORIGINS: 'https://A.example' is not exactly one"),
        ({"ALLOWED_ORIGINS": "https://a.example:99999"}, "ALLOWED_ORIGINS: 'https://a.example:99999' is not exactly"),
        (
            {"ALLOWED_ORIGINS": "https://u:SECRET@a.example"},
            "ALLOWED_ORIGINS: 'https://u:***@a.example' is not exactly",
        ),
        ({"QJ_CRASH_AT": "after-claim"}, "QJ_CRASH_AT: ends the process on purpose, which is for tests"),
        ({"SIGNALR_CONNECTION": "Endpoint=http://x"}, "SIGNALR_CONNECTION: The SignalR connection string has no Acces"),
    ],
)
def test_what_is_unsafe_is_refused_in_a_line(changes: dict[str, str], line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(GOOD | changes)
    assert str(caught.value).startswith(line)
    assert "SECRET;" not in str(caught.value)


@pytest.mark.parametrize("name", ["DATABASE_URL", "QueuesConn", "BlobsConn", "SIGNALR_CONNECTION"])
def test_stand_ins_are_refused_in_azure(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        Settings.from_environment(CLOUD | {name: GOOD[name]})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"ENVIRONMENT": "local"}, "ENVIRONMENT: local is for a laptop, where nobody is a stranger; use dev or prod."),
        ({"SESSION_SECRET": "changeme" * 6}, "SESSION_SECRET: can be guessed; make a random one of 43 characters."),
        ({"QueuesConn": "AccountName=mine;AccountKey=SECRETED;QueueEndpoint=http://x"}, "QueuesConn: is not encrypted"),
        (
            {"BlobsConn": "DefaultEndpointsProtocol=http;AccountName=mine;AccountKey=SECRETED"},
            "BlobsConn: is not encrypted; copy the connection string, which says https.",
        ),
        *(
            ({"DATABASE_URL": f"postgresql://u:{password}@h/d{query}"}, "DATABASE_URL: does not ask for TLS")
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
def test_what_is_unsafe_in_azure_is_refused_in_a_line(changes: dict[str, str], line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(CLOUD | changes)
    assert str(caught.value).startswith(line)
    assert len(str(caught.value).splitlines()) == 1
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
    ("changes", "line"),
    [
        (
            {"OIDC_ISSUER": "http://login.example"},
            "OIDC_ISSUER: is no https address; copy `issuer` from the provider's",
        ),
        ({"OIDC_ISSUER": "http://localhost.evil.example"}, "OIDC_ISSUER: is no https address"),
        ({"OIDC_ISSUER": "login.example"}, "OIDC_ISSUER: is no https address"),
        ({"OIDC_ISSUER": "https://[x"}, "OIDC_ISSUER: is no https address"),
        ({"OIDC_ISSUER": "https://u:SECRET@login.example"}, "OIDC_ISSUER: is no https address"),
        ({"OIDC_ISSUER": "https://login.example/?a=b"}, "OIDC_ISSUER: is no https address"),
        ({"OIDC_ISSUER": "https://login.example/#a"}, "OIDC_ISSUER: is no https address"),
        ({"OIDC_ISSUER": "https://login.example; script-src *"}, "OIDC_ISSUER: is no https address"),
        ({"OIDC_ISSUER": "https://login.example:x"}, "OIDC_ISSUER: is no https address"),
        (
            {"OIDC_ISSUER": "https://login.microsoftonline.com/common/v2.0"},
            "OIDC_ISSUER: names no tenant, and no token has it; put the tenant's id into it.",
        ),
        ({"OIDC_AUDIENCE": "a b"}, "OIDC_AUDIENCE: is more than one word; set one"),
        ({"OIDC_AUDIENCE": " "}, "OIDC_AUDIENCE: is missing"),
        ({"OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID: is missing"),
        ({"OIDC_ALGORITHMS": "RS256 HS256"}, "OIDC_ALGORITHMS: names a way of signing that lets others sign too"),
        ({"OIDC_ALGORITHMS": "none"}, "OIDC_ALGORITHMS: names a way of signing that lets others sign too"),
        ({"OIDC_AUDIENCE_PARAMETER": "scope"}, "OIDC_AUDIENCE_PARAMETER: 'scope' is not known"),
    ],
)
def test_oidc_that_is_unsafe_is_refused(changes: dict[str, str], line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(OIDC | changes)
    assert str(caught.value).startswith(line)


def test_strangers_in_the_cloud_get_less() -> None:
    local, cloud = (Settings.from_environment(GOOD | {"ENVIRONMENT": name}).limits for name in ("local", "dev"))
    assert (local.active, local.a_day, cloud.active, cloud.a_day) == (10, 1_000, 5, 50)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({})
    assert len(str(caught.value).splitlines()) == len(GOOD)
