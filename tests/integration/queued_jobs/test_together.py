"""Statements of concurrent attempts share round trips and commits, but one's failure does not affect the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from queued_jobs import JobStatus, QueuedJob
from queued_jobs._statements import NotStored, Statement, execute_together
from queued_jobs.database import Database
from queued_jobs.errors import StoreRefused, StoreUnavailable
from queued_jobs.postgres import PostgresRepository
from tests.integration.queued_jobs.conftest import Shop
from tests.support.waiting import eventually
from tools.bench.wire import Wire
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.proxy import SILENT, WELL, Proxy

JOBS = 12


@pytest.fixture
async def direct(jobs_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(jobs_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
async def waiting(shop: Shop) -> list[QueuedJob]:
    return [(await shop.queue(f"user-{number}")).job for number in range(JOBS)]


@pytest.fixture
async def running(shop: Shop, waiting: list[QueuedJob]) -> list[QueuedJob]:
    return await asyncio.gather(*map(shop.claim, waiting))


async def test_attempts_that_run_at_once_share_round_trips(shop: Shop, jobs_url: str, waiting: list[QueuedJob]) -> None:
    async with Wire(jobs_url) as wire:
        database = Database(wire.url)
        busy = replace(shop, repository=PostgresRepository(database), database=database)
        await database.ping()
        wire.reset()
        running = await asyncio.gather(*map(busy.claim, waiting))
        done = await asyncio.gather(*(busy.repository.succeed(job, {"text": "done"}) for job in running))
        assert {job and job.status for job in done} == {JobStatus.SUCCEEDED}
        assert wire.round_trips < JOBS
        await database.close()


async def test_one_whose_value_is_refused_fails_alone(shop: Shop, running: list[QueuedJob]) -> None:
    refused = running[JOBS // 2]
    outcomes = await asyncio.gather(
        *(shop.repository.succeed(job, {"text": "\0" if job is refused else "done"}) for job in running),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes].count(StoreRefused) == 1
    assert isinstance(outcomes[JOBS // 2], StoreRefused)
    ends = [await shop.tracker.get(job.id, user_id=job.user_id) for job in running]
    assert [end.status is JobStatus.SUCCEEDED for end in ends] == [job is not refused for job in running]


async def test_a_locked_row_holds_no_other_up(
    shop: Shop, running: list[QueuedJob], direct: psycopg.AsyncConnection[Any]
) -> None:
    locked = running[JOBS // 2]
    async with direct.transaction():
        await direct.execute("select from queued_jobs.job where id = %s for update", (locked.id,))
        ends = {job.id: asyncio.create_task(shop.repository.succeed(job, None)) for job in running}
        last = ends.pop(locked.id)
        await asyncio.gather(*ends.values())
        assert not last.done()
    done = await last
    assert done is not None
    assert done.status is JobStatus.SUCCEEDED


async def test_a_worker_that_is_stopped_knows_which_claims_were_stored(shop: Shop, waiting: list[QueuedJob]) -> None:
    claimed = set()

    async def claim(job: QueuedJob) -> None:
        claimed.add((await shop.claim(job)).id)
        await asyncio.sleep(0)

    claims = [asyncio.create_task(claim(job)) for job in waiting]
    await asyncio.wait(claims, return_when=asyncio.FIRST_COMPLETED)
    for task in claims:
        task.cancel()
    await asyncio.wait(claims)
    now = [await shop.tracker.get(job.id, user_id=job.user_id) for job in waiting]
    assert {job.id for job in now if job.status is JobStatus.RUNNING} == claimed


async def test_a_connection_that_the_server_ends_costs_no_statement(
    shop: Shop, running: list[QueuedJob], direct: psycopg.AsyncConnection[Any]
) -> None:
    await direct.execute(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )
    done = await asyncio.gather(*(shop.repository.succeed(job, None) for job in running))
    assert {job and job.status for job in done} == {JobStatus.SUCCEEDED}


async def test_nobody_is_told_of_a_commit_that_was_not_answered(
    shop: Shop, postgres: PostgresServer, jobs_url: str, running: list[QueuedJob]
) -> None:
    with Proxy(postgres.ports[0]) as proxy:
        database = Database(make_conninfo(jobs_url, port=proxy.port))
        repository = PostgresRepository(database)
        await asyncio.gather(*(repository.outcome(job) for job in running))
        proxy.set(SILENT)
        outcomes = await asyncio.gather(*(repository.succeed(job, None) for job in running), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        proxy.set(WELL, established=False)

        async def is_back() -> bool:
            with contextlib.suppress(StoreUnavailable):
                await database.ping()
                return True
            return False

        await eventually(is_back, "the database can be reached")
        again = await asyncio.gather(*(repository.succeed(job, None) for job in running))
        assert {job and job.status for job in again} == {JobStatus.SUCCEEDED}
        await database.close()


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "reset"])
async def test_what_is_said_to_be_stored_is_stored_though_the_network_is_cut(
    shop: Shop,
    postgres: PostgresServer,
    jobs_url: str,
    running: list[QueuedJob],
    direct: psycopg.AsyncConnection[Any],
    reset: bool,
) -> None:
    async def is_waiting() -> bool:
        cursor = await direct.execute(
            "select count(*) > 0 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            " and backend_type = 'client backend'"
        )
        return await cursor.fetchone() == (True,)

    with Proxy(postgres.ports[0]) as proxy:
        database = Database(make_conninfo(jobs_url, port=proxy.port))
        await database.ping()
        async with direct.transaction():
            await direct.execute("lock table queued_jobs.job in access exclusive mode")
            ends = [asyncio.create_task(PostgresRepository(database).succeed(job, None)) for job in running]
            await eventually(is_waiting, "a statement waits for the lock")
            proxy.cut(reset=reset)
        outcomes = await asyncio.gather(*ends, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {QueuedJob, StoreUnavailable}
        for outcome in outcomes:
            if isinstance(outcome, QueuedJob):
                now = await shop.tracker.get(outcome.id, user_id=outcome.user_id)
                assert now.status is JobStatus.SUCCEEDED
        await database.close()


async def test_a_value_that_cannot_be_sent_stores_nothing(jobs_url: str) -> None:
    insert = (
        b"insert into queued_jobs.rejected_message (queue, reason, body_sha256, body_start) "
        b"values (%(queue)s, '', '', '')"
    )
    count = b"select count(*) as n from queued_jobs.rejected_message"
    good, bad = (Statement(insert, insert, {"queue": queue}) for queue in ("one", object()))
    async with await psycopg.AsyncConnection.connect(jobs_url, autocommit=True) as conn:
        with pytest.raises(NotStored):
            await execute_together(conn, [good, bad, good])
    async with await psycopg.AsyncConnection.connect(jobs_url, autocommit=True) as conn:
        assert await execute_together(conn, [Statement(count, count, {})]) == [[{"n": 0}]]
        with pytest.raises(NotStored):
            await execute_together(conn, [good, Statement(count, b"select 1/0", {}), good])
        assert await execute_together(conn, [Statement(count, count, {})]) == [[{"n": 0}]]
