"""Plain `def` bodies wait for a thread before their attempt begins, and threads that hang are replaced."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from queued_jobs import JobContext, JobStatus, QueuedJob, _admission, _executor, _threads
from queued_jobs.message import JobMessage
from tests.support.waiting import PATIENCE_SECONDS, eventually
from tests.unit.queued_jobs.conftest import Answer, Ask, Demo, World

NO_TIME = timedelta()


class Held(Demo):
    """Its bodies end when the test lets them."""

    kind = "demo"
    threads = 1
    timeout = timedelta(seconds=20)
    lease = timedelta(seconds=20)

    def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:  # type: ignore[override]
        self.started.append(request.n)
        assert self.gates.setdefault(request.n, self.gate).wait(PATIENCE_SECONDS)
        return Answer(text=str(request.n))

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.gate = threading.Event()
        self.gates: dict[int, threading.Event] = {}
        self.started: list[int] = []


class Brief(Held):
    kind = "demo"
    timeout = timedelta(seconds=1)


class HangsTwice(Held):
    kind = "demo"
    threads = 2
    timeout = timedelta(seconds=0.1)


@asynccontextmanager
async def at_work(world: World, of: type[Held], count: int) -> AsyncIterator[tuple[Held, list[QueuedJob]]]:
    """Let messages of that many jobs be received at once; whatever happens, the bodies end."""
    runner = of(world.backend)
    jobs = [world.row(await world.queued(n)) for n in range(count)]
    receiving = [asyncio.create_task(receive(runner, job)) for job in jobs]
    try:
        yield runner, jobs
    finally:
        runner.gate.set()
        for gate in runner.gates.values():
            gate.set()
        await asyncio.gather(*receiving)
        await asyncio.to_thread(runner.body_threads.shutdown)


async def receive(runner: Held, job: QueuedJob, *, queue: str = "demo") -> None:
    await runner.receive(JobMessage.of(job).encode().encode(), queue=queue)


def has(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return condition()

    return check


class TestWaiting:
    async def test_the_timeout_begins_with_the_body(self, world: World) -> None:
        async with at_work(world, Brief, 4) as (runner, (first, *others)):
            await eventually(has(lambda: world.row(first).status is JobStatus.RETRYING), "its time is over")
            runner.timeout = timedelta(minutes=2)  # type: ignore[misc]
            assert runner.started == [0]
            assert [world.row(job) for job in others] == others, "whose attempts have not begun"
        for job in others:
            row = world.row(job)
            assert (row.status, row.attempt) == (JobStatus.SUCCEEDED, 1)
        assert runner.started == [0, 1, 2, 3]

    async def test_more_bodies_than_threads_never_run(self, world: World) -> None:
        async with at_work(world, Held, 6) as (runner, jobs):
            for begun in range(1, 7):
                await eventually(has(lambda: len(runner.started) == begun), "the next one has begun")  # noqa: B023
                # a thread is free before the result of its body is stored
                running = has(lambda: [world.row(job).status for job in jobs].count(JobStatus.RUNNING) == 1)
                await eventually(running, "no other one runs")
                assert len(runner.started) == begun
                gate, runner.gate = runner.gate, threading.Event()
                gate.set()
        assert {world.row(job).status for job in jobs} == {JobStatus.SUCCEEDED}

    async def test_what_no_thread_is_free_for_goes_back_to_its_queue(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_admission, "THREAD_WAIT", NO_TIME)
        async with at_work(world, Held, 1) as (runner, _):
            await eventually(has(lambda: runner.started == [0]), "the only thread is taken")
            job = world.row(await world.queued())
            world.queues.sent.clear()
            await receive(runner, job, queue="demo-urgent")
            assert [(due.queue, due.message) for due in world.queues.sent] == [("demo-urgent", JobMessage.of(job))]
            assert world.row(job) == job, "nobody sees a difference, and no attempt is counted"

    async def test_a_message_that_cannot_be_put_back_waits_on(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(_admission, "THREAD_WAIT", timedelta(seconds=0.01))
        async with at_work(world, Held, 1) as (runner, _):
            await eventually(has(lambda: runner.started == [0]), "the only thread is taken")
            job = world.row(await world.queued())
            world.queues.unavailable = True
            receiving = asyncio.create_task(receive(runner, job))
            await eventually(has(lambda: "was not put back" in caplog.text), "it could not be put back")
            world.queues.unavailable = False
            runner.gate.set()
            await receiving
        if world.row(job).status is not JobStatus.SUCCEEDED:
            assert world.queues.sent[-1].message == JobMessage.of(job)

    async def test_a_shutdown_puts_back_what_waits(self, world: World) -> None:
        async with at_work(world, Held, 1) as (runner, _):
            await eventually(has(lambda: runner.started == [0]), "the only thread is taken")
            job = world.row(await world.queued())
            receiving = asyncio.create_task(receive(runner, job))
            for _ in range(3):
                await asyncio.sleep(0)
            world.queues.sent.clear()
            receiving.cancel()
            await receiving
            assert [due.message for due in world.queues.sent] == [JobMessage.of(job)]
            assert world.row(job) == job
            assert runner.started == [0]

    async def test_a_thread_that_came_too_late_is_not_lost(self, world: World) -> None:
        runner = world.runner(of=Held)
        threads = runner.body_threads
        for _ in range(50):
            taken = await threads.take(within=NO_TIME)
            assert taken is not None
            late = asyncio.create_task(threads.take(within=NO_TIME))
            cancelled = asyncio.create_task(threads.take(within=timedelta(seconds=9)))
            await asyncio.sleep(0)
            taken.give_back()
            cancelled.cancel()
            got, _ = await asyncio.gather(late, cancelled, return_exceptions=True)
            if isinstance(got, _threads.BodyThread):
                got.give_back()


class TestHanging:
    async def test_threads_that_hang_are_told_once_and_replaced(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        monkeypatch.setattr(_threads, "HUNG_AFTER", NO_TIME)
        async with at_work(world, HangsTwice, 2) as (runner, jobs):
            await eventually(has(lambda: runner.body_threads.hung == 2), "both hang")
            await eventually(
                has(lambda: {world.row(job).status for job in jobs} == {JobStatus.RETRYING}), "their time is over"
            )
            assert len([record for record in caplog.records if record.module == "_threads"]) == 2
            runner.timeout = timedelta(minutes=2)  # type: ignore[misc]
            runner.gates[7] = threading.Event()
            runner.gates[7].set()
            job = await world.queued(7)
            await receive(runner, job)
            assert world.row(job).status is JobStatus.SUCCEEDED
            assert not [record for record in caplog.records if record.levelno == logging.ERROR]
        await eventually(has(lambda: runner.body_threads.hung == 0), "they ended after all")

    async def test_where_all_hang_the_worker_says_so_and_takes_no_more(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(_threads, "HUNG_AFTER", NO_TIME)
        monkeypatch.setattr(_admission, "THREAD_WAIT", timedelta(seconds=PATIENCE_SECONDS))
        async with at_work(world, HangsTwice, 4) as (runner, _):
            await eventually(has(lambda: runner.body_threads.hung == 4), "all of them hang, and as many again")
            assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1
            job = world.row(await world.queued())
            monkeypatch.setattr(_admission, "THREAD_WAIT", NO_TIME)
            await receive(runner, job)
            assert world.row(job) == job
            assert world.queues.sent[-1].message == JobMessage.of(job)
            runner.gate.set()
            await eventually(has(lambda: runner.body_threads.hung == 0), "they end")
            runner.timeout = timedelta(minutes=2)  # type: ignore[misc]
            monkeypatch.setattr(_admission, "THREAD_WAIT", timedelta(seconds=30))
            await receive(runner, job)
            assert world.row(job).status is JobStatus.SUCCEEDED, "and it runs jobs again"

    async def test_a_body_that_stops_soon_does_not_hang(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        async with at_work(world, HangsTwice, 2) as (runner, jobs):
            await eventually(
                has(lambda: all(world.row(job).status is JobStatus.RETRYING for job in jobs)), "their time is over"
            )
            assert runner.body_threads.hung == 0
        assert not [record for record in caplog.records if record.module == "_threads"]

    async def test_a_body_whose_lease_is_lost_may_hang_too(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_threads, "HUNG_AFTER", NO_TIME)

        class Short(Held):
            kind = "demo"
            lease = timedelta(seconds=0.4)

        async with at_work(world, Short, 1) as (runner, (job,)):
            await eventually(has(lambda: runner.started == [0]), "it runs")
            world.change(job, status=JobStatus.RETRYING, lease_token=None, lease_until=None, deadline_at=None)
            await eventually(has(lambda: runner.body_threads.hung == 1), "its thread is left")


async def test_a_cleanup_that_hangs_does_not_keep_the_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hangs(Demo):
        kind = "demo"

        async def on_result_discarded(self, job: QueuedJob, result: Answer) -> None:
            await asyncio.Event().wait()

    async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
        return Answer(text="x" * 300_000)

    monkeypatch.setattr(_executor, "DISCARD_TIME", timedelta(seconds=0.1))
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await world.run(body, Hangs)).status is JobStatus.FAILED
