"""A database with jobs in it and a storage account, and the command beside them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, QueuedJob, QueueManager
from queued_jobs.cli.app import run
from queued_jobs.database import Database
from queued_jobs.message import JobMessage
from queued_jobs.model import JobError
from queued_jobs.postgres import PostgresRepository
from queued_jobs.queues import StorageQueues
from queued_jobs.testing import FakeQueues, InMemoryRepository
from tools.local_stack.azurite import AzuriteServer

QUEUE = f"cli-{uuid4().hex[:12]}"


class Ask(BaseModel):
    name: str = "Ada"
    password: str = "hunter2"


class Answer(BaseModel):
    text: str


class Greeting(JobRunner[Ask, Answer]):
    kind = "greeting"
    queue = QUEUE

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        return Answer(text="hello")


class Daily(Greeting):
    kind = "daily"
    queue = QUEUE
    schedule: ClassVar[str | None] = "0 0 3 * * *"


#: Where the command finds the application below.
APP = f"{__name__}:make_app"


def make_app() -> QueueManager:
    """The application, of which the command takes the kinds; it has the database and the queues of its options."""
    return QueueManager((Daily,), repository=InMemoryRepository(), queues=FakeQueues())


@dataclass(frozen=True)
class Office:
    """A database with jobs in it, and the command beside it."""

    url: str
    account: str
    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command in this process; returns exit code, standard output and standard error."""
        self.capture.readouterr()
        code = run(arguments)
        output, errors = self.capture.readouterr()
        return code, output, errors

    def json(self, *arguments: str) -> Any:
        code, output, errors = self.run(*arguments, "--json")
        assert code == 0, errors
        return json.loads(output)

    def with_repository(self, work: Callable[[PostgresRepository], Awaitable[Any]]) -> Any:
        async def within() -> Any:
            database = Database(self.url)
            try:
                return await work(PostgresRepository(database))
            finally:
                await database.close()

        return asyncio.run(within())

    def queue(self, count: int = 1, *, user_id: str = "ann", request: Ask | None = None) -> list[QueuedJob]:
        async def work(repository: PostgresRepository) -> list[QueuedJob]:
            manager = QueueManager((), repository=repository, queues=FakeQueues())
            handles = [await manager.queue_job(Greeting, request or Ask(), user_id=user_id) for _ in range(count)]
            return [handle.job for handle in handles]

        jobs: list[QueuedJob] = self.with_repository(work)
        return jobs

    def fail(self, jobs: Sequence[QueuedJob], message: str = "boom") -> None:
        async def work(repository: PostgresRepository) -> None:
            for job in jobs:
                claimed = await _claim(repository, job)
                error = JobError(type="ValueError", message=message, traceback="Traceback: here")
                await repository.fail(claimed, error, retry_in=None)

        self.with_repository(work)

    def succeed(self, jobs: Sequence[QueuedJob]) -> None:
        async def work(repository: PostgresRepository) -> None:
            for job in jobs:
                await repository.succeed(await _claim(repository, job), {"text": "hello"})

        self.with_repository(work)

    def start(self, job: QueuedJob) -> None:
        self.with_repository(lambda repository: _claim(repository, job))

    def messages(self) -> list[JobMessage]:
        async def read() -> list[JobMessage]:
            async with StorageQueues(self.account) as queues:
                return [
                    JobMessage.decode(base64.b64decode(message.content))
                    async for message in queues[QUEUE].receive_messages()
                ]

        return asyncio.run(read())


async def _claim(repository: PostgresRepository, job: QueuedJob) -> QueuedJob:
    claimed = await repository.claim(
        JobMessage.of(job),
        kind="greeting",
        schema_version=1,
        lease=timedelta(minutes=1),
        timeout=timedelta(minutes=20),
    )
    assert claimed is not None
    return claimed


@pytest.fixture(scope="module")
def account(azurite: AzuriteServer) -> str:
    async def ensure() -> None:
        async with StorageQueues(azurite.connection_string) as queues:
            await queues.ensure(QUEUE)

    asyncio.run(ensure())
    return azurite.connection_string


async def _empty(account: str) -> None:
    """Remove what earlier tests sent: a message that they have read becomes visible again after a time."""
    async with StorageQueues(account) as queues:
        await queues[QUEUE].clear_messages()


@pytest.fixture
def office(jobs_url: str, account: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setenv("DATABASE_URL", jobs_url)
    monkeypatch.delenv("QueuesConn", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    asyncio.run(_empty(account))
    return Office(url=jobs_url, account=account, capture=capsys)
