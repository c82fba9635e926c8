"""The library over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobHandle, JobRunner, QueuedJob, QueueManager
from queued_jobs.backend import Backend
from queued_jobs.database import Database
from queued_jobs.message import JobMessage
from queued_jobs.postgres import PostgresRepository
from queued_jobs.testing import FakeQueues, RecordingNotifier
from queued_jobs.tracker import JobTracker


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
            ).fetchone()
            return int(row[0]) if row else 0

        yield count
