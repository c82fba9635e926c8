"""Jobs whose worker is lost or whose body hangs, taken from it."""

from __future__ import annotations

import pytest

from queued_jobs import JobStatus
from tests.contract.conftest import HOUR, Helpers


class TestRescue:
    async def test_a_healthy_job_is_left_alone(self, jobs: Helpers) -> None:
        job = await jobs.running()
        assert await jobs.repository.rescue(limit=10) == []
        assert await jobs.row(job.id) == job

    async def test_a_lost_worker_costs_an_attempt(self, jobs: Helpers) -> None:
        job = await jobs.running()
        await jobs.shift(job.id, lease_until=-HOUR)
        (rescued,) = await jobs.repository.rescue(limit=10)
        assert rescued.error is not None
        assert (rescued.status, rescued.lost_count, rescued.error.type) == (JobStatus.RETRYING, 1, "worker-lost")
        assert [attempt.outcome for attempt in await jobs.attempts(job.id)] == ["lost"]
        assert len(await jobs.repository.unsent(limit=10)) == 1, "it is sent in the same sweep"

    async def test_the_third_lost_worker_aborts(self, jobs: Helpers) -> None:
        job = await jobs.running()
        for _ in range(2):
            await jobs.shift(job.id, lease_until=-HOUR)
            (rescued,) = await jobs.repository.rescue(limit=10)
            assert await jobs.claim(rescued) is not None
        await jobs.shift(job.id, lease_until=-HOUR)
        (rescued,) = await jobs.repository.rescue(limit=10)
        assert (rescued.status, rescued.lost_count) == (JobStatus.ABORTED, 3)

    async def test_a_lost_worker_on_the_last_attempt_aborts(self, jobs: Helpers) -> None:
        job = await jobs.running(max_attempts=1)
        await jobs.shift(job.id, lease_until=-HOUR)
        (rescued,) = await jobs.repository.rescue(limit=10)
        assert rescued.status is JobStatus.ABORTED

    @pytest.mark.parametrize(("max_attempts", "status"), [(5, JobStatus.RETRYING), (1, JobStatus.FAILED)])
    async def test_a_body_that_hangs_is_timed_out(self, jobs: Helpers, max_attempts: int, status: JobStatus) -> None:
        job = await jobs.running(max_attempts=max_attempts)
        await jobs.shift(job.id, deadline_at=-HOUR)
        (rescued,) = await jobs.repository.rescue(limit=10)
        assert rescued.error is not None
        assert (rescued.status, rescued.lost_count, rescued.error.type) == (status, 0, "timeout")
        assert (rescued.available_at == job.available_at) == status.is_final
        assert [attempt.outcome for attempt in await jobs.attempts(job.id)] == ["timeout"]

    async def test_a_lost_job_with_a_cancel_request_is_cancelled(self, jobs: Helpers) -> None:
        job = await jobs.running()
        await jobs.set(job.id, cancel_requested=True)
        await jobs.shift(job.id, lease_until=-HOUR)
        (rescued,) = await jobs.repository.rescue(limit=10)
        assert rescued.status is JobStatus.CANCELLED
        assert rescued.finished_at is not None

    async def test_a_batch_takes_no_more_than_its_limit(self, jobs: Helpers) -> None:
        for _ in range(3):
            await jobs.shift((await jobs.running()).id, lease_until=-HOUR)
        assert len(await jobs.repository.rescue(limit=2)) == 2
        assert len(await jobs.repository.rescue(limit=2)) == 1
