"""What the function app refuses to start with."""

from __future__ import annotations

import pytest

from settings import Settings, SettingsError

GOOD = {
    "AUTH_MODE": "invite",
    "ENVIRONMENT": "local",
    "INVITE_SECRET": "i" * 43,
    "ADMIN_INVITE_SECRET": "a" * 43,
    "SESSION_SECRET": "s" * 43,
    "DATABASE_URL": "postgresql://u:SECRET@127.0.0.1/d",
    "QueuesConn": "AccountName=devstoreaccount1;AccountKey=SECRET",
    "BlobsConn": "AccountName=devstoreaccount1;AccountKey=SECRET",
    "SIGNALR_CONNECTION": "Endpoint=http://127.0.0.1:8888;AccessKey=SECRET;",
    "SWEEP_SCHEDULE": "*/15 * * * * *",
}
CLOUD = GOOD | {
    "WEBSITE_SITE_NAME": "app",
    "DATABASE_URL": "postgresql://u@db.example/d?sslmode=verify-full",
    "QueuesConn": "AccountName=mine;AccountKey=SECRET",
    "BlobsConn": "AccountName=mine;AccountKey=SECRET",
    "SIGNALR_CONNECTION": "Endpoint=https://x.service.signalr.net;AccessKey=SECRET;",
}


@pytest.mark.parametrize("environment", [GOOD, CLOUD])
def test_what_is_safe_is_taken(environment: dict[str, str]) -> None:
    assert Settings.from_environment(environment).environment == "local"


@pytest.mark.parametrize("name", GOOD)
def test_each_missing_setting_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: is missing"):
        Settings.from_environment({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"AUTH_MODE": "anonymous"}, "AUTH_MODE: 'anonymous' is not known; use invite."),
        ({"AUTH_MODE": "easyauth"}, "AUTH_MODE: 'easyauth' is not known; use invite."),
        ({"ENVIRONMENT": "prod"}, "AUTH_MODE: invite links are for a first look, not for production"),
        ({"INVITE_SECRET": "short"}, "INVITE_SECRET: is shorter than 32 bytes"),
        ({"SESSION_SECRET": "i" * 43}, "ADMIN_INVITE_SECRET: two of the three secrets are equal"),
        ({"DATABASE_URL": "postgres:/u:SECRET;@h/d"}, "DATABASE_URL: is no address of a Postgres"),
        ({"QueuesConn": "SECRET;"}, "QueuesConn: has no AccountName or no AccountKey"),
        ({"BlobsConn": "BlobEndpoint=https://x;SharedAccessSignature=SECRET;"}, "BlobsConn: has no AccountName"),
        ({"SWEEP_SCHEDULE": "every minute"}, "SWEEP_SCHEDULE: 'every minute' has 2 fields"),
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


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({})
    assert len(str(caught.value).splitlines()) == len(GOOD)
