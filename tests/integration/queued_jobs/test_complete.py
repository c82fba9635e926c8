"""A result that is stored in the body's own transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from queued_jobs import JobContext, JobStatus, QueuedJob
from queued_jobs.message import JobMessage
from tests.integration.queued_jobs.conftest import Answer, Ask, Demo, Shop
from tests.support.waiting import eventually

Body = Callable[[JobContext[Answer]], Awaitable[Answer]]
ANSWER = Answer(text="by myself")


class Scripted(Demo):
    kind = "demo"
    body: Body

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        return await self.body(ctx)


async def run(shop: Shop, body: Body) -> QueuedJob:
    handle = await shop.queue()
    runner = Scripted(shop.backend)
    runner.body = body
    await runner.execute(JobMessage.of(handle.job))
    job = await shop.tracker.get(handle.id, user_id="ann")
    last = max(shop.notifier.pushed, key=lambda pushed: pushed.version)
    assert (last.status, last.version) == (job.status, job.version), "what is shown is what is stored"
    return job


async def commit(shop: Shop, ctx: JobContext[Answer], *, rolled_back: bool = False) -> None:
    async with shop.database.connection() as conn, conn.transaction(force_rollback=rolled_back):
        await ctx.complete(ANSWER, conn=conn)


async def test_a_commit_ends_the_job(shop: Shop) -> None:
    async def body(ctx: JobContext[Answer]) -> Answer:
        await commit(shop, ctx)
        return ANSWER

    job = await run(shop, body)
    assert (job.status, job.result) == (JobStatus.SUCCEEDED, {"text": "by myself"})


@pytest.mark.parametrize("error", [RuntimeError("after the commit"), asyncio.CancelledError()])
async def test_what_happens_after_the_commit_changes_nothing(shop: Shop, error: BaseException) -> None:
    async def body(ctx: JobContext[Answer]) -> Answer:
        await commit(shop, ctx)
        raise error

    assert (await run(shop, body)).status is JobStatus.SUCCEEDED


async def test_a_body_that_goes_on_long_after_its_commit_is_left_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[object] = []
    ends: list[str] = []

    async def heartbeat(*args: Any, **kwargs: Any) -> Any:
        beats.append(found := await beat(*args, **kwargs))
        return found

    beat = shop.repository.heartbeat
    monkeypatch.setattr(shop.repository, "heartbeat", heartbeat)

    async def body(ctx: JobContext[Answer]) -> Answer:
        await commit(shop, ctx)
        ctx.report(0.5, "cleaning up")

        async def has_beaten() -> bool:
            return None in beats

        await eventually(has_beaten, "a heartbeat finds that the job has ended")
        for _ in range(10):
            await asyncio.sleep(0)  # the caller of the heartbeat gets its answer
        ctx.checkpoint()
        ends.append("reached")
        return ANSWER

    assert (await run(shop, body)).status is JobStatus.SUCCEEDED
    assert ends == ["reached"]


async def test_a_rolled_back_completion_is_a_failure(shop: Shop) -> None:
    async def body(ctx: JobContext[Answer]) -> Answer:
        await commit(shop, ctx, rolled_back=True)
        return ANSWER

    job = await run(shop, body)
    assert job.error is not None
    assert job.status is JobStatus.RETRYING
    assert "rolled back" in job.error.message


async def test_a_shutdown_after_the_commit_releases_nothing(shop: Shop) -> None:
    committed = asyncio.Event()

    async def body(ctx: JobContext[Answer]) -> Answer:
        await commit(shop, ctx)
        committed.set()
        await asyncio.Event().wait()
        raise AssertionError

    handle = await shop.queue()
    runner = Scripted(shop.backend)
    runner.body = body
    attempt = asyncio.create_task(runner.execute(JobMessage.of(handle.job)))
    await committed.wait()
    attempt.cancel()
    await attempt
    assert (await shop.tracker.get(handle.id, user_id="ann")).status is JobStatus.SUCCEEDED
    assert shop.notifier.pushed[-1].status is JobStatus.SUCCEEDED
