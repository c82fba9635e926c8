"""A job kind whose body each test provides, over fakes."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, QueuedJob, QueueManager, RetryPolicy
from queued_jobs.backend import Backend
from queued_jobs.message import JobMessage
from queued_jobs.testing import FakeQueues, InMemoryRepository, RecordingNotifier


class Ask(BaseModel):
    n: int = 1


class Answer(BaseModel):
    text: str


Body = Callable[[Ask, JobContext[Answer]], Awaitable[Answer]]


class Demo(JobRunner[Ask, Answer]):
    kind = "demo"
    queue = "demo"
    retry = RetryPolicy(max_attempts=3)
    lease = timedelta(seconds=2)
    body: Body

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        return await self.body(request, ctx)

    async def on_result_discarded(self, job: QueuedJob, result: Answer) -> None:
        self.discarded.append(result)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.discarded: list[Answer] = []


async def answer(request: Ask, ctx: JobContext[Answer]) -> Answer:
    return Answer(text=f"n is {request.n}")


@dataclass
class World:
    repository: InMemoryRepository = field(default_factory=InMemoryRepository)
    queues: FakeQueues = field(default_factory=FakeQueues)
    notifier: RecordingNotifier = field(default_factory=RecordingNotifier)

    @property
    def manager(self) -> QueueManager:
        return QueueManager([Demo], repository=self.repository, queues=self.queues, notifier=self.notifier)

    @property
    def backend(self) -> Backend:
        return Backend(self.repository, self.queues, self.notifier)

    def runner(self, body: Body = answer, of: type[Demo] = Demo) -> Demo:
        runner = of(self.backend)
        runner.body = body
        return runner

    async def queued(self, n: int = 1, **options: Any) -> QueuedJob:
        return (await self.manager.queue_job(Demo, Ask(n=n), user_id="ann", **options)).job

    async def run(self, body: Body = answer, of: type[Demo] = Demo) -> QueuedJob:
        """Queue a job, run one attempt of it, and return its row."""
        job = await self.queued()
        await self.runner(body, of).execute(JobMessage.of(job))
        return self.row(job)

    def row(self, job: QueuedJob) -> QueuedJob:
        return self.repository.jobs[job.id]

    def change(self, job: QueuedJob, **values: Any) -> QueuedJob:
        """Write into the row behind the product's back, and return it."""
        self.repository.jobs[job.id] = changed = dataclasses.replace(self.row(job), **values)
        return changed

    def shown(self) -> list[str]:
        """The statuses that were pushed, in the order of their versions."""
        return [job.status.value for job in sorted(self.notifier.pushed, key=lambda job: job.version)]


@pytest.fixture
def world() -> World:
    return World()
