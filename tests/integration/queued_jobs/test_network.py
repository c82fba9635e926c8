"""A network that loses what Postgres and its clients say, and keeps their connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from queued_jobs._deadlines import LONG_STATEMENT_TIME, STALL, Late, deadline
from queued_jobs._pool import Connection
from queued_jobs.database import Database
from queued_jobs.errors import StoreUnavailable
from queued_jobs.postgres import PostgresRepository
from tests.support.waiting import eventually
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.proxy import DEAF, MUTE, SILENT, WELL, Network, Proxy

#: A request is answered within this time, whatever happens to the database.
ANSWER = 5

MAX_SIZE = 4


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    with Proxy(postgres.ports[0]) as proxy:
        yield proxy


@pytest.fixture
def address(proxy: Proxy, jobs_url: str) -> str:
    """The address of the database behind the proxy."""
    return make_conninfo(jobs_url, port=proxy.port)


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    database = Database(address, max_size=MAX_SIZE)
    yield database
    await database.close()


@pytest.fixture
async def direct(jobs_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(jobs_url, autocommit=True) as conn:
        yield conn


@asynccontextmanager
async def table_locked(direct: psycopg.AsyncConnection[Any]) -> AsyncIterator[None]:
    """Hold every statement over jobs in its middle."""
    async with direct.transaction():
        await direct.execute("lock table queued_jobs.job in access exclusive mode")
        yield


async def open_all(database: Database) -> None:
    """Open as many connections as the pool may have."""
    barrier = asyncio.Barrier(MAX_SIZE)

    async def hold() -> None:
        async with database.connection() as conn:
            await barrier.wait()
            await conn.execute("select 1")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(MAX_SIZE):
            tasks.create_task(hold())


async def can_open_all(database: Database) -> bool:
    usable = True
    try:
        await open_all(database)
    except* StoreUnavailable:
        usable = False
    return usable


async def assert_recovered(database: Database, proxy: Proxy, direct: psycopg.AsyncConnection[Any]) -> None:
    """All connections can be used at once, none is wedged, and the server soon has no others."""
    await eventually(lambda: can_open_all(database), "the whole pool is used again")

    async def has_no_others() -> bool:
        cursor = await direct.execute(
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and application_name = 'queued-jobs' "
            "and backend_type = 'client backend'"
        )
        return (proxy.connections, proxy.lost, await cursor.fetchone()) == (MAX_SIZE, 0, (MAX_SIZE,))

    await eventually(has_no_others, "there are as many connections as the pool has")


@pytest.mark.parametrize("network", [SILENT, MUTE], ids=["silent", "mute"])
async def test_bytes_that_are_lost_in_mid_statement_wedge_nothing(
    database: Database, proxy: Proxy, direct: psycopg.AsyncConnection[Any], network: Network
) -> None:
    repository = PostgresRepository(database)
    await open_all(database)
    async with table_locked(direct):
        callers = [asyncio.create_task(repository.queue_ages()) for _ in range(3 * MAX_SIZE)]
        await eventually(lambda: _in_statement(direct, MAX_SIZE), "all connections are in a statement")
        proxy.set(network)
    async with asyncio.timeout(ANSWER):
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    proxy.set(WELL, established=False)
    await assert_recovered(database, proxy, direct)


@pytest.mark.parametrize("network", [SILENT, DEAF, MUTE], ids=["silent", "deaf", "mute"])
async def test_idle_connections_that_fell_silent_are_replaced_before_anybody_gets_one(
    database: Database, proxy: Proxy, direct: psycopg.AsyncConnection[Any], network: Network
) -> None:
    await open_all(database)
    proxy.set(network, new=False)
    async with asyncio.timeout(ANSWER):
        await asyncio.gather(*(database.ping() for _ in range(3 * MAX_SIZE)))
    await assert_recovered(database, proxy, direct)


@pytest.mark.parametrize("from_statement", [b"BEGIN", b"clock_timestamp()", b"COMMIT", b"ROLLBACK"])
async def test_a_transaction_ends_wherever_the_network_falls_silent(
    database: Database, proxy: Proxy, direct: psycopg.AsyncConnection[Any], from_statement: bytes
) -> None:
    await open_all(database)
    proxy.set(Network(silent_from=from_statement), new=False)
    expected = ZeroDivisionError if from_statement == b"ROLLBACK" else StoreUnavailable

    async def transact() -> None:
        async with database.transaction() as conn:
            await database.rows("now", {}, conn=conn)
            if from_statement == b"ROLLBACK":
                raise ZeroDivisionError

    async with asyncio.timeout(ANSWER):
        with pytest.raises(expected):
            await transact()
    proxy.set(WELL)
    await assert_recovered(database, proxy, direct)


async def test_a_statement_of_a_caller_on_a_lent_connection_ends(
    database: Database, proxy: Proxy, direct: psycopg.AsyncConnection[Any]
) -> None:
    async with asyncio.timeout(ANSWER), database.connection() as conn:
        assert isinstance(conn, Connection)
        assert conn.limit == LONG_STATEMENT_TIME
        conn.limit = timedelta(seconds=1)
        proxy.set(SILENT, new=False)
        with pytest.raises(psycopg.OperationalError):
            await conn.execute("select 1")
        assert conn.closed
    await assert_recovered(database, proxy, direct)


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["late", "cancelled"])
async def test_the_server_ends_what_is_given_up_and_the_connection_is_not_used_again(
    database: Database, proxy: Proxy, direct: psycopg.AsyncConnection[Any], is_cancelled: bool
) -> None:
    """For the request may arrive late, and would end the statement of the next user."""
    await open_all(database)
    async with database.connection() as conn:
        assert isinstance(conn, Connection)
        await conn.execute("set statement_timeout = 0")
        if not is_cancelled:
            conn.limit = timedelta(seconds=0.1)
        caller = asyncio.create_task(conn.execute("select pg_sleep(3600)"))
        if is_cancelled:
            await eventually(lambda: _asleep(direct, 1), "it is in a statement")
            caller.cancel()
        with pytest.raises(asyncio.CancelledError if is_cancelled else psycopg.OperationalError):
            await caller
        assert conn.closed
    await eventually(lambda: _asleep(direct, 0), "nobody sleeps")
    await assert_recovered(database, proxy, direct)


async def test_a_connection_whose_answer_came_at_the_last_moment_is_not_used_again(
    database: Database, proxy: Proxy, direct: psycopg.AsyncConnection[Any]
) -> None:
    await open_all(database)
    async with database.connection() as conn:
        with deadline(conn, timedelta(0)):
            await asyncio.sleep(2 * STALL.total_seconds())  # timers ring in the order of their times
        assert conn.closed
    await assert_recovered(database, proxy, direct)


async def run_late(conn: psycopg.AsyncConnection[Any], statement: str) -> None:
    """Let the answer of a statement come at the last moment."""
    with deadline(conn, timedelta(0)):
        await conn.execute(statement)
        await asyncio.sleep(2 * STALL.total_seconds())  # timers ring in the order of their times


async def run_although_it_fails(conn: psycopg.AsyncConnection[Any], statement: str) -> None:
    with contextlib.suppress(psycopg.Error):
        await conn.execute(statement)


class TestTransactionsThatAreLost:
    """The end of the block raises; psycopg itself ends it as if it had committed."""

    async def test_with_an_answer_that_came_at_the_last_moment(self, database: Database) -> None:
        with pytest.raises(StoreUnavailable):
            async with database.transaction() as conn:
                await run_late(conn, "select 1")

    async def test_on_a_connection_of_the_callers_own(self, address: str) -> None:
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as conn:
            with pytest.raises(Late):
                async with conn.transaction():
                    await run_late(conn, "select 1")

    async def test_although_the_block_has_caught_the_error(self, database: Database) -> None:
        with pytest.raises(StoreUnavailable):
            async with database.transaction() as conn:
                await run_although_it_fails(conn, "select pg_terminate_backend(pg_backend_pid())")

    async def test_although_the_block_has_caught_a_refusal(self, database: Database) -> None:
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            async with database.transaction() as conn:
                await run_although_it_fails(conn, "select 1 / 0")

    async def test_unless_the_answer_to_the_commit_has_come(self, direct: psycopg.AsyncConnection[Any]) -> None:
        await direct.execute("begin")
        await run_late(direct, "commit")
        assert direct.closed


async def test_a_statement_on_a_connection_of_the_callers_own_ends(
    database: Database, proxy: Proxy, address: str
) -> None:
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as conn:
        proxy.set(SILENT)
        async with asyncio.timeout(ANSWER):
            with pytest.raises(psycopg.OperationalError):
                await database.rows("now", {}, conn=conn)
        assert conn.closed


async def test_a_network_that_swallows_all_connections_is_told_and_got_over(
    database: Database, proxy: Proxy, direct: psycopg.AsyncConnection[Any]
) -> None:
    proxy.set(SILENT)
    for _ in range(2):
        async with asyncio.timeout(ANSWER):
            outcomes = await asyncio.gather(*(database.ping() for _ in range(6)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    proxy.set(WELL, established=False)
    await assert_recovered(database, proxy, direct)


async def test_a_caller_that_is_cancelled_does_not_wait_for_a_silent_network(
    database: Database, proxy: Proxy, direct: psycopg.AsyncConnection[Any]
) -> None:
    await open_all(database)
    async with table_locked(direct), database.connection() as conn:
        assert isinstance(conn, Connection)
        conn.limit = timedelta(hours=1)
        caller = asyncio.create_task(conn.execute("select count(*) from queued_jobs.job"))
        await eventually(lambda: _in_statement(direct, 1), "it is in a statement")
        proxy.set(SILENT)
        caller.cancel()
        async with asyncio.timeout(ANSWER):
            with pytest.raises(asyncio.CancelledError):
                await caller
    proxy.set(WELL, established=False)
    await assert_recovered(database, proxy, direct)


async def test_a_pool_is_closed_though_nobody_answers(database: Database, proxy: Proxy) -> None:
    await open_all(database)
    proxy.set(SILENT)
    callers = [asyncio.create_task(database.ping()) for _ in range(2 * MAX_SIZE)]
    await eventually(lambda: _has_lost(proxy, MAX_SIZE), "all connections are silent")
    async with asyncio.timeout(2 * ANSWER):
        await database.close()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    await eventually(lambda: _has_lost(proxy, 0), "no connection is left")


async def test_a_lock_that_is_held_too_long_costs_no_connection(
    database: Database, proxy: Proxy, direct: psycopg.AsyncConnection[Any]
) -> None:
    await open_all(database)
    async with table_locked(direct), asyncio.timeout(ANSWER):
        with pytest.raises(StoreUnavailable):
            await PostgresRepository(database).queue_ages()
        assert proxy.connections == MAX_SIZE
    await assert_recovered(database, proxy, direct)


async def _in_statement(direct: psycopg.AsyncConnection[Any], count: int) -> bool:
    cursor = await direct.execute(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        " and backend_type = 'client backend'"
    )
    return await cursor.fetchone() == (count,)


async def _has_lost(proxy: Proxy, count: int) -> bool:
    return proxy.lost == count


async def _asleep(direct: psycopg.AsyncConnection[Any], count: int) -> bool:
    cursor = await direct.execute(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
        " and backend_type = 'client backend'"
    )
    return await cursor.fetchone() == (count,)
