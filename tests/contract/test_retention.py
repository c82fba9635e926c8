"""What is kept how long: results first, then the jobs themselves."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from queued_jobs import QueuedJob
from queued_jobs.model import JobError
from tests.contract.conftest import Helpers

DAY = timedelta(days=1)


async def succeeded(
    jobs: Helpers, *, days_ago: float, kind: str = "demo", result: dict[str, int] | None, batch_id: UUID | None = None
) -> QueuedJob:
    running = await jobs.claim(await jobs.waiting(kind=kind, batch_id=batch_id), kind=kind)
    assert running is not None
    done = await jobs.repository.succeed(running, result)
    assert done is not None
    ago = -DAY * days_ago
    await jobs.shift(done.id, created_at=ago, started_at=ago, finished_at=ago, next_send_at=ago)
    return await jobs.row(done.id)


async def test_an_old_result_is_dropped_and_that_is_told(jobs: Helpers) -> None:
    old = await succeeded(jobs, days_ago=3, result={"n": 1})
    await succeeded(jobs, days_ago=1, result={"n": 2})
    await succeeded(jobs, days_ago=3, result=None)
    found = await jobs.repository.expiring(older_than=2 * DAY, limit=10)
    assert [(job.id, job.result) for job in found] == [(old.id, {"n": 1})]
    (expired,) = await jobs.repository.expire([old.id])
    assert (expired.id, expired.result, expired.status) == (old.id, None, old.status)
    assert expired.version == old.version + 1
    assert expired.expired_at is not None
    assert old.expired_at is None
    assert await jobs.repository.expire([old.id]) == []


async def test_whoever_looks_has_it_for_an_hour(jobs: Helpers) -> None:
    old = await succeeded(jobs, days_ago=3, result={"n": 1})
    assert len(await jobs.repository.expiring(older_than=DAY, limit=10)) == 1
    assert await jobs.repository.expiring(older_than=DAY, limit=10) == []
    await jobs.shift(old.id, next_send_at=-timedelta(hours=1))
    assert len(await jobs.repository.expiring(older_than=DAY, limit=10)) == 1


async def test_each_kind_has_its_own_time(jobs: Helpers) -> None:
    brief = await succeeded(jobs, days_ago=2, kind="brief", result={"n": 1})
    await succeeded(jobs, days_ago=9, kind="lasting", result={"n": 2})
    other = await succeeded(jobs, days_ago=9, kind="other", result={"n": 3})
    kinds = {"brief": DAY, "lasting": 30 * DAY}
    found = await jobs.repository.expiring(older_than=7 * DAY, kinds=kinds, limit=10)
    assert {job.id for job in found} == {brief.id, other.id}
    await jobs.repository.expire([brief.id, other.id])
    await jobs.repository.tally(limit=10)
    assert await jobs.repository.prune(older_than=7 * DAY, kinds={"brief": 3 * DAY}, limit=10) == 1
    assert [(await jobs.row(brief.id)).id] == [brief.id]


async def test_a_job_goes_after_its_result(jobs: Helpers) -> None:
    job = await succeeded(jobs, days_ago=40, result={"n": 1})
    await jobs.repository.tally(limit=10)
    assert await jobs.repository.prune(older_than=30 * DAY, limit=10) == 0
    await jobs.repository.expire([job.id])
    assert await jobs.repository.prune(older_than=30 * DAY, limit=10) == 1


async def test_batches_are_small(jobs: Helpers) -> None:
    for number in range(4):
        await succeeded(jobs, days_ago=9, kind=f"kind-{number % 2}", result={"n": number})
    assert len(await jobs.repository.expiring(older_than=DAY, limit=3)) == 3
    assert len(await jobs.repository.expiring(older_than=DAY, limit=3)) == 1


async def test_what_a_follow_up_is_to_read_is_kept_until_it_has_ended(jobs: Helpers) -> None:
    batch_id = uuid4()
    member = await succeeded(jobs, days_ago=40, result={"n": 1}, batch_id=batch_id)
    failed = await succeeded(jobs, days_ago=40, result=None, batch_id=batch_id)
    await succeeded(jobs, days_ago=40, result={"n": 2}, batch_id=uuid4())
    await jobs.waiting(kind="then", after_batch=batch_id)
    await jobs.repository.tally(limit=10)

    async def gone() -> tuple[int, int]:
        expiring = await jobs.repository.expiring(older_than=DAY, limit=10)
        await jobs.repository.expire([job.id for job in expiring])
        return len(expiring), await jobs.repository.prune(older_than=DAY, limit=10)

    assert await gone() == (1, 1), "of another batch, whose follow-up nobody waits for"
    (woken,) = await jobs.repository.follow_ups(limit=10)
    assert await gone() == (0, 0), "while it waits for a worker"
    running = await jobs.claim(woken, kind="then")
    assert running is not None
    assert await gone() == (0, 0), "while it runs"
    retrying = await jobs.repository.fail(running, JobError(type="E", message=""), retry_in=timedelta())
    assert retrying is not None
    assert await gone() == (0, 0), "between two attempts"
    assert [job.id for job in await jobs.repository.batch(batch_id)] == [member.id, failed.id]
    running = await jobs.claim(retrying, kind="then")
    assert running is not None
    await jobs.repository.succeed(running, None)
    assert await gone() == (1, 2)
    assert await jobs.repository.batch(batch_id) == []


async def test_for_ever_is_a_time_too(jobs: Helpers) -> None:
    await succeeded(jobs, days_ago=4000, result={"n": 1})
    await succeeded(jobs, days_ago=4000, result=None)
    await jobs.repository.tally(limit=10)
    for kinds in ({}, {"demo": timedelta.max}):
        assert await jobs.repository.expiring(older_than=timedelta.max, kinds=kinds, limit=10) == []
        assert await jobs.repository.prune(older_than=timedelta.max, kinds=kinds, limit=10) == 0


async def test_the_age_of_a_queue_is_that_of_its_oldest_job_that_may_run(jobs: Helpers) -> None:
    assert await jobs.repository.queue_ages() == {}
    for age in (2, 7):
        waiting = await jobs.waiting(queue="slow-queue")
        await jobs.shift(waiting.id, available_at=-DAY * age)
    await jobs.waiting(queue="far-queue", delay=DAY)
    running = await jobs.running(queue="busy-queue")
    await jobs.shift(running.id, available_at=-DAY)
    ages = await jobs.repository.queue_ages()
    assert ages.keys() == {"slow-queue"}
    assert 7 * DAY <= ages["slow-queue"] < 7.1 * DAY


class TestPrune:
    async def test_only_jobs_that_ended_long_ago_go(self, jobs: Helpers) -> None:
        old, new, waiting = await jobs.running(), await jobs.running(), await jobs.waiting()
        for job in (old, new):
            await jobs.repository.succeed(job, None)
        await jobs.shift(old.id, finished_at=-timedelta(days=40))
        await jobs.shift(waiting.id, created_at=-timedelta(days=400))
        await jobs.repository.tally(limit=10)
        assert await jobs.repository.prune(older_than=timedelta(days=30), limit=10) == 1
        assert await jobs.repository.prune(older_than=timedelta(days=30), limit=10) == 0
        await jobs.row(new.id)
        await jobs.row(waiting.id)
        assert await jobs.attempts(old.id) == []
