"""Asking again and again whether a job has ended."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from queued_jobs import JobStatus, QueuedJob
from queued_jobs.errors import JobNotFound
from queued_jobs.model import JobKey
from tests.contract.conftest import BOOM, HOUR, Helpers


async def test_a_job_that_has_not_ended_is_not_answered(jobs: Helpers) -> None:
    waiting, running = await jobs.waiting(), await jobs.running()
    retrying = await jobs.repository.fail(await jobs.running(), BOOM, retry_in=HOUR)
    assert retrying is not None
    for job in (waiting, running, retrying):
        assert await jobs.repository.ended(job.id) is None


async def test_one_that_has_is_answered_whole_however_it_ended(jobs: Helpers) -> None:
    ended: dict[JobStatus, QueuedJob | None] = {
        JobStatus.SUCCEEDED: await jobs.repository.succeed(await jobs.running(), {"n": 2}),
        JobStatus.FAILED: await jobs.repository.fail(await jobs.running(), BOOM, retry_in=None),
    }
    asked = await jobs.running()
    await jobs.set(asked.id, cancel_requested=True)
    ended[JobStatus.CANCELLED] = await jobs.repository.finish_cancelled(asked)
    lost = await jobs.running()
    await jobs.set(lost.id, lost_count=2)
    await jobs.shift(lost.id, lease_until=-HOUR)
    (ended[JobStatus.ABORTED],) = await jobs.repository.rescue(limit=10)
    for status, job in ended.items():
        assert job is not None
        assert job.status is status
        assert await jobs.repository.ended(job.id) == await jobs.row(job.id)


async def test_a_job_that_is_not_there_is_an_error(jobs: Helpers) -> None:
    nobody: JobKey = uuid4() if jobs.repository.key_type is UUID else 1_000_000
    with pytest.raises(JobNotFound):
        await jobs.repository.ended(nobody)
