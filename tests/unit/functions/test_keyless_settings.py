"""The settings of an app without keys: addresses and names, each connection in exactly one of two forms."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from queued_jobs.identity import Keyless
from settings import Settings, SettingsError
from tests.support import link_secrets

CLOUD = {
    "WEBSITE_SITE_NAME": "app",
    "AUTH_MODE": "invite",
    "ENVIRONMENT": "dev",
    **link_secrets.SETTINGS,
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
    ("changes", "name", "code"),
    [
        ({"QueuesConn": "AccountName=mine;AccountKey=SECRET"}, "QueuesConn", "two_forms"),
        ({"BlobsConn": "AccountName=mine;AccountKey=SECRET"}, "BlobsConn", "two_forms"),
        (
            {"SIGNALR_CONNECTION": "Endpoint=https://x;AccessKey=SECRET"},
            "SIGNALR_CONNECTION",
            "two_forms",
        ),
        ({"DATABASE_URL": "postgresql://u:SECRET@h/d?sslmode=verify-full"}, "DATABASE_URL", "two_forms"),
        ({"PGPASSWORD": "SECRET"}, "PGPASSWORD", "password"),
        ({"PGUSER": ""}, "PGUSER", "missing"),
        ({"PGHOST": ""}, "DATABASE_URL", "missing"),
        ({"PGSSLMODE": "require"}, "PGSSLMODE", "unverified_server"),
        ({"PGHOST": "postgresql://u:SECRET@db"}, "PGHOST", "not_a_host"),
        ({"PGHOST": "db sslmode=disable"}, "PGHOST", "not_a_host"),
        ({"PGPORT": "x"}, "PGPORT", "not_a_port"),
        ({"PGPORT": "65536"}, "PGPORT", "not_a_port"),
        ({"PGSSLMODE": "on"}, "PGSSLMODE", "literal_error"),
        ({"QueuesConn__queueServiceUri": "https://"}, "QueuesConn__queueServiceUri", "not_https"),
        ({"BlobsConn__blobServiceUri": "https://["}, "BlobsConn__blobServiceUri", "not_https"),
        ({"BlobsConn__blobServiceUri": "https://u:SECRET@mine.example"}, "BlobsConn__blobServiceUri", "not_https"),
        ({"BlobsConn__blobServiceUri": "https://mine.example?sig=SECRET"}, "BlobsConn__blobServiceUri", "not_https"),
        ({"SIGNALR_ENDPOINT": "http://x.example"}, "SIGNALR_ENDPOINT", "not_https"),
        ({"SIGNALR_ENDPOINT": "https://x.example; script-src *"}, "SIGNALR_ENDPOINT", "not_https"),
        ({"SIGNALR_ENDPOINT": "https://x.example:99999"}, "SIGNALR_ENDPOINT", "not_https"),
        ({"SIGNALR_ENDPOINT": "https://x.example/hub"}, "SIGNALR_ENDPOINT", "not_https"),
        (
            {"QueuesConn__queueServiceUri": "http://mine.queue.core.windows.net"},
            "QueuesConn__queueServiceUri",
            "not_https",
        ),
        ({"BlobsConn__blobServiceUri": ""}, "BlobsConn", "missing"),
        ({"SIGNALR_ENDPOINT": "x.service.signalr.net"}, "SIGNALR_ENDPOINT", "not_https"),
        ({"SIGNALR_ENDPOINT": "http://127.0.0.1:8888"}, "SIGNALR_ENDPOINT", "not_encrypted"),
        (
            {"BlobsConn__blobServiceUri": "https://127.0.0.1:10000/devstoreaccount1"},
            "BlobsConn__blobServiceUri",
            "emulator",
        ),
    ],
)
def test_what_is_unsafe_or_said_twice_is_refused_in_one_line(changes: dict[str, str], name: str, code: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(CLOUD | changes)
    assert [(problem.name, problem.code) for problem in caught.value.problems] == [(name, code)]
    assert "SECRET" not in str(caught.value)


def test_on_a_laptop_what_is_set_for_psql_is_no_second_form() -> None:
    local = {name: value for name, value in CLOUD.items() if name != "WEBSITE_SITE_NAME"}
    settings = Settings.from_environment(local | {"DATABASE_URL": "postgresql://u:p@127.0.0.1/d"})
    assert settings.database_url == "postgresql://u:p@127.0.0.1/d"
    assert settings.database_password is None
