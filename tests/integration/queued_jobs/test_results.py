"""Waiting for a job's typed result."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from queued_jobs import JobHandle, JobStatus
from queued_jobs.errors import InvalidResult, JobFailed, JobNotFound, ResultExpired, StoreUnavailable
from queued_jobs.model import JobError
from queued_jobs.tracker import ANY_USER
from tests.integration.queued_jobs.conftest import Answer, Shop

LONG, NOW = timedelta(minutes=3), timedelta()


@pytest.fixture
def asked(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each statement was run."""
    count: Counter[str] = Counter()
    run = shop.database._run

    async def counted(conn: Any, name: str, *args: Any, **options: Any) -> Any:
        count[name] += 1
        return await run(conn, name, *args, **options)

    monkeypatch.setattr(shop.database, "_run", counted)
    return count


async def end(shop: Shop, handle: JobHandle[Answer], text: str = "done") -> None:
    await shop.repository.succeed(await shop.claim(handle.job), {"text": text})


async def test_the_result_comes_in_its_type_while_it_is_waited_for(shop: Shop, asked: Counter[str]) -> None:
    handle = await shop.queue()
    waiting = asyncio.create_task(handle.result(timeout=LONG))
    while asked["ended"] < 3:
        await asyncio.sleep(0.01)
    await end(shop, handle)
    assert await waiting == Answer(text="done")
    asked.clear()
    assert await handle.result(timeout=NOW) == Answer(text="done"), "and it may be read again"
    assert asked == {"ended": 1}


async def test_the_looks_become_few(shop: Shop, asked: Counter[str]) -> None:
    handle = await shop.queue()
    with pytest.raises(TimeoutError):
        await handle.result(timeout=timedelta(seconds=2))
    assert asked["ended"] <= 10, "fifty milliseconds apart all the time, there would be forty"


async def test_a_job_that_did_not_succeed_is_an_error_that_says_why(shop: Shop) -> None:
    boom = JobError(type="Boom", message="it broke")
    failed, cancelled = await shop.queue(), await shop.queue()
    await shop.repository.fail(await shop.claim(failed.job), boom, retry_in=None)
    await shop.tracker.cancel(cancelled.id, user_id="ann")
    with pytest.raises(JobFailed, match="Boom: it broke") as caught:
        await failed.result(timeout=NOW)
    assert (caught.value.job_id, caught.value.status, caught.value.error) == (failed.id, JobStatus.FAILED, boom)
    with pytest.raises(JobFailed) as caught:
        await cancelled.result(timeout=NOW)
    assert (caught.value.status, caught.value.error) == (JobStatus.CANCELLED, None)
    await shop.tracker.retry(failed.id, user_id=ANY_USER)
    with pytest.raises(TimeoutError):
        await failed.result(timeout=NOW)


async def test_an_aborted_one_too(shop: Shop) -> None:
    handle = await shop.queue()
    await shop.claim(handle.job)
    async with shop.database.connection() as conn:
        await conn.execute("update queued_jobs.job set lost_count = 2, lease_until = now() - interval '1 hour'")
    await shop.manager.sweeper.run_once()
    with pytest.raises(JobFailed) as caught:
        await handle.result(timeout=NOW)
    assert caught.value.status is JobStatus.ABORTED
    assert caught.value.error is not None


async def test_neither_time_nor_the_end_of_the_caller_changes_the_job(shop: Shop) -> None:
    handle = await shop.queue()
    with pytest.raises(TimeoutError):
        await handle.result(timeout=NOW)
    waiting = asyncio.create_task(handle.result(timeout=LONG))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await end(shop, handle)
    assert await handle.result(timeout=NOW) == Answer(text="done")


async def test_a_result_that_is_gone_and_a_row_that_is_gone(shop: Shop) -> None:
    handle = await shop.queue()
    await end(shop, handle)
    await shop.repository.expire([handle.id])
    with pytest.raises(ResultExpired):
        await handle.result(timeout=NOW)
    async with shop.database.connection() as conn:
        await conn.execute("delete from queued_jobs.attempt")
        await conn.execute("delete from queued_jobs.job")
    with pytest.raises(JobNotFound):
        await handle.result(timeout=LONG)


async def test_a_result_of_another_shape_is_an_error(shop: Shop) -> None:
    handle = await shop.queue()
    await shop.repository.succeed(await shop.claim(handle.job), {"words": "none"})
    with pytest.raises(InvalidResult):
        await handle.result(timeout=NOW)


async def test_a_job_that_is_not_committed_is_not_there(shop: Shop) -> None:
    async with shop.database.transaction() as conn:
        handle = await shop.queue(conn=conn)
        with pytest.raises(JobNotFound):
            await handle.result(timeout=LONG)


async def test_a_handle_of_a_job_that_was_there_before_waits_for_that_one(shop: Shop) -> None:
    first = await shop.queue(idempotency_key="k")
    await end(shop, first, "the first")
    assert await (await shop.queue(idempotency_key="k")).result(timeout=NOW) == Answer(text="the first")


async def test_a_database_that_is_away_is_asked_until_the_time_is_over(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await shop.queue()
    await end(shop, handle)
    fails = 3
    ask = shop.repository.ended

    async def away(job_id: Any) -> Any:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise StoreUnavailable
        return await ask(job_id)

    monkeypatch.setattr(shop.repository, "ended", away)
    assert await handle.result(timeout=LONG) == Answer(text="done")
    fails = 10**9
    with pytest.raises(TimeoutError) as caught:
        await handle.result(timeout=NOW)
    assert isinstance(caught.value.__cause__, StoreUnavailable)
