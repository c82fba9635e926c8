"""The library over a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import dict_row
from pydantic import BaseModel

from queued_jobs import JobContext, JobHandle, JobRunner, QueuedJob, QueueManager
from queued_jobs.backend import Backend
from queued_jobs.database import Database, Row
from queued_jobs.message import JobMessage
from queued_jobs.postgres import PostgresRepository
from queued_jobs.testing import FakeQueues, RecordingNotifier
from queued_jobs.tracker import JobTracker
from tests.support.own_database import own_database
from tests.support.waiting import wait_until
from tools.local_stack.postgres import PostgresServer
from tools.sample_jobs.generate_jobs import add_jobs

#: In the database `crowded`.
JOBS = 200_000


class Ask(BaseModel):
    n: int = 1


class Answer(BaseModel):
    text: str


class Demo(JobRunner[Ask, Answer]):
    kind = "demo"
    queue = "demo"

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        return Answer(text="done")


@dataclass(frozen=True)
class Shop:
    """Jobs in Postgres, with a queue and a hub that remember what they were given."""

    database: Database
    repository: PostgresRepository
    queues: FakeQueues
    notifier: RecordingNotifier
    manager: QueueManager

    @property
    def tracker(self) -> JobTracker:
        return self.manager.tracker

    @property
    def backend(self) -> Backend:
        return Backend(self.repository, self.queues, self.notifier)

    async def queue(self, user_id: str = "ann", n: int = 1, **options: Any) -> JobHandle[Answer]:
        return await self.manager.queue_job(Demo, Ask(n=n), user_id=user_id, **options)

    async def running(self, user_id: str = "ann", **options: Any) -> QueuedJob:
        return await self.claim((await self.queue(user_id, **options)).job)

    async def claim(self, job: QueuedJob) -> QueuedJob:
        claimed = await self.repository.claim(
            JobMessage.of(job),
            kind="demo",
            schema_version=1,
            lease=timedelta(minutes=1),
            timeout=timedelta(minutes=20),
        )
        assert claimed is not None
        return claimed

    async def succeeded(self, user_id: str = "ann", **options: Any) -> QueuedJob:
        job = await self.repository.succeed(await self.running(user_id, **options), {"text": "done"})
        assert job is not None
        return job

    async def count(self) -> int:
        async with self.database.connection() as conn:
            row = await (await conn.execute("select count(*) as jobs from queued_jobs.job")).fetchone()
            assert row is not None
            return int(row["jobs"])


@pytest.fixture
async def shop(jobs_url: str) -> AsyncIterator[Shop]:
    database = Database(jobs_url)
    queues, notifier = FakeQueues(), RecordingNotifier()
    repository = PostgresRepository(database)
    yield Shop(
        database=database,
        repository=repository,
        queues=queues,
        notifier=notifier,
        manager=QueueManager([Demo], repository=repository, queues=queues, notifier=notifier),
    )
    await database.close()


@pytest.fixture
def connections(jobs_url: str) -> Iterator[Callable[[], int]]:
    """How many connections the library holds to the database, as the server says."""
    with psycopg.connect(jobs_url, autocommit=True) as conn:

        def count() -> int:
            row = conn.execute(
                "select count(*) from pg_stat_activity"
                " where datname = current_database() and application_name = 'queued-jobs'"
                " and backend_type = 'client backend'"
            ).fetchone()
            return int(row[0]) if row else 0

        yield count


@pytest.fixture(scope="module")
def crowded(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The address of a database with many jobs, which tests only read."""
    with own_database(postgres, migrated_template) as url:
        asyncio.run(add_jobs(url, JOBS, days=30))
        with psycopg.connect(url, autocommit=True) as conn:
            # as after a few minutes of work since the last sweep
            conn.execute(
                "update queued_jobs.attempt set tallied = true where started_at < now() - interval '10 minutes'"
            )
            conn.execute(
                "insert into queued_jobs.cursor (job_id, gen, value, max_resumes)"
                " select id, dispatch_gen, '1', 100 from queued_jobs.job tablesample bernoulli (5) repeatable (1)"
            )
            conn.execute("update queued_jobs.tally_turn set created_until = now() - interval '12 minutes'")
            wait_until(lambda: vacuumed(conn), "every page is known to be visible to all, as after a while of quiet")
        yield url


def vacuumed(conn: Connection[Any]) -> bool:
    """Vacuum; False while a snapshot, such as autovacuum's own, keeps pages from being marked."""
    conn.execute("vacuum analyze queued_jobs.job, queued_jobs.attempt, queued_jobs.cursor")
    (marked,) = conn.execute(
        "select bool_and(relallvisible > 0.9 * relpages) from pg_class where relname in ('job', 'attempt')"
    ).fetchone() or (False,)
    return bool(marked)


@pytest.fixture(scope="module")
def connection(crowded: str) -> Iterator[Connection[Row]]:
    with psycopg.connect(crowded, autocommit=True, row_factory=dict_row, options="-c timezone=UTC") as conn:
        yield conn


@pytest.fixture(scope="module")
def sample(connection: Connection[Row]) -> Mapping[str, Any]:
    """Values to search for, as they are in the middle of the table."""
    half = datetime.now(UTC) - timedelta(days=15)
    job = connection.execute(
        "select * from queued_jobs.job where created_at < %s and status = 'failed' order by created_at desc limit 1",
        (half,),
    ).fetchone()
    top = connection.execute("select user_id from queued_jobs.job group by 1 order by count(*) desc limit 1").fetchone()
    assert job is not None
    assert top is not None
    return {"half": half, "job": job, "top": top["user_id"]}
