"""`ctx.wait`: what a plain `def` body waits for on the worker's event loop, and how that ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import ClassVar

import pytest

from queued_jobs import JobContext, JobStatus, QueuedJob
from queued_jobs._thread_bridge import ThreadBridge
from queued_jobs.errors import JobCancelled, JobsError, JobTimeout, LeaseLost
from queued_jobs.message import JobMessage
from tests.unit.queued_jobs.conftest import Answer, Ask, Demo, World


class Sync(Demo):
    kind = "demo"
    lease = timedelta(seconds=20)
    work: ClassVar[Callable[[JobContext[Answer]], str]]

    def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:  # type: ignore[override]
        return Answer(text=type(self).work(ctx))


class Short(Sync):
    kind = "demo"
    timeout = timedelta(seconds=0.2)


async def run(world: World, work: Callable[[JobContext[Answer]], str], of: type[Sync] = Sync) -> QueuedJob:
    Sync.work = staticmethod(work)
    job = await world.queued()
    await world.runner(of=of).execute(JobMessage.of(job))
    return world.row(job)


async def test_it_returns_and_raises_what_the_awaitable_does(world: World) -> None:
    async def fails() -> str:
        raise ZeroDivisionError

    def work(ctx: JobContext[Answer]) -> str:
        with pytest.raises(ZeroDivisionError):
            ctx.wait(fails())
        return ctx.wait(asyncio.sleep(0, "slept"))

    assert (await run(world, work)).result == {"text": "slept"}


async def test_it_runs_on_the_workers_own_loop(world: World) -> None:
    loop = asyncio.get_running_loop()

    async def which() -> bool:
        return asyncio.get_running_loop() is loop

    assert (await run(world, lambda ctx: str(ctx.wait(which())))).result == {"text": "True"}


async def test_many_threads_of_one_body_may_wait(world: World) -> None:
    def work(ctx: JobContext[Answer]) -> str:
        with ThreadPoolExecutor(4) as threads:
            return ",".join(threads.map(lambda n: ctx.wait(asyncio.sleep(0, str(n))), range(8)))

    assert (await run(world, work)).result == {"text": "0,1,2,3,4,5,6,7"}


async def test_the_end_of_the_time_ends_the_wait(world: World) -> None:
    raised: list[JobsError] = []
    over, cancelled = threading.Event(), threading.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    def work(ctx: JobContext[Answer]) -> str:
        try:
            for _ in range(2):
                with pytest.raises(JobTimeout) as caught:
                    ctx.wait(waits())
                raised.append(caught.value)
        finally:
            over.set()
        return "late"

    job = await run(world, work, Short)
    assert await asyncio.to_thread(over.wait, 60)
    assert (job.status, len(raised)) == (JobStatus.RETRYING, 2)
    assert await asyncio.to_thread(cancelled.wait, 60)


async def test_a_shutdown_ends_the_wait_so_that_the_process_can_end(world: World) -> None:
    raised: list[JobsError] = []
    begun, over = asyncio.Event(), threading.Event()

    async def waits() -> None:
        begun.set()
        await asyncio.Event().wait()

    def work(ctx: JobContext[Answer]) -> str:
        with pytest.raises(LeaseLost) as caught:
            ctx.wait(waits())
        raised.append(caught.value)
        over.set()
        return "late"

    Sync.work = staticmethod(work)
    job = await world.queued()
    task = asyncio.create_task(world.runner(of=Sync).execute(JobMessage.of(job)))
    await begun.wait()
    task.cancel()
    await task
    assert await asyncio.to_thread(over.wait, 60)
    assert (world.row(job).status, len(raised)) == (JobStatus.PENDING, 1)


async def test_a_cancel_request_lets_it_end(world: World) -> None:
    """As in an `async def` body, where only a checkpoint honours it."""
    bridge_open: list[str] = []

    def work(ctx: JobContext[Answer]) -> str:
        ctx.stop(JobCancelled())
        bridge_open.append(ctx.wait(asyncio.sleep(0, "cleaned up")))
        ctx.checkpoint()
        return "never"

    await run(world, work)
    assert bridge_open == ["cleaned up"]


async def test_on_the_loop_it_is_an_error(world: World) -> None:
    async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
        with pytest.raises(RuntimeError, match="await"):
            ctx.wait(asyncio.sleep(0))
        return Answer(text="")

    assert (await world.run(body)).status is JobStatus.SUCCEEDED


def test_a_loop_that_is_just_closed_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queued_jobs._thread_bridge._LOOK_EVERY", 0.01)
    loop = asyncio.new_event_loop()
    bridge = loop.run_until_complete(_bridge())
    raised: list[BaseException] = []
    reached = threading.Event()

    async def waits() -> None:
        reached.set()
        await asyncio.Event().wait()

    def work() -> None:
        try:
            bridge.wait(waits())
        except LeaseLost as exc:
            raised.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    assert loop.run_until_complete(asyncio.to_thread(reached.wait, 60))
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.get_coro().close()  # type: ignore[union-attr]
    loop.close()
    thread.join(60)
    assert len(raised) == 1
    with pytest.raises(LeaseLost):
        bridge.wait(waits())


async def _bridge() -> ThreadBridge:
    return ThreadBridge()
