"""Children, lent transactions and awaited results on a bench, as a fork tests them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import ClassVar

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobHandle, JobRunner, JobStatus, RetryPolicy
from queued_jobs.errors import InvalidRequest, JobFailed, ResultExpired
from queued_jobs.testing import JobBench, run_inline

NOW = timedelta()


class Ask(BaseModel):
    n: int = 1


class Answer(BaseModel):
    n: int


class Child(JobRunner[Ask, Answer]):
    kind = "child"
    queue = "child"

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        return Answer(n=10 * request.n)


type Body = Callable[[JobContext[Answer]], Awaitable[None]]


class Parent(JobRunner[Ask, Answer]):
    kind = "parent"
    queue = "parent"
    retry = RetryPolicy(max_attempts=3)
    body: ClassVar[Body]

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        await type(self).body(ctx)
        return Answer(n=ctx.job.attempt)


class Threaded(Parent):
    kind = "threaded"
    queue = "threaded"

    def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:  # type: ignore[override]
        ctx.wait(type(self).body(ctx))
        return Answer(n=ctx.job.attempt)


async def run(body: Body, kind: type[Parent] = Parent) -> tuple[JobBench, JobHandle[Answer]]:
    """Run a job of this body to its end, however many attempts it takes."""
    kind.body = body
    bench = JobBench(kind, Child)
    handle = await bench.manager.queue_job(kind, Ask(), user_id="ann", user_name="Ann")
    for _ in range(3):
        await bench.drain()
        bench.clock.advance(timedelta(hours=1))
    return bench, handle


def children(bench: JobBench) -> list[int]:
    return [int(job.request["n"]) for job in bench.repository.jobs.values() if job.kind == "child"]


@pytest.mark.parametrize("kind", [Parent, Threaded])
async def test_each_child_starts_once_however_often_the_body_runs(kind: type[Parent]) -> None:
    async def body(ctx: JobContext[Answer]) -> None:
        for n in [2, 1, 1] if ctx.job.attempt == 1 else [1, 3, 2, 1]:
            await ctx.queue_job(Child, Ask(n=n))
        if ctx.job.attempt < 3:
            raise OSError

    bench, handle = await run(body, kind)
    assert sorted(children(bench)) == [1, 1, 2, 3]
    assert await handle.result(timeout=NOW) == Answer(n=3)
    born = [job for job in bench.repository.jobs.values() if job.kind == "child"]
    assert {(job.user_id, job.user_name, job.parent_id) for job in born} == {("ann", "Ann", handle.id)}


async def test_equal_ones_that_start_together_are_as_many_as_were_asked_for() -> None:
    async def body(ctx: JobContext[Answer]) -> None:
        await asyncio.gather(*(ctx.queue_job(Child, Ask()) for _ in range(3)))
        if ctx.job.attempt < 3:
            raise OSError

    assert children((await run(body))[0]) == [1, 1, 1]


async def test_what_is_rolled_back_was_never_there() -> None:
    started: list[tuple[bool, bool]] = []

    async def body(ctx: JobContext[Answer]) -> None:
        for turn in (1, 2):
            try:
                async with ctx.transaction() as conn:
                    child = await ctx.queue_job(Child, Ask(n=5), conn=conn)
                    if ctx.job.attempt == turn == 1:
                        raise OSError
                started.append((child.duplicate, child.sent))
                break
            except OSError:
                continue
        if ctx.job.attempt == 1:
            raise OSError

    bench, handle = await run(body)
    assert children(bench) == [5]
    assert started == [(False, True), (True, True)], "it was sent after the commit, and there for the next attempt"
    assert await handle.result(timeout=NOW) == Answer(n=2)


async def test_a_result_in_a_transaction_that_fails_is_not_there() -> None:
    async def body(ctx: JobContext[Answer]) -> None:
        async with ctx.transaction() as conn:
            await ctx.complete(Answer(n=7), conn=conn)
            raise OSError

    bench, handle = await run(body)
    assert bench.job(handle).result is None
    with pytest.raises(JobFailed) as caught:
        await handle.result(timeout=NOW)
    assert (caught.value.status, caught.value.error) == (JobStatus.FAILED, bench.job(handle).error)


async def test_the_store_in_memory_has_no_sql_and_says_so() -> None:
    async def body(ctx: JobContext[Answer]) -> None:
        async with ctx.transaction() as conn:
            await conn.execute("select 1")

    bench, handle = await run(body)
    error = bench.job(handle).error
    assert error is not None
    assert (error.type, "execute" in error.message) == ("RuntimeError", True)


async def test_a_key_that_does_not_fit_is_refused() -> None:
    async def body(ctx: JobContext[Answer]) -> None:
        for key in ("", "k" * 101):
            with pytest.raises(InvalidRequest):
                await ctx.queue_job(Child, Ask(), key=key)
        await ctx.queue_job(Child, Ask(), key="k" * 100)

    assert children((await run(body))[0]) == [1]


async def test_a_result_that_has_expired_is_another_error_than_one_that_never_was() -> None:
    async def body(ctx: JobContext[Answer]) -> None:
        return None

    bench, handle = await run(body)
    await bench.repository.expire([handle.id])
    with pytest.raises(ResultExpired):
        await handle.result(timeout=NOW)


async def test_a_body_that_is_run_inline_may_start_children_too() -> None:
    async def body(ctx: JobContext[Answer]) -> None:
        assert (await ctx.queue_job(Child, Ask())).sent

    for kind in (Parent, Threaded):
        kind.body = body
        assert await run_inline(kind, Ask(), attempt=2) == Answer(n=2)
