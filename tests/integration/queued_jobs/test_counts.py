"""What a job costs, counted: these numbers do not depend on the machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from queued_jobs import JobContext, QueueManager
from queued_jobs.announcements import flush_pushes
from queued_jobs.database import Database
from queued_jobs.message import JobMessage
from queued_jobs.postgres import PostgresRepository
from queued_jobs.push.signalr import ConnectionString, SignalRNotifier
from queued_jobs.registry import JobRegistry
from queued_jobs.testing import FakeQueues
from tools.bench.kinds import Ask, Done, Noop
from tools.bench.sink import Sink
from tools.bench.wire import Wire

JOBS = 48
USERS = 20


@dataclass(frozen=True)
class Meters:
    wire: Wire
    sink: Sink
    database: Database
    manager: QueueManager

    async def start(self, count: int = JOBS) -> list[JobMessage]:
        """Store jobs of several users, and set the counts to 0."""
        handles = [
            await self.manager.queue_job(Noop, Ask(n=number), user_id=f"user-{number % USERS}")
            for number in range(count)
        ]
        await flush_pushes()
        self.wire.reset()
        self.sink.posts = 0
        return [JobMessage.of(handle.job) for handle in handles]

    async def run(self, messages: list[JobMessage], in_flight: int) -> None:
        runner = self.manager.runner("noop")

        async def work() -> None:
            while messages:
                await runner.execute(messages.pop())

        await asyncio.gather(*(work() for _ in range(in_flight)))
        await flush_pushes()


@pytest.fixture
async def meters(jobs_url: str) -> AsyncIterator[Meters]:
    registry = JobRegistry([Noop])
    async with Sink() as sink, Wire(jobs_url) as wire:
        database = Database(wire.url)
        notifier = SignalRNotifier(ConnectionString.parse(sink.connection_string), registry)
        manager = QueueManager(
            registry, repository=PostgresRepository(database), queues=FakeQueues(), notifier=notifier
        )
        yield Meters(wire, sink, database, manager)
        await notifier.close()
        await database.close()


async def test_one_job_after_another(meters: Meters) -> None:
    await meters.run(await meters.start(), in_flight=1)
    assert meters.wire.statements == 2 * JOBS, "a claim and an end"
    assert meters.wire.round_trips <= 2 * JOBS + 2, "each of the two statements is prepared once"
    assert meters.sink.posts <= 2 * JOBS


@pytest.mark.parametrize("in_flight", [16, JOBS])
async def test_jobs_that_run_at_once_share_round_trips(meters: Meters, in_flight: int) -> None:
    await meters.run(await meters.start(), in_flight=in_flight)
    assert meters.wire.round_trips <= 0.5 * JOBS
    # and once for each group: its limits
    assert meters.wire.statements <= 2 * JOBS + meters.wire.round_trips
    assert meters.sink.posts <= 2 * JOBS


async def test_what_a_job_emits(meters: Meters) -> None:
    """A push for an append at most, and nothing for a job that emits nothing: see the other counts."""

    class Talk(Noop):
        async def on_execute(self, request: Ask, ctx: JobContext[Done]) -> Done:
            for number in range(100):
                await ctx.emit("story", f"{number} ")
                await asyncio.sleep(0.005)
            return Done(n=request.n, text=request.text)

    (message,) = await meters.start(1)
    await Talk(meters.manager.backend).execute(message)
    await flush_pushes()
    appends = meters.wire.statements - 2
    assert 2 <= appends <= 12
    assert 2 <= meters.sink.posts <= 2 + appends


async def test_a_job_that_is_started(meters: Meters) -> None:
    await meters.start(1)
    await meters.start(0)
    await meters.manager.queue_job(Noop, Ask(n=1), user_id="ann")
    await flush_pushes()
    assert meters.wire.statements <= 3
    assert meters.wire.round_trips <= 3, "the connection is asked, the row is stored, and its message marked"
    assert meters.sink.posts <= 1
