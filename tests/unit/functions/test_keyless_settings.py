"""The settings of an app without keys: addresses and names, each connection in exactly one of two forms."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from queued_jobs.identity import Keyless
from settings import Settings, SettingsError

CLOUD = {
    "WEBSITE_SITE_NAME": "app",
    "AUTH_MODE": "invite",
    "ENVIRONMENT": "dev",
    "INVITE_SECRET": "ibcdefghjk" * 4,
    "ADMIN_INVITE_SECRET": "abcdefghjk" * 4,
    "SESSION_SECRET": "sbcdefghjk" * 4,
    "SWEEP_SCHEDULE": "0 * * * * *",
    "QueuesConn__queueServiceUri": "https://mine.queue.core.windows.net/",
    "BlobsConn__blobServiceUri": "https://mine.blob.core.windows.net",
    "SIGNALR_ENDPOINT": "https://x.service.signalr.net/",
    "PGHOST": "db.postgres.database.azure.com",
    "PGDATABASE": "jobs",
    "PGUSER": "my-identity",
}


def test_addresses_alone_are_enough() -> None:
    settings = Settings.from_environment(CLOUD)
    endpoints = [
        connection.endpoint if isinstance(connection, Keyless) else connection
        for connection in (settings.queues, settings.blobs, settings.signalr)
    ]
    assert endpoints == [
        "https://mine.queue.core.windows.net",
        "https://mine.blob.core.windows.net",
        "https://x.service.signalr.net",
    ]
    database = conninfo_to_dict(settings.database_url)
    assert (database["user"], database["dbname"], database["port"]) == ("my-identity", "jobs", "5432")
    assert database["sslmode"] == "verify-full"
    assert "password" not in database
    assert settings.database_password is not None


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"QueuesConn": "AccountName=mine;AccountKey=SECRET"}, "QueuesConn: is set, and so is QueuesConn__queueSer"),
        ({"BlobsConn": "AccountName=mine;AccountKey=SECRET"}, "BlobsConn: is set, and so is BlobsConn__blobServiceUri"),
        (
            {"SIGNALR_CONNECTION": "Endpoint=https://x;AccessKey=SECRET"},
            "SIGNALR_CONNECTION: is set, and so is SIGNALR_ENDPOINT; remove this one, which holds a key.",
        ),
        ({"DATABASE_URL": "postgresql://u:SECRET@h/d?sslmode=verify-full"}, "DATABASE_URL: is set, and so is PGHOST"),
        ({"PGPASSWORD": "SECRET"}, "PGPASSWORD: is a password, and an identity has none; remove it."),
        ({"PGUSER": ""}, "PGUSER: is missing"),
        ({"PGHOST": ""}, "DATABASE_URL: is missing, and so is PGHOST"),
        ({"PGSSLMODE": "require"}, "PGSSLMODE: does not ask for TLS with a checked name; set it to verify-full."),
        ({"PGHOST": "postgresql://u:SECRET@db"}, "PGHOST: 'postgresql://u:***@db' is no host; write its name alone."),
        ({"PGHOST": "db sslmode=disable"}, "PGHOST: 'db sslmode=disable' is no host"),
        ({"PGPORT": "x"}, "PGPORT: 'x' is no port; leave it out for 5432."),
        ({"PGPORT": "65536"}, "PGPORT: '65536' is no port"),
        ({"PGSSLMODE": "on"}, "PGSSLMODE: 'on' is not known; leave it out for verify-full."),
        ({"QueuesConn__queueServiceUri": "https://"}, "QueuesConn__queueServiceUri: is no https address"),
        ({"BlobsConn__blobServiceUri": "https://["}, "BlobsConn__blobServiceUri: is no https address"),
        ({"BlobsConn__blobServiceUri": "https://u:SECRET@mine.example"}, "BlobsConn__blobServiceUri: is no https"),
        ({"BlobsConn__blobServiceUri": "https://mine.example?sig=SECRET"}, "BlobsConn__blobServiceUri: is no https"),
        ({"SIGNALR_ENDPOINT": "http://x.example"}, "SIGNALR_ENDPOINT: is no https address"),
        ({"SIGNALR_ENDPOINT": "https://x.example; script-src *"}, "SIGNALR_ENDPOINT: is no https address"),
        ({"SIGNALR_ENDPOINT": "https://x.example:99999"}, "SIGNALR_ENDPOINT: is no https address"),
        ({"SIGNALR_ENDPOINT": "https://x.example/hub"}, "SIGNALR_ENDPOINT: is no https address"),
        ({"QueuesConn__queueServiceUri": "http://mine.queue.core.windows.net"}, "QueuesConn__queueServiceUri: is no"),
        ({"BlobsConn__blobServiceUri": ""}, "BlobsConn: is missing, and so is BlobsConn__blobServiceUri"),
        ({"SIGNALR_ENDPOINT": "x.service.signalr.net"}, "SIGNALR_ENDPOINT: is no https address"),
        ({"SIGNALR_ENDPOINT": "http://127.0.0.1:8888"}, "SIGNALR_ENDPOINT: is not encrypted"),
        (
            {"BlobsConn__blobServiceUri": "https://127.0.0.1:10000/devstoreaccount1"},
            "BlobsConn__blobServiceUri: names the storage emulator",
        ),
    ],
)
def test_what_is_unsafe_or_said_twice_is_refused_in_one_line(changes: dict[str, str], line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(CLOUD | changes)
    assert str(caught.value).startswith(line)
    assert len(str(caught.value).splitlines()) == 1
    assert "SECRET" not in str(caught.value)


def test_on_a_laptop_what_is_set_for_psql_is_no_second_form() -> None:
    local = {name: value for name, value in CLOUD.items() if name != "WEBSITE_SITE_NAME"}
    settings = Settings.from_environment(local | {"DATABASE_URL": "postgresql://u:p@127.0.0.1/d"})
    assert settings.database_url == "postgresql://u:p@127.0.0.1/d"
    assert settings.database_password is None
