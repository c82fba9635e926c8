"""Two that act on one job at the same moment, on connections of their own: whoever wins, the row tells one story."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from queued_jobs import JobContext, JobRunner, JobStatus, QueuedJob, QueueManager
from queued_jobs.batch import FollowUp
from queued_jobs.database import Database
from queued_jobs.errors import JobConflict, JobNotFound, JobsError
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import JobError, JobKey
from queued_jobs.postgres import PostgresRepository
from tests.integration.queued_jobs.conftest import Answer, Ask, Demo, Shop

#: Each round meets at another instant; few rounds would all have the same winner.
ROUNDS = 30
BOOM = JobError(type="Boom", message="it broke")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Sum(JobRunner[Ask, Answer]):
    kind = "sum"
    queue = "sum"

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        return Answer(text=str(len(await ctx.batch())))


class Rival:
    """A second process: the same database, and nothing else in common."""

    def __init__(self, shop: Shop, database: Database) -> None:
        self.repository = PostgresRepository(database)
        self.manager = QueueManager([Demo, Sum], repository=self.repository, queues=shop.queues, notifier=shop.notifier)
        self.tracker = self.manager.tracker


@pytest.fixture
async def rival(shop: Shop, jobs_url: str) -> AsyncIterator[Rival]:
    database = Database(jobs_url)
    yield Rival(shop, database)
    await database.close()


async def both(one: Awaitable[Any], other: Awaitable[Any]) -> tuple[Any, Any]:
    """Start both at once. Errors that are not the library's, such as a deadlock or a broken CHECK, are raised."""
    async with asyncio.timeout(60):
        found = await asyncio.gather(one, other, return_exceptions=True)
    for result in found:
        if isinstance(result, BaseException) and not isinstance(result, JobsError):
            raise result
    return found[0], found[1]


async def claim(repository: PostgresRepository, job: QueuedJob) -> QueuedJob | None:
    message = JobMessage.of(job)
    return await repository.claim(message, kind="demo", schema_version=1, lease=MINUTE, timeout=HOUR)


async def now(shop: Shop, key: JobKey) -> QueuedJob:
    return await shop.tracker.get(key, user_id="ann")


async def outcomes(shop: Shop, key: JobKey) -> list[str | None]:
    return [attempt.outcome for attempt in await shop.tracker.attempts(key, user_id="ann")]


async def lose(shop: Shop, job: QueuedJob) -> None:
    async with shop.database.connection() as conn:
        await conn.execute(
            "update queued_jobs.job set lease_until = now() - interval '1 hour' where id = %s", (job.id,)
        )


async def test_a_claim_and_a_cancel(shop: Shop, rival: Rival) -> None:
    for _ in range(ROUNDS):
        job = (await shop.queue()).job
        claimed, cancelled = await both(claim(shop.repository, job), rival.tracker.cancel(job.id, user_id="ann"))
        row = await now(shop, job.id)
        assert row.cancel_requested
        assert row.version == job.version + 1 + (claimed is not None)
        assert cancelled.status is row.status is (JobStatus.RUNNING if claimed else JobStatus.CANCELLED)
        assert len(await outcomes(shop, job.id)) == (claimed is not None)


async def test_two_claims(shop: Shop, rival: Rival) -> None:
    for _ in range(ROUNDS):
        job = (await shop.queue()).job
        won = [one for one in await both(claim(shop.repository, job), claim(rival.repository, job)) if one is not None]
        assert len(won) == 1
        assert (await now(shop, job.id)).lease_token == won[0].lease_token


async def test_a_finish_and_the_rescue(shop: Shop, rival: Rival) -> None:
    """The lease is over and the worker comes back in that very moment."""
    for _ in range(ROUNDS):
        job = await shop.running()
        await lose(shop, job)
        done, rescued = await both(shop.repository.succeed(job, {"text": "done"}), rival.repository.rescue(limit=10))
        assert (done is None) == (len(rescued) == 1)
        row = await now(shop, job.id)
        assert row.status is (JobStatus.SUCCEEDED if done else JobStatus.RETRYING)
        assert row.result == ({"text": "done"} if done else None)
        assert await outcomes(shop, job.id) == ["succeeded" if done else "lost"]


async def test_a_heartbeat_and_the_rescue(shop: Shop, rival: Rival) -> None:
    for _ in range(ROUNDS):
        job = await shop.running()
        await lose(shop, job)
        beat, rescued = await both(
            shop.repository.heartbeat(job, lease=MINUTE, progress=0.5, message=None), rival.repository.rescue(limit=10)
        )
        assert (beat is None) == (len(rescued) == 1), "either it lives, or another attempt follows"
        assert (await now(shop, job.id)).status is (JobStatus.RUNNING if beat else JobStatus.RETRYING)


async def test_a_zombie_and_the_winner(shop: Shop, rival: Rival) -> None:
    for _ in range(ROUNDS):
        zombie = await shop.running()
        await lose(shop, zombie)
        (rescued,) = await rival.repository.rescue(limit=10)
        winner = await claim(rival.repository, rescued)
        assert winner is not None
        late, done = await both(
            shop.repository.succeed(zombie, {"text": "zombie"}), rival.repository.succeed(winner, {"text": "winner"})
        )
        assert late is None
        assert done.result == {"text": "winner"}
        assert await now(shop, zombie.id) == done
        assert await shop.repository.outcome(zombie) is None


async def test_a_finish_and_a_cancel(shop: Shop, rival: Rival) -> None:
    for _ in range(ROUNDS):
        job = await shop.running()
        done, asked = await both(
            shop.repository.succeed(job, {"text": "done"}), rival.tracker.cancel(job.id, user_id="ann")
        )
        row = await now(shop, job.id)
        assert done is not None
        assert (row.status, row.result) == (JobStatus.SUCCEEDED, {"text": "done"})
        assert row.cancel_requested is not isinstance(asked, JobConflict)


@pytest.mark.parametrize("act", ["fail", "release"])
async def test_an_attempt_that_ends_badly_and_a_cancel(shop: Shop, rival: Rival, act: str) -> None:
    for _ in range(ROUNDS):
        job = await shop.running()
        ending = (
            shop.repository.fail(job, BOOM, retry_in=timedelta()) if act == "fail" else shop.repository.release(job)
        )
        ended, cancelled = await both(ending, rival.tracker.cancel(job.id, user_id="ann"))
        assert ended is not None
        assert not isinstance(cancelled, JobsError)
        row = await now(shop, job.id)
        assert row.status is JobStatus.CANCELLED, "whichever came first"
        assert row.finished_at is not None
        assert await claim(shop.repository, row) is None


async def test_two_retries(shop: Shop, rival: Rival) -> None:
    for _ in range(ROUNDS):
        failed = await shop.repository.fail(await shop.running(), BOOM, retry_in=None)
        assert failed is not None
        found = await both(shop.tracker.retry(failed.id, user_id="ann"), rival.tracker.retry(failed.id, user_id="ann"))
        assert Counter(isinstance(one, JobConflict) for one in found) == {True: 1, False: 1}
        assert (await now(shop, failed.id)).dispatch_gen == failed.dispatch_gen + 1


async def test_a_retry_and_the_pruning(shop: Shop, rival: Rival) -> None:
    for _ in range(ROUNDS):
        failed = await shop.repository.fail(await shop.running(), BOOM, retry_in=None)
        assert failed is not None
        await shop.repository.tally(limit=100)
        retried, pruned = await both(
            shop.tracker.retry(failed.id, user_id="ann"), rival.repository.prune(older_than=-HOUR, limit=10)
        )
        if pruned:
            assert isinstance(retried, JobNotFound)
            assert await shop.count() == 0
        else:
            assert (await now(shop, failed.id)).status is JobStatus.PENDING
            assert await outcomes(shop, failed.id) == ["failed"], "with its history"
            await shop.tracker.cancel(failed.id, user_id="ann")
            assert await rival.repository.prune(older_than=-HOUR, limit=10) == 1


async def test_a_poisoned_message_and_a_claim(shop: Shop, rival: Rival) -> None:
    for _ in range(ROUNDS):
        job = (await shop.queue()).job
        claimed, poisoned = await both(claim(shop.repository, job), rival.repository.poisoned(JobMessage.of(job)))
        row = await now(shop, job.id)
        assert claimed is not None
        assert (row.status, row.lease_token) == (JobStatus.RUNNING, claimed.lease_token)
        assert row.version == claimed.version == job.version + 1 + (poisoned is not None)


@pytest.mark.parametrize("answer", ["no handler", "too early", "poison"])
async def test_a_sender_that_marks_and_what_its_message_met(shop: Shop, rival: Rival, answer: str) -> None:
    for _ in range(ROUNDS):
        shop.queues.unavailable = True
        job = (await shop.queue(delay=timedelta(minutes=5) if answer == "too early" else timedelta())).job
        message = JobMessage.of(job)
        kind = "other" if answer == "no handler" else "demo"
        meeting = (
            rival.repository.poisoned(message)
            if answer == "poison"
            else rival.repository.defer(message, kind=kind, schema_version=1)
        )
        await both(shop.repository.mark_sent([Reserved.of(job)]), meeting)
        row = await now(shop, job.id)
        assert row.sent_gen < row.dispatch_gen, "the message is used up, so another one is owed"


async def test_the_last_two_of_a_batch(shop: Shop, rival: Rival) -> None:
    runners = [manager.runner(Demo.kind) for manager in (shop.manager, rival.manager)]
    for _ in range(ROUNDS):
        batch = await shop.manager.queue_jobs(
            Demo,
            [Ask(), Ask(n=2)],
            user_id="ann",
            follow_up=FollowUp(runner=Sum, request=Ask()),
        )
        assert batch.follow_up is not None
        shop.queues.sent.clear()
        await both(
            *(runner.execute(JobMessage.of(handle.job)) for runner, handle in zip(runners, batch.handles, strict=True))
        )
        assert [due.message.id for due in shop.queues.sent] == [batch.follow_up.id], "it is woken, and once"


async def test_a_follow_up_that_may_run_and_is_cancelled(shop: Shop, rival: Rival) -> None:
    for _ in range(ROUNDS):
        job = (await shop.queue()).job
        batch_id = uuid4()
        async with shop.database.connection() as conn:
            await conn.execute(
                "update queued_jobs.job set after_batch = %s, available_at = '9999-12-31Z', next_send_at = available_at"
                " where id = %s",
                (batch_id, job.id),
            )
        released, cancelled = await both(
            shop.repository.follow_ups(limit=10), rival.tracker.cancel(job.id, user_id="ann")
        )
        assert not isinstance(cancelled, JobsError)
        row = await now(shop, job.id)
        assert row.status is JobStatus.CANCELLED
        assert row.version == job.version + 1 + len(released)
        assert await shop.repository.follow_ups(limit=10) == []


async def test_a_unique_key_and_the_end_of_who_holds_it(shop: Shop, rival: Rival) -> None:
    for _ in range(ROUNDS):
        holder = await shop.running(unique_key="u")
        done, handle = await both(rival.repository.succeed(holder, {"text": "done"}), shop.queue(unique_key="u"))
        assert done is not None
        assert handle.duplicate == (handle.id == holder.id)
        async with shop.database.connection() as conn:
            live = await (
                await conn.execute("select id from queued_jobs.job where unique_key = 'u' and finished_at is null")
            ).fetchall()
        assert [row["id"] for row in live] == ([] if handle.duplicate else [handle.id])
        if live:
            await shop.tracker.cancel(handle.id, user_id="ann")


async def test_one_batch_from_two_sides(shop: Shop, rival: Rival) -> None:
    for number in range(ROUNDS // 3):
        one, other = await both(
            *(
                manager.queue_jobs(
                    Demo,
                    [Ask(n=n) for n in range(50)],
                    user_id="ann",
                    idempotency_key=f"import {number}",
                    follow_up=FollowUp(runner=Sum, request=Ask()),
                )
                for manager in (shop.manager, rival.manager)
            )
        )
        assert [handle.id for handle in one.handles] == [handle.id for handle in other.handles]
        assert one.id == other.id
        assert one.follow_up.id == other.follow_up.id
        assert sorted((one.handles[0].duplicate, other.handles[0].duplicate)) == [False, True]
    assert await shop.count() == 51 * (ROUNDS // 3)


async def test_two_sweepers(shop: Shop, rival: Rival) -> None:
    shop.queues.unavailable = True
    for _ in range(ROUNDS // 3):
        for _ in range(12):
            await shop.queue()
        async with shop.database.connection() as conn:
            await conn.execute("update queued_jobs.job set next_send_at = now() - interval '1 minute'")
        one, other = await both(shop.repository.unsent(limit=100), rival.repository.unsent(limit=100))
        picked = Counter(due.message.id for due in [*one, *other])
        assert set(picked.values()) == {1}
        assert len(picked) == await shop.count()
