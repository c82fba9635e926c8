"""Code of the version before works on beside the new one, with the statements that it has."""

from __future__ import annotations

from datetime import timedelta

from queued_jobs import JobStatus, QueuedJob
from queued_jobs.model import JobError
from tests.integration.queued_jobs.conftest import Shop

BOOM = JobError(type="Boom", message="it broke")

#: What the parts of 0.1 that have changed since wrote, as far as numbers and counts go.
OLD_REQUEUE = """
    update queued_jobs.job set status = 'pending', attempt = 0, lost_count = 0, resend_count = 0, error = null,
      started_at = null, finished_at = null, dispatch_gen = dispatch_gen + 1, version = version + 1, parked_at = null,
      available_at = clock_timestamp(), next_send_at = clock_timestamp()
    where id = %s and status in ('failed','aborted','cancelled')"""
OLD_RELEASE = """
    update queued_jobs.job set status = 'pending', attempt = attempt - 1, lease_token = null, lease_until = null,
      deadline_at = null, dispatch_gen = dispatch_gen + 1, available_at = clock_timestamp(), version = version + 1
    where id = %s and status = 'running'"""
OLD_REJECT = """
    insert into queued_jobs.rejected_message (queue, reason, body_sha256, body_start)
    values ('demo', '', sha256('garbage'), 'garbage')"""


async def tries_until_it_failed(shop: Shop, job: QueuedJob) -> int:
    tries = 0
    while job.status is not JobStatus.FAILED:
        await shop.repository.fail(await shop.claim(job), BOOM, retry_in=timedelta())
        job = await shop.tracker.get(job.id, user_id="ann")
        tries += 1
    return tries


async def run_old(shop: Shop, statement: str, job: QueuedJob) -> QueuedJob:
    async with shop.database.connection() as conn:
        assert (await conn.execute(statement, (job.id,))).rowcount == 1
    return await shop.tracker.get(job.id, user_id="ann")


async def test_no_attempts_are_lost_between_the_two(shop: Shop) -> None:
    job = (await shop.queue()).job
    released = await shop.repository.release(await shop.claim(job))
    assert released is not None
    claimed = await shop.claim(await run_old(shop, OLD_RELEASE, await shop.claim(released)))
    failed = await shop.repository.fail(claimed, BOOM, retry_in=timedelta())
    assert failed is not None
    assert await tries_until_it_failed(shop, failed) == 4, "and the one before"
    again = await run_old(shop, OLD_REQUEUE, job)
    assert await tries_until_it_failed(shop, again) >= 5
    for _ in range(2):
        again = await shop.tracker.retry(job.id, user_id="ann")
        assert await tries_until_it_failed(shop, again) == 5, "as many as its kind allows"


async def test_a_message_that_both_reject_is_kept(shop: Shop) -> None:
    for _ in range(2):
        await shop.repository.reject("demo", b"garbage", "")
        async with shop.database.connection() as conn:
            await conn.execute(OLD_REJECT)
    async with shop.database.connection() as conn:
        rows = await (await conn.execute("select copies from queued_jobs.rejected_message order by id")).fetchall()
    assert [row["copies"] for row in rows] == [2, None, None]
