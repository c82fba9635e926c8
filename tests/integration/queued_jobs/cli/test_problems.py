"""What the command says when it cannot."""

from __future__ import annotations

import re
from uuid import uuid4

import psycopg

from tests.integration.queued_jobs.cli.conftest import Office
from tools.local_stack.postgres import PostgresServer


def test_a_missing_job_and_a_database_that_is_away(office: Office, postgres: PostgresServer) -> None:
    code, _, errors = office.run("show", str(uuid4()))
    assert (code, errors) == (1, "queued-jobs: there is no such job in this database\n")
    for url, words in (
        ("postgresql://ann:hunter2@127.0.0.1:9/jobs", "Connection refused"),
        (postgres.url_of("no_such_database"), 'database "no_such_database" does not exist'),
        (re.sub(":[^:@/]+@", ":hunter2@", office.url), "password authentication failed"),
    ):
        code, _, errors = office.run("list", "--database-url", url)
        assert code == 1
        assert words in errors
        assert errors.count("\n") == 1
        assert "hunter2" not in errors


def test_a_role_without_rights_is_told(office: Office) -> None:
    with psycopg.connect(office.url, autocommit=True) as connection:
        connection.execute("create role reader login password 'reader'")
    try:
        url = re.sub("://[^@]+@", "://reader:reader@", office.url)
        code, _, errors = office.run("list", "--database-url", url)
        assert (code, errors.count("\n")) == (1, 1)
        assert "permission denied" in errors
        assert "--database-url" in errors
    finally:
        with psycopg.connect(office.url, autocommit=True) as connection:
            connection.execute("drop role reader")
