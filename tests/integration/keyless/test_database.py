"""A Postgres whose only password is the newest token: what an expired one is worth there."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from functools import partial

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from queued_jobs.database import Database
from queued_jobs.errors import StoreUnavailable
from queued_jobs.identity import POSTGRES_SCOPE, Identity, passwordless
from tests.support.entra import Entra

RESOURCE = "https://ossrdbms-aad.database.windows.net"


@pytest.fixture
def address(entra: Entra, jobs_url: str) -> Iterator[str]:
    """The address for a role of this test's own, whose password follows the tokens that Entra gives out."""
    role = sql.Identifier(name := f"app_{secrets.token_hex(4)}")
    parts = conninfo_to_dict(jobs_url)
    with psycopg.connect(jobs_url, autocommit=True) as admin:
        admin.execute(sql.SQL("create role {} login").format(role))

        def follow(resource: str, token: str) -> None:
            if resource == RESOURCE:
                admin.execute(sql.SQL("alter role {} password {}").format(role, sql.Literal(token)))

        entra.on_issue = follow
        yield passwordless(
            host=str(parts["host"]),
            port=str(parts["port"]),
            database=str(parts["dbname"]),
            role=name,
            sslmode="disable",
        )
        admin.execute(sql.SQL("drop role {}").format(role))


@pytest.fixture
async def identity(entra: Entra) -> AsyncIterator[Identity]:
    identity = Identity()
    yield identity
    await identity.close()


async def cut_connections(jobs_url: str) -> None:
    """End all connections of the pool, as their age does in the end, and wait until they have ended."""
    async with await psycopg.AsyncConnection.connect(jobs_url, autocommit=True) as admin:
        await admin.execute(
            "select pg_terminate_backend(pid, 180000) from pg_stat_activity "
            "where datname = current_database() and application_name = 'queued-jobs' "
            "and backend_type = 'client backend'"
        )


async def test_each_new_connection_has_a_token_that_is_still_good(
    address: str, jobs_url: str, entra: Entra, identity: Identity
) -> None:
    before = entra.issued.get(RESOURCE, 0)
    database = Database(address, password=partial(identity.token, POSTGRES_SCOPE))
    entra.life = 0  # so that the next one who asks gets another
    await database.ping()
    used = entra.issued[RESOURCE]
    assert used > before
    await database.ping()
    assert entra.issued[RESOURCE] == used, "a connection is asked for its password once"
    await cut_connections(jobs_url)
    await database.ping()
    assert entra.issued[RESOURCE] > used
    await database.close()


async def test_a_token_serves_many_connections(address: str, entra: Entra, identity: Identity) -> None:
    await identity.token(POSTGRES_SCOPE)
    before = entra.issued[RESOURCE]
    database = Database(address, password=partial(identity.token, POSTGRES_SCOPE))
    async with database.connection(), database.connection(), database.connection():
        await asyncio.gather(*(database.ping() for _ in range(5)))
    assert entra.issued[RESOURCE] == before
    await database.close()


async def test_an_old_token_opens_nothing(address: str, entra: Entra, identity: Identity) -> None:
    entra.life = 0
    first = await identity.token(POSTGRES_SCOPE)
    assert await identity.token(POSTGRES_SCOPE) != first

    async def stale() -> str:
        return first

    database = Database(address, password=stale)
    with pytest.raises(StoreUnavailable):
        await database.ping()
    await database.close()


async def test_without_a_token_the_database_is_away_until_there_is_one(
    address: str, entra: Entra, identity: Identity
) -> None:
    database = Database(address, password=partial(identity.token, POSTGRES_SCOPE))
    entra.refusing = True
    with pytest.raises(StoreUnavailable):
        await database.ping()
    entra.refusing = False
    await database.ping()
    await database.close()


def test_the_server_is_checked_with_authorities_that_libpq_can_read() -> None:
    parts = conninfo_to_dict(passwordless(host="h", port="5432", database="jobs", role="my app", sslmode="verify-full"))
    assert (parts["user"], parts["sslmode"]) == ("my app", "verify-full")
    with open(str(parts["sslrootcert"])) as file:
        assert "BEGIN CERTIFICATE" in file.read()
    assert "password" not in parts
