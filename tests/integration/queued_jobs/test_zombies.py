"""Workers that have lost their job write on, late and beside the attempt that has it since: nothing of it is kept.

Together the ways to lose a job are tried with more than 500 late saves, 500 late texts and 500 late finishes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from queued_jobs import JobContext, QueuedJob
from queued_jobs._upkeep import MAX_LOST
from queued_jobs.chunks import NewChunk
from queued_jobs.errors import LeaseLost
from queued_jobs.model import JobError, JobKey
from queued_jobs.tracker import ANY_USER
from tests.integration.queued_jobs.conftest import Answer, Shop

BOOM = JobError(type="Boom", message="it broke")
MIB = 1024 * 1024
MINUTE = timedelta(minutes=1)
#: Jobs of each way, and late writes of each sort for each of them.
JOBS, WRITES = 9, 6
TABLES = ("cursor", "stream", "chunk", "attempt")

Way = Callable[[Shop, QueuedJob], Awaitable[QueuedJob | None]]


async def run_out(shop: Shop, job: QueuedJob, column: str = "lease_until") -> QueuedJob:
    """Let the lease or the timeout end, and return the job as the sweeper leaves it."""
    async with shop.database.connection() as conn:
        await conn.execute(
            f"update queued_jobs.job set {column} = now() - interval '1 hour' where id = %s",  # noqa: S608 (our own)
            (job.id,),
        )
    (rescued,) = await shop.repository.rescue(limit=10)
    return rescued


async def rescued(shop: Shop, job: QueuedJob) -> QueuedJob | None:
    return await shop.claim(await run_out(shop, job))


async def timed_out(shop: Shop, job: QueuedJob) -> QueuedJob | None:
    return await shop.claim(await run_out(shop, job, "deadline_at"))


async def taken_over(shop: Shop, job: QueuedJob) -> QueuedJob | None:
    """The worker was told to stop and gave the job back, while a thread of the body continues."""
    released = await shop.repository.release(job)
    assert released is not None
    return await shop.claim(released)


async def failed_and_tried_again(shop: Shop, job: QueuedJob) -> QueuedJob | None:
    failed = await shop.repository.fail(job, BOOM, retry_in=timedelta())
    assert failed is not None
    return await shop.claim(failed)


async def cancelled_and_retried(shop: Shop, job: QueuedJob) -> QueuedJob | None:
    await shop.tracker.cancel(job.id, user_id="ann")
    cancelled = await shop.repository.finish_cancelled(job)
    assert cancelled is not None
    return await shop.claim(await shop.tracker.retry(job.id, user_id="ann"))


async def retried_from_the_start(shop: Shop, job: QueuedJob) -> QueuedJob | None:
    """The cursor is gone, so a late save would be the first one."""
    assert await shop.repository.fail(job, BOOM, retry_in=None) is not None
    return await shop.claim(await shop.tracker.retry(job.id, user_id="ann", from_start=True))


async def aborted_and_retried_by_an_admin(shop: Shop, job: QueuedJob) -> QueuedJob | None:
    async with shop.database.connection() as conn:
        await conn.execute("update queued_jobs.job set lost_count = %s where id = %s", (MAX_LOST - 1, job.id))
        await conn.execute("update queued_jobs.cursor set resumes = max_resumes where job_id = %s", (job.id,))
    assert (await run_out(shop, job)).status == "aborted"
    return await shop.claim(await shop.tracker.retry(job.id, user_id=ANY_USER))


async def waiting(shop: Shop, job: QueuedJob) -> QueuedJob | None:
    """No other worker has it yet."""
    assert await shop.repository.release(job) is not None
    return None


async def won_by_another(shop: Shop, job: QueuedJob) -> QueuedJob | None:
    winner = await rescued(shop, job)
    assert winner is not None
    assert await shop.repository.succeed(winner, {"text": "winner"}) is not None
    return None


async def erased(shop: Shop, job: QueuedJob) -> QueuedJob | None:
    """The row is gone, with all that belongs to it."""
    await shop.tracker.cancel(job.id, user_id="ann")
    await run_out(shop, job)
    await shop.manager.erasure.erase("ann")
    return None


WAYS: tuple[Way, ...] = (
    rescued,
    timed_out,
    taken_over,
    failed_and_tried_again,
    cancelled_and_retried,
    retried_from_the_start,
    aborted_and_retried_by_an_admin,
    waiting,
    won_by_another,
    erased,
)


async def late_save(shop: Shop, zombie: QueuedJob, number: int) -> bool:
    ctx = JobContext[Answer](zombie, shop.backend, max_resumes=5)
    try:
        if number % 3 == 0:
            await ctx.save({"late": number})
        elif number % 3 == 1:
            async with ctx.transaction() as conn:
                await ctx.save({"late": number}, conn=conn)
        else:
            async for step in ctx.step("late"):
                await step.save(number)
    except LeaseLost:
        return False
    return True


async def late_text(shop: Shop, zombie: QueuedJob, number: int, written: int) -> bool:
    """Append as the body does, or right behind what the attempt that has the job now has written."""
    text = f"late {number}"
    if number % 3 == 0:
        append = shop.repository.append
        return await append(zombie, [NewChunk(topic="log", text=text)], written=written, max_size=MIB) is not None
    ctx = JobContext[Answer](zombie, shop.backend)
    if number % 3 == 1:
        await ctx.emit("tokens", text)
    else:
        ctx.log(text)
    await ctx.output.close(within=MINUTE)
    try:
        await ctx.emit("tokens", text)
    except LeaseLost:
        return False
    return True


async def late_finish(shop: Shop, zombie: QueuedJob, number: int) -> bool:
    repository = shop.repository
    match number % 6:
        case 0:
            return await repository.succeed(zombie, {"text": "late"}) is not None
        case 1:
            return await repository.fail(zombie, BOOM, retry_in=None, resume=True) is not None
        case 2:
            return await repository.fail(zombie, BOOM, retry_in=timedelta(), resume=True) is not None
        case 3:
            return await repository.release(zombie) is not None
        case 4:
            return await repository.finish_cancelled(zombie) is not None
    ctx = JobContext[Answer](zombie, shop.backend, result_type=Answer)
    try:
        async with shop.repository.transaction() as conn:
            await ctx.complete(Answer(text="late"), conn=conn)
    except LeaseLost:
        return False
    return True


async def stored(shop: Shop, key: JobKey) -> dict[str, list[dict[str, Any]]]:
    """All rows of a job, by their table."""
    found: dict[str, list[dict[str, Any]]] = {}
    async with shop.database.connection() as conn:
        for table in TABLES:
            rows = await conn.execute(f"select * from queued_jobs.{table} where job_id = %s order by 1, 2", (key,))  # noqa: S608 (our own)
            found[table] = list(await rows.fetchall())
        rows = await conn.execute("select * from queued_jobs.job where id = %s", (key,))
        found["job"] = list(await rows.fetchall())
    return found


async def append(shop: Shop, job: QueuedJob, texts: list[str], written: int) -> None:
    chunks = [NewChunk(topic="log", text=text) for text in texts]
    assert await shop.repository.append(job, chunks, written=written, max_size=MIB) is not None


async def storm(shop: Shop, zombie: QueuedJob, written: int) -> Counter[tuple[str, bool]]:
    """Write late, in every way and all at once; count what was tried, and whether it was accepted."""
    numbers = range(WRITES)
    saves = [late_save(shop, zombie, number) for number in numbers]
    texts = [late_text(shop, zombie, number, written) for number in numbers]
    finishes = [late_finish(shop, zombie, number) for number in numbers]
    sorts = [sort for sort in ("save", "text", "finish") for _ in numbers]
    return Counter(zip(sorts, await asyncio.gather(*saves, *texts, *finishes), strict=True))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_nothing_that_a_zombie_writes_is_accepted(shop: Shop, way: Way) -> None:
    tried: Counter[tuple[str, bool]] = Counter()
    for _ in range(JOBS):
        zombie = await shop.running()
        await shop.repository.save(zombie, {"cursor": "before"}, max_resumes=5)
        await append(shop, zombie, ["a", "b"], 0)
        winner = await way(shop, zombie)
        before = await stored(shop, zombie.id)
        assert any(before.values()) is not (way is erased)
        # a winner has written nothing yet
        tried += await storm(shop, zombie, 0 if winner else 2)
        assert await stored(shop, zombie.id) == before
        if winner is not None:
            tried += await beside(shop, zombie, winner)
    assert {sort: tried[sort, True] for sort in ("save", "text", "finish")} == {"save": 0, "text": 0, "finish": 0}
    assert all(len(WAYS) * tried[sort, False] >= 500 for sort in ("save", "text", "finish"))


async def beside(shop: Shop, zombie: QueuedJob, winner: QueuedJob) -> Counter[tuple[str, bool]]:
    """Let the winner write while the zombie does: all of the winner's is kept, under the next numbers."""

    async def write() -> None:
        for number, text in enumerate("defg", start=1):
            await append(shop, winner, [text], number)
            assert await shop.repository.save(winner, {"cursor": number}, max_resumes=5)

    await append(shop, winner, ["c"], 0)
    tried, _ = await asyncio.gather(storm(shop, zombie, 1), write())
    done = await shop.repository.succeed(winner, {"text": "winner"})
    assert done is not None
    after = await stored(shop, zombie.id)
    assert [(row["seq"], row["text"]) for row in after["chunk"]] == list(enumerate("abcdefg", start=1))
    assert [(row["gen"], row["value"]) for row in after["cursor"]] == [(winner.dispatch_gen, {"cursor": 4})]
    assert await shop.tracker.get(winner.id, user_id="ann") == done
    return tried
