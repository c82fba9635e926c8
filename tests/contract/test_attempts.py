"""What a worker writes of one attempt, from the claim to the end, and what is not kept of a worker that lost it."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from queued_jobs import JobContext, JobStatus, QueuedJob
from queued_jobs.backend import Backend
from queued_jobs.errors import StoreRefused
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.postgres import GIVE_UP
from queued_jobs.testing import FakeQueues
from tests.contract.conftest import BOOM, HOUR, Helpers

LEASE = timedelta(seconds=60)


class TestClaim:
    async def test_a_claim_takes_the_lease_and_counts_the_attempt(self, jobs: Helpers) -> None:
        job = await jobs.running()
        assert (job.status, job.attempt, job.version, job.sent_gen) == (JobStatus.RUNNING, 1, 2, 1)
        assert job.lease_token is not None
        assert job.lease_until is not None
        assert job.started_at is not None
        assert job.lease_until - job.started_at >= LEASE - timedelta(seconds=1)
        (attempt,) = await jobs.attempts(job.id)
        assert (attempt.attempt, attempt.gen, attempt.ended_at) == (1, 1, None)

    async def test_a_doubled_message_does_nothing(self, jobs: Helpers) -> None:
        job = await jobs.running()
        assert await jobs.claim(job) is None
        assert await jobs.row(job.id) == job

    @pytest.mark.parametrize("gen", [0, 2, 2**62])
    async def test_a_message_of_another_generation_does_nothing(self, jobs: Helpers, gen: int) -> None:
        job = await jobs.waiting()
        assert await jobs.claim(job, gen=gen) is None
        assert await jobs.row(job.id) == job

    async def test_an_unknown_job_does_nothing(self, jobs: Helpers) -> None:
        message = JobMessage(id=(await jobs.repository.new_keys(1))[0], gen=1)
        assert await jobs.repository.claim(message, kind="demo", schema_version=1, lease=LEASE, timeout=HOUR) is None
        assert await jobs.repository.defer(message, kind="demo", schema_version=1) is None

    async def test_a_job_that_is_not_due_is_sent_again_for_its_time(self, jobs: Helpers) -> None:
        job = await jobs.waiting(delay=HOUR)
        await jobs.repository.mark_sent([Reserved.of(job)])
        assert await jobs.claim(job) is None
        assert await jobs.repository.defer(JobMessage.of(job), kind="demo", schema_version=1) is None
        row = await jobs.row(job.id)
        assert row.sent_gen < row.dispatch_gen
        assert row.next_send_at - row.created_at > timedelta(minutes=45)
        assert row.version == job.version

    @pytest.mark.parametrize("here", [{"kind": "other"}, {"schema_version": 0}])
    async def test_a_worker_without_the_handler_lets_the_job_wait(self, jobs: Helpers, here: dict[str, Any]) -> None:
        job = await jobs.waiting()
        assert await jobs.claim(job, **here) is None
        handler: dict[str, Any] = {"kind": "demo", "schema_version": 1} | here
        waiting = await jobs.repository.defer(JobMessage.of(job), **handler)
        assert waiting is not None
        assert (waiting.status, waiting.attempt, waiting.resend_count) == (JobStatus.PENDING, 0, 1)
        assert waiting.available_at - job.available_at > timedelta(seconds=29)

    @pytest.mark.parametrize("delay", [timedelta(), HOUR])
    async def test_a_message_on_another_kinds_queue_does_nothing(self, jobs: Helpers, delay: timedelta) -> None:
        job = await jobs.waiting(delay=delay)
        queues = ["other", "other-urgent"]
        assert await jobs.claim(job, kind="other") is None
        assert await jobs.repository.defer(JobMessage.of(job), kind="other", schema_version=1, queues=queues) is None
        assert await jobs.row(job.id) == job
        await jobs.repository.defer(JobMessage.of(job), kind="other", schema_version=1, queues=["demo"])
        assert await jobs.row(job.id) != job, "on its own queue it would never be run"

    async def test_after_a_day_without_a_handler_the_job_is_aborted(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        await jobs.set(job.id, resend_count=GIVE_UP)
        gone = await jobs.repository.defer(JobMessage.of(job), kind="other", schema_version=1)
        assert gone is not None
        assert gone.error is not None
        assert (gone.status, gone.error.type) == (JobStatus.ABORTED, "no-handler")
        assert "demo" in gone.error.message


class TestHeartbeat:
    async def test_progress_raises_the_version_and_only_then(self, jobs: Helpers) -> None:
        job = await jobs.running()
        beat = jobs.repository.heartbeat
        first = await beat(job, lease=LEASE, progress=0.3, message="a third")
        same = await beat(job, lease=LEASE, progress=0.3, message=None)
        silent = await beat(job, lease=LEASE, progress=None, message=None)
        assert first is not None
        assert same is not None
        assert silent is not None
        assert first.version == same.version == silent.version == job.version + 1
        assert (silent.progress, silent.progress_message) == (0.3, "a third")

    async def test_it_extends_the_lease(self, jobs: Helpers) -> None:
        job = await jobs.running()
        row = await jobs.repository.heartbeat(job, lease=HOUR, progress=None, message=None)
        assert row is not None
        assert row.lease_until is not None
        assert job.lease_until is not None
        assert row.lease_until - job.lease_until > timedelta(minutes=58)


class TestEnds:
    async def test_success_stores_the_result(self, jobs: Helpers) -> None:
        job = await jobs.running()
        done = await jobs.repository.succeed(job, {"files": 3})
        assert done is not None
        assert (done.status, done.result, done.progress) == (JobStatus.SUCCEEDED, {"files": 3}, 1.0)
        assert done.finished_at is not None
        assert done.lease_token is None
        assert done.ran_for is not None
        assert [attempt.outcome for attempt in await jobs.attempts(job.id)] == ["succeeded"]

    async def test_a_failure_is_retried_under_a_new_generation(self, jobs: Helpers) -> None:
        job = await jobs.running()
        failed = await jobs.repository.fail(job, BOOM, retry_in=timedelta(seconds=0))
        assert failed is not None
        assert (failed.status, failed.error, failed.dispatch_gen) == (JobStatus.RETRYING, BOOM, 2)
        assert await jobs.claim(job) is None, "the old message must do nothing"
        again = await jobs.claim(failed)
        assert again is not None
        assert again.attempt == 2
        first, second = await jobs.attempts(job.id)
        assert (first.outcome, first.error, second.outcome) == ("failed", BOOM, None)

    async def test_a_failure_without_retry_is_final(self, jobs: Helpers) -> None:
        failed = await jobs.repository.fail(await jobs.running(), BOOM, retry_in=None)
        assert failed is not None
        assert failed.status is JobStatus.FAILED
        assert failed.finished_at is not None

    async def test_the_last_attempt_is_final(self, jobs: Helpers) -> None:
        job = await jobs.running(max_attempts=1)
        failed = await jobs.repository.fail(job, BOOM, retry_in=HOUR)
        assert failed is not None
        assert failed.status is JobStatus.FAILED
        assert failed.available_at == job.available_at, "how long it waited can still be told"

    async def test_a_failure_after_a_cancel_request_is_a_cancel(self, jobs: Helpers) -> None:
        job = await jobs.running()
        await jobs.set(job.id, cancel_requested=True)
        ended = await jobs.repository.fail(job, BOOM, retry_in=HOUR)
        assert ended is not None
        assert ended.status is JobStatus.CANCELLED

    async def test_a_cancel_needs_a_request(self, jobs: Helpers) -> None:
        job = await jobs.running()
        assert await jobs.repository.finish_cancelled(job) is None
        await jobs.set(job.id, cancel_requested=True)
        ended = await jobs.repository.finish_cancelled(job)
        assert ended is not None
        assert ended.status is JobStatus.CANCELLED

    async def test_a_release_costs_no_attempt(self, jobs: Helpers) -> None:
        job = await jobs.running(max_attempts=2)
        released = await jobs.repository.release(job)
        assert released is not None
        assert (released.status, released.tries, released.dispatch_gen) == (JobStatus.PENDING, 0, 2)
        again = await jobs.claim(released)
        assert again is not None
        assert again.tries == 1
        failed = await jobs.repository.fail(again, BOOM, retry_in=timedelta())
        assert failed is not None
        for _ in range(60):
            again = await jobs.claim(failed)
            assert again is not None
            released = await jobs.repository.release(again)
            assert released is not None
            assert (released.status, released.tries) == (JobStatus.RETRYING, 1)
            failed = released
        last = await jobs.claim(failed)
        assert last is not None
        assert (last.tries, last.attempt, last.max_attempts) == (2, 63, 63)
        failed = await jobs.repository.fail(last, BOOM, retry_in=timedelta())
        assert failed is not None
        assert failed.status is JobStatus.FAILED, "there were two tries, as it was allowed"

    async def test_no_number_or_name_of_an_attempt_comes_back(self, jobs: Helpers) -> None:
        """However three attempts of a job end, in any order."""

        async def fails(job: QueuedJob) -> None:
            assert await jobs.repository.fail(job, BOOM, retry_in=timedelta())

        async def is_released(job: QueuedJob) -> None:
            assert await jobs.repository.release(job)

        async def is_lost(job: QueuedJob) -> None:
            await jobs.shift(job.id, lease_until=-HOUR)
            assert await jobs.repository.rescue(limit=10)

        async def hangs(job: QueuedJob) -> None:
            await jobs.shift(job.id, deadline_at=-HOUR)
            assert await jobs.repository.rescue(limit=10)

        names = set()
        for ends in product((fails, is_released, is_lost, hangs), repeat=3):
            job = await jobs.waiting()
            numbers = []
            for end in (*ends, None):
                claimed = await jobs.claim(await jobs.row(job.id))
                if claimed is None:
                    break  # three lost workers abort it
                numbers.append(claimed.attempt)
                names.add(JobContext(claimed, Backend(jobs.repository, FakeQueues())).claim_id)
                if end is not None:
                    await end(claimed)
            assert numbers == list(range(1, len(numbers) + 1))
        assert len(names) == 4 * 4**3 - 1
        assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)

    async def test_a_release_after_a_cancel_request_is_a_cancel(self, jobs: Helpers) -> None:
        job = await jobs.running()
        await jobs.set(job.id, cancel_requested=True)
        ended = await jobs.repository.release(job)
        assert ended is not None
        assert (ended.status, ended.available_at) == (JobStatus.CANCELLED, job.available_at)
        assert ended.waited == job.waited

    async def test_what_cannot_be_stored_as_a_result_is_refused(self, jobs: Helpers) -> None:
        job = await jobs.running()
        with pytest.raises(StoreRefused):
            await jobs.repository.succeed(job, {"text": "\0"})
        assert (await jobs.row(job.id)).status is JobStatus.RUNNING


class TestZombies:
    async def zombie(self, jobs: Helpers) -> tuple[QueuedJob, QueuedJob]:
        """A worker whose lease ran out, and the one that has the job since."""
        zombie = await jobs.running()
        await jobs.shift(zombie.id, lease_until=-HOUR)
        (rescued,) = await jobs.repository.rescue(limit=10)
        winner = await jobs.claim(rescued)
        assert winner is not None
        return zombie, winner

    async def test_nothing_a_zombie_writes_is_kept(self, jobs: Helpers) -> None:
        zombie, winner = await self.zombie(jobs)
        await jobs.set(winner.id, cancel_requested=True)
        repository = jobs.repository
        assert await repository.heartbeat(zombie, lease=LEASE, progress=0.9, message="still here") is None
        assert await repository.succeed(zombie, {"by": "zombie"}) is None
        assert await repository.fail(zombie, BOOM, retry_in=None) is None
        assert await repository.finish_cancelled(zombie) is None
        assert await repository.release(zombie) is None
        assert (await jobs.row(winner.id)).version == winner.version

    async def test_the_outcome_tells_whose_finish_was_stored(self, jobs: Helpers) -> None:
        zombie, winner = await self.zombie(jobs)
        assert await jobs.repository.outcome(winner) is None
        await jobs.repository.succeed(winner, {"by": "winner"})
        stored = await jobs.repository.outcome(winner)
        assert stored is not None
        assert stored.result == {"by": "winner"}
        assert await jobs.repository.outcome(zombie) is None

    async def test_a_final_row_never_changes(self, jobs: Helpers) -> None:
        job = await jobs.running()
        done = await jobs.repository.succeed(job, None)
        repository = jobs.repository
        assert await repository.succeed(job, {"n": 2}) is None
        assert await repository.fail(job, BOOM, retry_in=None) is None
        assert await repository.poisoned(JobMessage.of(job)) is None
        assert await repository.rescue(limit=10) == []
        assert await repository.unsent(limit=10) == []
        assert await jobs.row(job.id) == done
