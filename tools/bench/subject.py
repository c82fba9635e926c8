"""What every subject of a measurement does: it stores jobs, then runs them concurrently."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Any

import psycopg

from queued_jobs import QueueManager
from queued_jobs.database import Database
from queued_jobs.message import JobMessage
from queued_jobs.notifier import Notifier
from queued_jobs.postgres import PostgresRepository
from queued_jobs.schema import migrate
from queued_jobs.testing import FakeQueues
from tools.bench.kinds import Ask, Noop

#: Owners of the jobs: those of one owner can share pushes.
USERS = 20
#: Postgres connections of each subject.
CONNECTIONS = 4


@dataclass(frozen=True)
class Settings:
    """The addresses of the servers that a subject uses."""

    database: str
    hub: str


class Subject(ABC):
    """Runs jobs that lie in Postgres, and pushes each change to their owners. Used within one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.database
        self.hub = settings.hub
        self.messages: deque[JobMessage] = deque()

    async def open(self) -> None:
        await migrate(self.url)

    async def prepare(self, jobs: int) -> None:
        """Replace all jobs by new ones that wait, and let the server put its tables in order."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as conn:
            await conn.execute("truncate queued_jobs.job cascade")
        database = Database(self.url)
        manager = QueueManager([Noop], repository=PostgresRepository(database), queues=FakeQueues())
        by_user = []
        for user in range(USERS):
            asks = [Ask(n=n) for n in range(user, jobs, USERS)]
            by_user.append((await manager.queue_jobs(Noop, asks, user_id=f"user-{user:02}")).handles)
        self.messages += [JobMessage.of(by_user[n % USERS][n // USERS].job) for n in range(jobs)]
        await database.close()
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as conn:
            await conn.execute("update queued_jobs.job set batch_id = null")  # else each end looks for a follow-up
            await conn.execute("vacuum analyze queued_jobs.job")
            await conn.execute("checkpoint")

    async def measure(self, in_flight: int) -> dict[str, Any]:
        """Run the prepared jobs, and return how long that took and how much CPU of this process."""
        jobs = len(self.messages)
        started, cpu = time.perf_counter(), time.process_time()
        await self.run(in_flight)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        await self._check(jobs)
        return {"per_second": jobs / seconds, "cpu_us": cpu / jobs * 1e6}

    async def run(self, in_flight: int) -> None:
        """Run the jobs of all messages, and send their pushes."""

        async def work() -> None:
            while self.messages:
                await self.run_one(self.messages.popleft())

        await asyncio.gather(*(work() for _ in range(in_flight)))

    @abstractmethod
    async def run_one(self, message: JobMessage) -> None:
        """Run the job of a message."""

    async def close(self) -> None:
        """Close what was opened."""
        return None

    async def _check(self, jobs: int) -> None:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as conn:
            cursor = await conn.execute(
                "select count(*) from queued_jobs.job j join queued_jobs.attempt a on a.job_id = j.id "
                "where j.status = 'succeeded' and a.outcome = 'succeeded' and j.result is not null"
            )
            if await cursor.fetchone() != (jobs,):
                raise RuntimeError("Not all jobs have succeeded, so the measurement is void.")


def manager_of(url: str, notifier: Notifier) -> tuple[Database, QueueManager]:
    """Return the library as an application sets it up, with queues in memory."""
    database = Database(url, max_size=CONNECTIONS)
    repository = PostgresRepository(database)
    return database, QueueManager([Noop], repository=repository, queues=FakeQueues(), notifier=notifier)
