"""What happens while a body runs: progress, a cancel, and the lease that is kept, lost or given back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from queued_jobs import JobContext, JobStatus
from queued_jobs.message import JobMessage
from tests.support.waiting import PATIENCE_SECONDS
from tests.unit.queued_jobs.conftest import Answer, Ask, Demo, World


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


class TestProgressAndCancel:
    async def test_progress_reaches_the_owner_while_the_body_runs(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            ctx.report(0.5, "half")
            await until(lambda: any(job.progress == 0.5 for job in world.notifier.pushed))
            return Answer(text="")

        job = await world.run(body)
        assert (job.status, job.progress, job.progress_message) == (JobStatus.SUCCEEDED, 1.0, "half")

    async def test_a_cancel_is_honoured_at_the_next_checkpoint(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            world.change(ctx.job, cancel_requested=True)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    ctx.checkpoint()
                    await asyncio.sleep(0.01)

        job = await world.run(body)
        assert (job.status, job.error) == (JobStatus.CANCELLED, None)

    async def test_a_body_that_finishes_first_succeeds(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            world.change(ctx.job, cancel_requested=True)
            return Answer(text="done")

        assert (await world.run(body)).status is JobStatus.SUCCEEDED


class TestLease:
    async def test_a_worker_that_lost_its_job_stops_and_cleans_up_nothing_of_the_winner(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            world.change(ctx.job, lease_until=ctx.job.created_at)
            (rescued,) = await world.repository.rescue(limit=1)
            assert rescued.status is JobStatus.RETRYING
            await asyncio.Event().wait()
            raise AssertionError

        runner = world.runner(body)
        job = await world.queued()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await runner.execute(JobMessage.of(job))
        assert world.row(job).status is JobStatus.RETRYING
        assert runner.discarded == []

    async def test_a_result_that_comes_too_late_is_discarded(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            world.change(ctx.job, lease_until=ctx.job.created_at)
            await world.repository.rescue(limit=1)
            return Answer(text="late")

        runner = world.runner(body)
        job = await world.queued()
        await runner.execute(JobMessage.of(job))
        assert world.row(job).result is None
        assert runner.discarded == [Answer(text="late")]

    @pytest.mark.parametrize("text", ["x" * 300_000, "\0"])
    async def test_a_result_that_cannot_be_kept_is_discarded(self, world: World, text: str) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            return Answer(text=text)

        runner = world.runner(body)
        job = await world.queued()
        await runner.execute(JobMessage.of(job))
        assert world.row(job).status is JobStatus.FAILED
        assert runner.discarded == [Answer(text=text)]

    @pytest.mark.parametrize("stored", [True, False])
    async def test_a_shutdown_while_a_result_is_stored(
        self, world: World, monkeypatch: pytest.MonkeyPatch, stored: bool
    ) -> None:
        """The result is discarded with the job that is given back, and only then."""
        succeed, begun = world.repository.succeed, asyncio.Event()

        async def hangs(*args: Any, **options: Any) -> None:
            if stored:
                await succeed(*args, **options)
            begun.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(world.repository, "succeed", hangs)
        runner = world.runner()
        job = await world.queued()
        task = asyncio.create_task(runner.execute(JobMessage.of(job)))
        await begun.wait()
        task.cancel()
        await task
        assert world.row(job).status is (JobStatus.SUCCEEDED if stored else JobStatus.PENDING)
        assert runner.discarded == ([] if stored else [Answer(text="n is 1")])

    @pytest.mark.parametrize("ends", ["lease", "timeout"])
    async def test_what_a_thread_returns_too_late_is_discarded(self, world: World, ends: str) -> None:
        """Nobody can stop a thread: it goes on after another worker has its job."""
        over = threading.Event()

        class Sync(Demo):
            kind = "demo"
            lease = timedelta(seconds=0.4 if ends == "lease" else 60)  # which must not end before the time does
            timeout = timedelta(seconds=0.4) if ends == "timeout" else timedelta(minutes=1)

            def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:  # type: ignore[override]
                if ends == "lease":
                    world.change(ctx.job, lease_until=ctx.job.created_at)
                    asyncio.run(world.repository.rescue(limit=1))
                over.wait(30)
                return Answer(text="late")

        runner = world.runner(of=Sync)
        job = await world.queued()
        async with asyncio.timeout(30):
            await runner.execute(JobMessage.of(job))
        assert (world.row(job).status, world.row(job).result) == (JobStatus.RETRYING, None)
        assert runner.discarded == []
        over.set()
        await until(lambda: runner.discarded)
        assert runner.discarded == [Answer(text="late")]
        assert (world.row(job).status, world.row(job).result) == (JobStatus.RETRYING, None)

    async def test_the_lease_is_kept_while_a_body_runs_longer_than_it(self, world: World) -> None:
        class Short(Demo):
            kind = "demo"
            lease = timedelta(seconds=4)  # three quarters of it are longer than a busy machine stalls

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            first = world.repository.jobs[ctx.job.id].lease_until
            assert first is not None
            await until(lambda: (world.repository.jobs[ctx.job.id].lease_until or first) > first + Short.lease)
            assert await world.repository.rescue(limit=1) == []
            return Answer(text="")

        assert (await world.run(body, Short)).status is JobStatus.SUCCEEDED

    async def test_a_shutdown_gives_the_job_back_without_counting_it(self, world: World) -> None:
        started = asyncio.Event()

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

        job = await world.queued()
        task = asyncio.create_task(world.runner(body).execute(JobMessage.of(job)))
        await started.wait()
        task.cancel()
        assert await task is None, "the host catches Exception only"  # type: ignore[func-returns-value]
        assert (world.row(job).status, world.row(job).tries) == (JobStatus.PENDING, 0)
        assert world.queues.sent[-1].message.gen == 2, "another worker is woken at once"
