"""The library behind PgBouncer in transaction mode, with fewer connections to the server than clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, JobStatus, QueueManager
from queued_jobs.batch import FollowUp
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.database import Database
from queued_jobs.errors import StoreUnavailable
from queued_jobs.postgres import PostgresRepository
from queued_jobs.schema import migrate, migrations
from queued_jobs.testing import FakeQueues
from queued_jobs.tracker import ANY_USER
from tests.support.waiting import eventually
from tools.local_stack.pgbouncer import PgBouncer, server_connections
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.state import temporary_folder

CONNECTIONS = 2


class Ask(BaseModel):
    n: int = 1


class Sum(BaseModel):
    n: int


class Add(JobRunner[Ask, Sum]):
    kind = queue = "add"
    concurrency = 2

    @classmethod
    def concurrency_key(cls, request: Ask, user_id: str) -> str:
        return user_id

    async def on_execute(self, request: Ask, ctx: JobContext[Sum]) -> Sum:
        result = Sum(n=request.n + 1)
        async with ctx.transaction() as conn:
            await conn.execute("select %s::int", (request.n,))
            await ctx.complete(result, conn=conn)
        return result


class Total(JobRunner[Ask, Sum]):
    kind = queue = "total"

    async def on_execute(self, request: Ask, ctx: JobContext[Sum]) -> Sum:
        return Sum(n=sum((job.result or {})["n"] for job in await ctx.batch()))


@pytest.fixture(scope="module")
def pooler(postgres: PostgresServer) -> Iterator[PgBouncer]:
    with temporary_folder() as folder:
        server = PgBouncer(folder / "pgbouncer", postgres.url, connections=CONNECTIONS)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="module")
def lax_pooler(postgres: PostgresServer) -> Iterator[PgBouncer]:
    """One that ignores the options of connections."""
    with temporary_folder() as folder:
        server = PgBouncer(folder / "pgbouncer", postgres.url, ignores_options=True)
        server.start()
        yield server
        server.stop()


@pytest.fixture
async def databases(pooler: PgBouncer, jobs_url: str) -> AsyncIterator[list[Database]]:
    """What three processes have, with more connections than the pooler has to the server."""
    async with AsyncExitStack() as stack:
        found = [Database(pooler.url_of(jobs_url), transaction_pooler=True) for _ in range(3)]
        for database in found:
            stack.push_async_callback(database.close)
        yield found


async def has_at_most(url: str, number: int) -> bool:
    return server_connections(url) <= number


async def test_jobs_run_from_start_to_end(databases: list[Database], jobs_url: str) -> None:
    queues = FakeQueues()
    managers = [
        QueueManager([Add, Total], repository=PostgresRepository(database), queues=queues) for database in databases
    ]
    batch = await managers[0].queue_jobs(
        Add, [Ask(n=n) for n in range(40)], user_id="ann", follow_up=FollowUp(runner=Total, request=Ask())
    )
    singles = await asyncio.gather(
        *(managers[n % 3].queue_job(Add, Ask(n=n), user_id=f"user {n % 5}") for n in range(30))
    )
    assert batch.follow_up is not None
    handles = [*batch.handles, *singles, batch.follow_up]
    tracker = managers[1].tracker
    while (await tracker.count(JobQuery(statuses=frozenset({JobStatus.SUCCEEDED})))).number < len(handles):
        due = queues.take()
        await asyncio.gather(
            *(managers[n % 3].runner(one.queue).execute(one.message) for n, one in enumerate(due)),
            *(manager.sweeper.run_once() for manager in managers),
        )
        async with databases[0].connection() as conn:
            # what waits in line need not wait for its time here
            await conn.execute(
                "update queued_jobs.job set next_send_at = now() where status = 'pending' and after_batch is null"
            )
    assert (await batch.follow_up.result(timeout=timedelta(minutes=1))).n == sum(range(1, 41))
    (first,) = (await tracker.search(JobQuery(user_id="ann"), limit=1)).jobs
    assert len(await tracker.attempts(first.id, user_id=ANY_USER)) == 1
    stats = await tracker.stats(window=timedelta(hours=1), bucket=timedelta(minutes=1))
    assert stats.kinds["add"].counts.succeeded == 70
    await eventually(partial(has_at_most, jobs_url, CONNECTIONS), "the pooler holds no more connections than it may")


async def test_no_setting_stays_behind_and_transactions_have_their_limits(databases: list[Database]) -> None:
    settings = "select current_setting('statement_timeout') as own, current_setting('lock_timeout') as lock"
    async with databases[0].transaction() as conn:
        found = await (await conn.execute(settings)).fetchone()
        assert found == {"own": "10s", "lock": "3s"}
    for database in databases:
        async with database.connection() as conn:
            found = await (await conn.execute(settings)).fetchone()
            assert found == {"own": "0", "lock": "0"}


async def test_a_late_statement_is_given_up_and_ended(databases: list[Database], jobs_url: str) -> None:
    repository = PostgresRepository(databases[0])
    with psycopg.connect(jobs_url) as conn:
        conn.execute("lock table queued_jobs.job in access exclusive mode")
        with pytest.raises(StoreUnavailable):
            await repository.queue_ages()
        waiting = conn.execute("select count(*) from pg_locks where not granted").fetchone()
        while waiting != (0,):
            waiting = conn.execute("select count(*) from pg_locks where not granted").fetchone()
    assert await repository.queue_ages() == {}


async def test_migrations_run_through_it(pooler: PgBouncer, database_url: str) -> None:
    url = pooler.url_of(database_url)
    applied = [await migrate(url), await migrate(url)]
    assert list(map(len, applied)) == [len(migrations()), 0]


@pytest.mark.parametrize("kind", ["pooler", "lax_pooler"])
async def test_without_the_setting_the_error_names_it(kind: str, request: pytest.FixtureRequest, jobs_url: str) -> None:
    found: PgBouncer = request.getfixturevalue(kind)
    database = Database(found.url_of(jobs_url))
    with pytest.raises(StoreUnavailable, match="DATABASE_POOLER"):
        await database.ping()
    await database.close()


async def test_the_setting_is_harmless_without_a_pooler(jobs_url: str) -> None:
    database = Database(jobs_url, transaction_pooler=True)
    await database.ping()
    await database.close()
