"""A migrated database for each test, copied from one that was migrated once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import psycopg
import pytest

from queued_jobs import migrate
from scripts.local.postgres import PostgresServer

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> str:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("create database migrated")
    asyncio.run(migrate(postgres.url_of("migrated")))
    return "migrated"


@pytest.fixture
def jobs_url(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The address of a migrated, empty database that only this test uses."""
    name = f"jobs_{next(_numbers)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create database {name} template {migrated_template} strategy file_copy")
    yield postgres.url_of(name)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")
