"""The kit with which forks test their own jobs."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, JobStatus, PermanentError
from queued_jobs.errors import JobConflict
from queued_jobs.testing import FrozenClock, JobBench, run_inline


class Ask(BaseModel):
    words: list[str]


class Count(BaseModel):
    words: int


class Counter(JobRunner[Ask, Count]):
    kind = "counter"
    queue = "counter"

    def on_execute(self, request: Ask, ctx: JobContext[Count]) -> Count:
        if "nothing" in request.words:
            raise PermanentError("I do not count nothing.")
        if "flaky" in request.words and ctx.job.attempt == 1:
            raise OSError("not now")
        return Count(words=len(request.words))


class Silent(JobRunner[Ask, None]):
    kind = "silent"
    queue = "silent"

    async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        ctx.checkpoint()


class Name(BaseModel):
    name: str


class Named(JobRunner[Ask, Name]):
    kind = "named"
    queue = "named"

    async def on_execute(self, request: Ask, ctx: JobContext[Name]) -> Name:
        if "flaky" in request.words and ctx.job.attempt == 1:
            raise OSError(ctx.claim_id)
        return Name(name=ctx.claim_id)


class TestRunInline:
    async def test_it_returns_what_the_body_returns(self) -> None:
        assert await run_inline(Counter, Ask(words=["a", "b"])) == Count(words=2)
        assert await run_inline(Silent, Ask(words=[])) is None  # type: ignore[func-returns-value]

    async def test_it_raises_what_the_body_raises(self) -> None:
        with pytest.raises(PermanentError, match="nothing"):
            await run_inline(Counter, Ask(words=["nothing"]))

    async def test_any_attempt_can_be_tried(self) -> None:
        with pytest.raises(OSError, match="not now"):
            await run_inline(Counter, Ask(words=["flaky"]))
        assert await run_inline(Counter, Ask(words=["flaky"]), attempt=2) == Count(words=1)

    async def test_each_run_has_a_name_of_its_own(self) -> None:
        names = [(await run_inline(Named, Ask(words=[]))).name for _ in range(3)]
        assert len(set(names)) == 3


class TestBench:
    async def test_each_attempt_has_a_name_of_its_own(self) -> None:
        bench = JobBench(Named)
        handle = await bench.manager.queue_job(Named, Ask(words=["flaky"]), user_id="ann")
        await bench.drain()
        error = bench.job(handle).error
        bench.clock.advance(timedelta(minutes=1))
        await bench.drain()
        result = bench.job(handle).result
        assert error is not None
        assert result is not None
        assert error.message != result["name"]
        assert len(error.message) == len(result["name"]) == 32

    async def test_jobs_of_several_kinds_run(self) -> None:
        bench = JobBench(Counter, Silent)
        first = await bench.manager.queue_job(Counter, Ask(words=["a"]), user_id="ann")
        second = await bench.manager.queue_job(Silent, Ask(words=[]), user_id="ann")
        assert await bench.drain() == 2
        assert bench.job(first).result == {"words": 1}
        assert bench.job(second).status is JobStatus.SUCCEEDED

    async def test_a_retry_waits_for_the_clock(self) -> None:
        bench = JobBench(Counter)
        handle = await bench.manager.queue_job(Counter, Ask(words=["flaky"]), user_id="ann")
        await bench.drain()
        assert bench.job(handle).status is JobStatus.RETRYING
        bench.clock.advance(timedelta(minutes=1))
        await bench.drain()
        assert (bench.job(handle).status, bench.job(handle).attempt) == (JobStatus.SUCCEEDED, 2)

    async def test_a_queue_that_comes_back_gets_what_it_missed(self) -> None:
        bench = JobBench(Counter)
        bench.queues.unavailable = True
        handle = await bench.manager.queue_job(Counter, Ask(words=["a"]), user_id="ann")
        assert await bench.drain() == 0
        bench.queues.unavailable = False
        bench.clock.advance(timedelta(minutes=1))
        assert await bench.drain() == 1
        assert bench.job(handle).status is JobStatus.SUCCEEDED


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="0:00:01"):
        FrozenClock().advance(-timedelta(seconds=1))


class TestCancel:
    async def test_a_waiting_job_ends_and_never_runs(self) -> None:
        bench = JobBench(Counter)
        handle = await bench.manager.queue_job(Counter, Ask(words=["a"]), user_id="ann")
        assert (await bench.cancel(handle)).status is JobStatus.CANCELLED
        await bench.drain()
        assert (bench.job(handle).status, bench.job(handle).attempt) == (JobStatus.CANCELLED, 0)
        assert bench.notifier.pushed[-1].status is JobStatus.CANCELLED
        with pytest.raises(JobConflict):
            await bench.cancel(handle)

    async def test_a_running_job_stops_at_its_checkpoint(self) -> None:
        begun = asyncio.Event()

        class Patient(JobRunner[Ask, None]):
            kind = queue = "patient"

            async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
                begun.set()
                for n in itertools.count():
                    ctx.report(message=str(n))
                    ctx.checkpoint()
                    await asyncio.sleep(0.01)

        bench = JobBench(Patient)
        handle = await bench.manager.queue_job(Patient, Ask(words=[]), user_id="ann")
        draining = asyncio.create_task(bench.drain())
        await begun.wait()
        job = await bench.cancel(handle)
        assert (job.status, job.cancel_requested) == (JobStatus.RUNNING, True)
        await draining
        assert bench.job(handle).status is JobStatus.CANCELLED
