"""Jobs of kinds that were removed while they waited."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from queued_jobs import JobStatus, QueuedJob
from tests.contract.conftest import BOOM, HOUR, Helpers

DAY = timedelta(days=1)
OLD = {"created_at": -DAY - HOUR, "available_at": -DAY - HOUR}


async def old(jobs: Helpers, **changes: Any) -> QueuedJob:
    job = await jobs.waiting(**changes)
    await jobs.shift(job.id, **OLD)
    return await jobs.row(job.id)


async def ended(jobs: Helpers, *kinds: str, limit: int = 10) -> list[QueuedJob]:
    return await jobs.repository.end_unknown(kinds, limit=limit)


class TestUnknownKinds:
    async def test_after_a_day_they_are_aborted_with_a_reason(self, jobs: Helpers) -> None:
        job = await old(jobs, kind="gone")
        (done,) = await ended(jobs, "demo")
        assert done == await jobs.row(job.id)
        assert (done.id, done.status, done.version) == (job.id, JobStatus.ABORTED, job.version + 1)
        assert done.error is not None
        assert done.error.type == "no-handler"
        assert "gone" in done.error.message
        assert done.finished_at is not None
        assert await ended(jobs, "demo") == []

    async def test_those_of_known_kinds_and_younger_ones_wait(self, jobs: Helpers) -> None:
        await old(jobs)
        await jobs.waiting(kind="gone")
        later = await old(jobs, kind="gone")
        await jobs.shift(later.id, available_at=2 * HOUR)
        created = await jobs.waiting(kind="gone")
        await jobs.shift(created.id, created_at=-2 * DAY)
        assert await ended(jobs, "demo", "other") == []

    async def test_those_that_wait_for_a_batch_or_have_ended_stay(self, jobs: Helpers) -> None:
        batch = uuid4()
        await jobs.waiting(kind="other", batch_id=batch)
        held = await jobs.waiting(kind="gone", after_batch=batch)
        await jobs.shift(held.id, created_at=-2 * DAY)
        running = await jobs.claim(await jobs.waiting(kind="gone"), kind="gone")
        assert running is not None
        await jobs.repository.succeed(running, None)
        await jobs.shift(running.id, **OLD, finished_at=-DAY - HOUR)
        assert await ended(jobs, "demo") == []

    @pytest.mark.parametrize("outcome", ["running", "succeeded", "with a result", "failed"])
    async def test_a_kind_that_another_process_runs_is_known(self, jobs: Helpers, outcome: str) -> None:
        job = await old(jobs, kind="gone")
        running = await jobs.claim(await jobs.waiting(kind="gone"), kind="gone")
        assert running is not None
        if outcome == "failed":
            await jobs.repository.fail(running, BOOM, retry_in=None)
        elif outcome != "running":
            await jobs.repository.succeed(running, {"n": 1} if outcome == "with a result" else None)
        assert await ended(jobs, "demo") == []
        if outcome != "running":
            await jobs.shift(running.id, finished_at=-DAY - HOUR)
            assert [one.id for one in await ended(jobs, "demo")] == [job.id]

    async def test_those_that_ended_for_want_of_a_worker_prove_none(self, jobs: Helpers) -> None:
        for _ in range(3):
            await old(jobs, kind="gone")
        assert [len(await ended(jobs, "demo", limit=2)) for _ in range(3)] == [2, 1, 0]


class TestLatestKey:
    async def test_it_is_the_greatest_of_this_user_and_kind(self, jobs: Helpers) -> None:
        for key in ("schedule:2026-01-02", "schedule:2026-01-10", "schedule:2026-01-03", "zz", None):
            await jobs.add(idempotency_key=key)
        await jobs.add(idempotency_key="schedule:2027-01-01", user_id="bob")
        await jobs.add(idempotency_key="schedule:2027-01-01", kind="other")
        found = await jobs.repository.latest_key(kind="demo", user_id="ann", prefix="schedule:")
        assert found == "schedule:2026-01-10"
        assert await jobs.repository.latest_key(kind="demo", user_id="ann", prefix="%") is None

    async def test_the_latest_occurrence_is_not_pruned(self, jobs: Helpers) -> None:
        kept = []
        for key in ("schedule:2026-01-02", "schedule:2026-01-10", "other", None):
            running = await jobs.running(idempotency_key=key)
            await jobs.repository.succeed(running, None)
            await jobs.shift(running.id, finished_at=-2 * DAY)
            kept.append(running.id)
        await jobs.repository.tally(limit=100)
        assert await jobs.repository.prune(older_than=DAY, limit=10) == 3
        assert (await jobs.row(kept[1])).idempotency_key == "schedule:2026-01-10"


class TestNow:
    async def test_it_is_the_time_of_new_rows(self, jobs: Helpers) -> None:
        before = await jobs.repository.now()
        job = await jobs.waiting()
        assert before <= job.created_at <= await jobs.repository.now()
