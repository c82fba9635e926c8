"""Lines and batches under concurrent workers, lost messages and dying workers, on a real Postgres."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobHandle, JobRunner, JobStatus, QueuedJob, RetryPolicy
from queued_jobs.backend import Backend
from queued_jobs.batch import FollowUp
from queued_jobs.database import Database
from queued_jobs.errors import JobsError, StoreUnavailable
from queued_jobs.message import JobMessage
from queued_jobs.model import JobKey
from queued_jobs.postgres import PostgresRepository
from queued_jobs.sweeper import Sweeper
from tests.integration.queued_jobs.conftest import Shop
from tests.support.waiting import PATIENCE_SECONDS

WORKERS = 8
OWNERS = ("ann", "bob", "cleo")


class Step(BaseModel):
    number: int


class Export(JobRunner[Step, Step]):
    kind = "export"
    queue = "export"
    concurrency = 2
    retry = RetryPolicy(max_attempts=4, base=timedelta(0))
    running: ClassVar[Counter[str]] = Counter()
    most: ClassVar[Counter[str]] = Counter()
    started: ClassVar[dict[str, list[JobKey]]] = defaultdict(list)
    all_places_taken: ClassVar[dict[str, asyncio.Event]] = defaultdict(asyncio.Event)
    dice: ClassVar[random.Random] = random.Random(1)

    @classmethod
    def concurrency_key(cls, request: Step, user_id: str) -> str | None:
        return user_id

    async def on_execute(self, request: Step, ctx: JobContext[Step]) -> Step:
        owner = ctx.job.user_id
        self.running[owner] += 1
        self.most[owner] = max(self.most[owner], self.running[owner])
        if ctx.job.attempt == 1:
            self.started[owner].append(ctx.job.id)
        try:
            await self._together(owner)
            await asyncio.sleep(0.02)  # others may try meanwhile
            if self.dice.random() < 0.2:
                raise OSError("not now")
            return request
        finally:
            self.running[owner] -= 1

    async def _together(self, owner: str) -> None:
        """Stay until as many have run at once as may, however slow this machine is."""
        if self.most[owner] == self.concurrency:
            self.all_places_taken[owner].set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.all_places_taken[owner].wait()


class Report(JobRunner[Step, Step]):
    kind = "report"
    queue = "report"

    async def on_execute(self, request: Step, ctx: JobContext[Step]) -> Step:
        batch = await ctx.batch()
        assert all(job.status.is_final for job in batch)
        return Step(number=len(batch))


async def everything_earlier(shop: Shop) -> None:
    """Let an hour pass for whatever waits, as far as sending is concerned."""
    async with shop.database.connection() as conn:
        await conn.execute(
            "update queued_jobs.job set next_send_at = next_send_at - interval '1 hour', "
            "available_at = case when available_at < '9999-01-01' then available_at - interval '1 hour' "
            "else available_at end where status in ('pending', 'retrying') and next_send_at < '9999-01-01'"
        )


async def test_a_line_under_load_is_kept_and_nobody_is_forgotten(shop: Shop) -> None:
    runners = {each.queue: each(shop.backend) for each in (Export, Report)}
    sweeper = Sweeper(shop.backend, runners=runners.values())
    batches = [
        await shop.manager.queue_jobs(
            Export,
            [Step(number=number) for number in range(15)],
            user_id=owner,
            follow_up=FollowUp(runner=Report, request=Step(number=0)),
        )
        for owner in OWNERS
    ]
    dice = random.Random(2)
    for _ in range(60):
        due = shop.queues.take()
        dice.shuffle(due)
        due = [message for message in due if dice.random() > 0.1]  # the others are lost
        slots = asyncio.Semaphore(WORKERS)

        async def work(queue: str, message: JobMessage, slots: asyncio.Semaphore = slots) -> None:
            async with slots:
                await runners[queue].execute(message)

        await asyncio.gather(*(work(one.queue, one.message) for one in due))
        await everything_earlier(shop)
        await sweeper.run_once()
        jobs = [
            await shop.tracker.get(batch.follow_up.id, user_id=owner)  # type: ignore[union-attr]
            for batch, owner in zip(batches, OWNERS, strict=True)
        ]
        if all(job.status.is_final for job in jobs):
            break
    assert [job.status for job in jobs] == [JobStatus.SUCCEEDED] * 3
    assert [job.result for job in jobs] == [{"number": 15}] * 3
    assert max(Export.most.values()) == Export.concurrency, "as many as may, and never more"
    for batch, owner in zip(batches, OWNERS, strict=True):
        queued = [handle.id for handle in batch.handles]
        assert sorted(Export.started[owner]) == sorted(queued)


async def test_of_many_claims_at_one_moment_as_many_win_as_there_are_places(shop: Shop) -> None:
    handles = [
        await shop.manager.queue_job(
            Export,
            Step(number=number),
            user_id="ann",
        )
        for number in range(12)
    ]
    async with asyncio.timeout(60):
        claimed = await asyncio.gather(
            *(
                shop.repository.claim(
                    JobMessage.of(handle.job),
                    kind="export",
                    schema_version=1,
                    lease=timedelta(minutes=1),
                    timeout=timedelta(minutes=1),
                    max_concurrent=4,
                )
                for handle in handles
            ),
            return_exceptions=True,
        )
    assert not [one for one in claimed if isinstance(one, BaseException) and not isinstance(one, JobsError)]
    won = [one for one in claimed if one is not None and not isinstance(one, BaseException)]
    assert 1 <= len(won) <= 4
    assert len({job.lease_token for job in won}) == len(won)


async def test_a_cancelled_job_makes_way(shop: Shop) -> None:
    first, second, third = [
        await shop.manager.queue_job(Export, Step(number=number), user_id="dan") for number in range(3)
    ]
    runner = Export(shop.backend)
    hour = timedelta(hours=1)
    for handle in (first, second):
        claim = await shop.repository.claim(
            JobMessage.of(handle.job), kind="export", schema_version=1, lease=hour, timeout=hour, max_concurrent=2
        )
        assert claim is not None
    shop.queues.take()
    await runner.execute(JobMessage.of(third.job))
    assert (await shop.tracker.get(third.id, user_id="dan")).status is JobStatus.PENDING
    async with shop.database.connection() as conn:
        await conn.execute(
            "update queued_jobs.job set lease_until = now() - interval '1 hour' where id = %s", (first.id,)
        )
    await shop.tracker.cancel(first.id, user_id="dan")
    await Sweeper(shop.backend, runners=[runner]).run_once()
    assert (await shop.tracker.get(first.id, user_id="dan")).status is JobStatus.CANCELLED
    assert [due.message.id for due in shop.queues.take()] == [third.id], "its worker died, and the next one is woken"


async def test_a_follow_up_that_was_cancelled_waits_again_when_it_is_retried(shop: Shop) -> None:
    batch = await shop.manager.queue_jobs(
        Export,
        [Step(number=1)],
        user_id="eve",
        follow_up=FollowUp(runner=Report, request=Step(number=0)),
    )
    assert batch.follow_up is not None
    await shop.tracker.cancel(batch.follow_up.id, user_id="eve")
    shop.queues.take()
    assert (await shop.tracker.retry(batch.follow_up.id, user_id="eve")).is_held
    assert shop.queues.take() == []
    await shop.tracker.cancel(batch.handles[0].id, user_id="eve")
    assert [due.message.id for due in shop.queues.take()] == [batch.follow_up.id]
    await shop.tracker.cancel(batch.follow_up.id, user_id="eve")
    assert not (await shop.tracker.retry(batch.follow_up.id, user_id="eve")).is_held, "nobody is left to wait for"


class Killed(BaseException):
    """The end of a process, at the place where it is raised."""


class DyingRepository(PostgresRepository):
    """Its process dies, or the database goes away, where the next in line was to be woken."""

    how: ClassVar[type[BaseException]] = Killed

    async def wake_next(self, job: QueuedJob) -> list[QueuedJob]:
        if job.status.is_final:
            raise self.how
        return await super().wake_next(job)


class Single(Export):
    kind = "single"
    queue = "single"
    concurrency = 1
    dice: ClassVar[random.Random] = random.Random(3)

    async def on_execute(self, request: Step, ctx: JobContext[Step]) -> Step:
        return request


class Double(Single):
    kind = "double"
    queue = "double"
    priorities = ("fast",)
    concurrency = 2


async def status(shop: Shop, handle: JobHandle[Step]) -> JobStatus:
    return (await shop.tracker.get(handle.id, user_id=handle.job.user_id)).status


@pytest.mark.parametrize("how", [Killed, StoreUnavailable], ids=["its process died", "the store was away"])
@pytest.mark.parametrize("kind", [Single, Double])
async def test_one_sweep_finds_each_place_that_nobody_was_woken_for(
    shop: Shop, kind: type[Single], how: type[BaseException]
) -> None:
    runner = kind(shop.backend)
    dying = kind(Backend(DyingRepository(shop.database), shop.queues, shop.notifier))
    DyingRepository.how = how
    sweeper = Sweeper(shop.backend, runners=[runner])
    ways = [None, *kind.priorities]
    handles = {
        owner: [
            await shop.manager.queue_job(kind, Step(number=at), user_id=owner, priority=ways[at % len(ways)])
            for at in range(5)
        ]
        for owner in OWNERS
    }
    shop.queues.take()
    for line in handles.values():
        for handle in reversed(line[kind.concurrency :]):
            await runner.execute(JobMessage.of(handle.job))  # an older one comes first, so it waits in line
        assert [await status(shop, handle) for handle in line[kind.concurrency :]] == [JobStatus.PENDING] * (
            5 - kind.concurrency
        )
    shop.queues.take()
    on_their_way = [handle for line in handles.values() for handle in line[: kind.concurrency]]
    by_id = {handle.id: handle for line in handles.values() for handle in line}
    for _ in range(5 * len(OWNERS)):
        for handle in on_their_way:
            with suppress(Killed):
                await dying.execute(JobMessage.of(handle.job))
        assert [await status(shop, handle) for handle in on_their_way] == [JobStatus.SUCCEEDED] * len(on_their_way)
        await sweeper.run_once()
        on_their_way = [by_id[due.message.id] for due in shop.queues.take()]
        left = [[one for one in line if not (await status(shop, one)).is_final] for line in handles.values()]
        expected = {handle.id for line in left for handle in line[: kind.concurrency]}
        assert {handle.id for handle in on_their_way} == expected, "at once, not after half a minute and more"
        if not expected:
            return
    raise AssertionError("the lines have no end")


async def test_two_ends_at_one_moment_wake_two(shop: Shop) -> None:
    minute = timedelta(minutes=1)
    rivals = [PostgresRepository(Database(shop.database._conninfo)) for _ in range(2)]
    for turn in range(30):
        line = [
            (await shop.manager.queue_job(Double, Step(number=number), user_id=f"user {turn}")).job
            for number in range(4)
        ]
        able: dict[str, Any] = {"kind": "double", "schema_version": 1, "max_concurrent": 2}
        running = [
            await shop.repository.claim(JobMessage.of(job), lease=minute, timeout=minute, **able) for job in line[:2]
        ]
        for job in line[2:]:
            assert await shop.repository.wait_in_line(JobMessage.of(job), **able) is False

        async def end(repository: PostgresRepository, job: QueuedJob | None) -> list[QueuedJob]:
            assert job is not None
            done = await repository.succeed(job, None)
            assert done is not None
            return await repository.wake_next(done)

        woken = await asyncio.gather(*(end(*pair) for pair in zip(rivals, running, strict=True)))
        assert {job.id for each in woken for job in each} == {job.id for job in line[2:]}
    for rival in rivals:
        await rival.database.close()
