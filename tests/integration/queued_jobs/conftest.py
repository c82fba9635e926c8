"""The library over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobHandle, JobRunner, QueuedJob
from queued_jobs.database import Database
from queued_jobs.enqueue import queue_job
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
    tracker: JobTracker

    async def queue(self, user_id: str = "ann", n: int = 1, **options: Any) -> JobHandle[Answer]:
        return await queue_job(
            Demo,
            Ask(n=n),
            user_id=user_id,
            repository=self.repository,
            queues=self.queues,
            notifier=self.notifier,
            **options,
        )

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
    yield Shop(
        database=database,
        repository=PostgresRepository(database),
        queues=queues,
        notifier=notifier,
        tracker=JobTracker(database, queues, notifier),
    )
    await database.close()
