"""Which messages a job is owed, and what becomes of those that come late, never or to the poison queue."""

from __future__ import annotations

from datetime import timedelta

from queued_jobs import JobMessage, JobStatus, QueuedJob
from queued_jobs.postgres import MAX_RESEND
from tests.contract.conftest import BOOM, HOUR, Helpers


class TestSending:
    async def test_the_sweeper_waits_a_moment_for_the_enqueuer(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        assert await jobs.repository.unsent(limit=10) == []
        await jobs.shift(job.id, next_send_at=-HOUR)
        (due,) = await jobs.repository.unsent(limit=10)
        assert (due.message, due.queue, due.delay) == (JobMessage.of(job), "demo", timedelta())

    async def test_two_sweepers_do_not_take_the_same(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        await jobs.shift(job.id, next_send_at=-HOUR)
        assert len(await jobs.repository.unsent(limit=10)) == 1
        assert await jobs.repository.unsent(limit=10) == []

    async def test_what_was_marked_is_not_sent_again(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        await jobs.repository.mark_sent([JobMessage.of(job)])
        row = await jobs.row(job.id)
        assert (row.sent_gen, row.version) == (1, job.version)
        await jobs.shift(job.id, next_send_at=-HOUR)
        assert await jobs.repository.unsent(limit=10) == []

    async def test_a_late_mark_of_an_old_generation_does_not_hide_the_new_one(self, jobs: Helpers) -> None:
        job = await jobs.running()
        failed = await jobs.repository.fail(job, BOOM, retry_in=timedelta())
        assert failed is not None
        await jobs.repository.mark_sent([JobMessage.of(job)])
        await jobs.shift(job.id, next_send_at=-HOUR)
        (due,) = await jobs.repository.unsent(limit=10)
        assert due.message.gen == 2

    async def test_a_far_job_is_sent_ten_minutes_ahead(self, jobs: Helpers) -> None:
        job = await jobs.waiting(delay=HOUR)
        assert timedelta(minutes=49) < job.next_send_at - job.created_at < timedelta(minutes=51)

    async def test_a_silent_message_is_sent_again_under_its_generation(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        await jobs.repository.mark_sent([JobMessage.of(job)])
        assert await jobs.repository.resend_silent(limit=10) == 0
        await jobs.shift(job.id, next_send_at=-HOUR, available_at=-HOUR)
        assert await jobs.repository.resend_silent(limit=10) == 1
        (due,) = await jobs.repository.unsent(limit=10)
        assert due.message.gen == job.dispatch_gen
        assert (await jobs.row(job.id)).resend_count == 1


class TestLateMarks:
    """A sender whose message was delivered and answered before it could say that it was sent."""

    async def test_after_a_worker_without_the_handler_the_job_is_owed_its_message(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        assert await jobs.repository.defer(JobMessage.of(job), kind="other", schema_version=1) is not None
        await self.late(jobs, job)

    async def test_after_a_message_that_came_too_early(self, jobs: Helpers) -> None:
        job = await jobs.waiting(delay=timedelta(minutes=5))
        assert await jobs.repository.defer(JobMessage.of(job), kind="demo", schema_version=1) is None
        row = await self.late(jobs, job)
        assert row.version == job.version

    async def test_after_the_poison_queue(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        assert await jobs.repository.poisoned(JobMessage.of(job)) is not None
        await self.late(jobs, job)

    async def late(self, jobs: Helpers, job: QueuedJob) -> QueuedJob:
        await jobs.repository.mark_sent([JobMessage.of(job)])
        row = await jobs.row(job.id)
        assert row.sent_gen == job.dispatch_gen - 1, "nothing is on its way, so it must be sent again"
        await jobs.shift(job.id, next_send_at=-timedelta(minutes=1))
        (due,) = await jobs.repository.unsent(limit=10)
        assert due.message == JobMessage.of(job)
        await jobs.repository.mark_sent([due.message])
        assert (await jobs.row(job.id)).sent_gen == job.dispatch_gen, "a mark of the later message counts"
        return row

    async def test_a_second_early_message_changes_nothing(self, jobs: Helpers) -> None:
        job = await jobs.waiting(delay=HOUR)
        await jobs.repository.defer(JobMessage.of(job), kind="demo", schema_version=1)
        row = await jobs.row(job.id)
        await jobs.repository.defer(JobMessage.of(job), kind="demo", schema_version=1)
        assert await jobs.row(job.id) == row


class TestPoison:
    async def test_a_waiting_job_is_woken_again_later(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        row = await jobs.repository.poisoned(JobMessage.of(job))
        assert row is not None
        assert (row.status, row.resend_count) == (JobStatus.PENDING, 1)
        assert row.sent_gen < row.dispatch_gen
        assert row.next_send_at > row.created_at + timedelta(seconds=25)

    async def test_a_running_job_keeps_its_lease(self, jobs: Helpers) -> None:
        job = await jobs.running()
        assert await jobs.repository.poisoned(JobMessage.of(job)) is None
        assert await jobs.row(job.id) == job

    async def test_poisoned_again_and_again_it_is_aborted(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        await jobs.set(job.id, resend_count=MAX_RESEND)
        row = await jobs.repository.poisoned(JobMessage.of(job))
        assert row is not None
        assert row.error is not None
        assert (row.status, row.error.type) == (JobStatus.ABORTED, "poison")
