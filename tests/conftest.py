"""Real servers for the tests: started once a session, on free ports, with data that is thrown away."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Iterator

import hypothesis
import psycopg
import pytest

from queued_jobs.schema import migrate
from tests.support.hub import ControlledHub
from tests.support.own_database import own_database
from tools.local_stack.azurite import AzuriteServer
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.stack import Stack, StackOptions
from tools.local_stack.state import State, temporary_folder

pytest_plugins = (
    "tests.plugins.findings",
    "tests.plugins.process_state",
    "tests.plugins.progress",
    "tests.plugins.workers",
)

_database_numbers = itertools.count(1)

# a slow machine is not the fault of an example
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A Postgres server; `url` is the superuser's database. Take `database_url` for a database of your own."""
    with temporary_folder() as folder:
        server = PostgresServer(folder / "postgres", durable=False)
        server.start()
        yield server
        server.stop()
        server.delete_data()


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """The address of an empty database that only this test uses."""
    name = f"test_{next(_database_numbers)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create database {name} strategy file_copy")
    yield postgres.url_of(name)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> str:
    """The name of a database with the library's schema, to copy."""
    name = "migrated"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create database {name} strategy file_copy")
    asyncio.run(migrate(postgres.url_of(name)))
    return name


@pytest.fixture
def jobs_url(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The address of a database with the library's schema and no jobs, which only this test uses."""
    with own_database(postgres, migrated_template) as url:
        yield url


@pytest.fixture(scope="session")
def azurite() -> Iterator[AzuriteServer]:
    """Azurite with its data in memory: `connection_string`, `blob_endpoint`, `queue_endpoint`.

    It is shared: use names of your own. After a `stop()` and `start()` it is empty.
    """
    server = AzuriteServer(None)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def hub() -> Iterator[ControlledHub]:
    """The emulator of Azure SignalR Service: `connection_string`, `endpoint`, `stop()`, `start()`, `control(path)`."""
    server = ControlledHub(secrets.token_urlsafe(48))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The whole system, ready to take jobs; its parts can be stopped, killed and started again (`stack.host.kill()`).

    One a module: a module that breaks parts leaves no harm for others. `guest_url` and `invite` lead to a session.
    """
    with temporary_folder() as folder:
        system = Stack(State(folder), StackOptions(durable=False))
        try:
            system.start()
            yield system
        finally:
            system.stop()
            system.delete_data()
