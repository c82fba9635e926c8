"""Which messages a job is owed, and what becomes of those that come late, never or to the poison queue."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from uuid import uuid4

import pytest

from queued_jobs import JobStatus, QueuedJob
from queued_jobs.kind_queues import KindQueues
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.postgres import MAX_RESEND
from tests.contract.conftest import BOOM, HOUR, Helpers

RENAMED = KindQueues({"other": ("other",), "demo": ("fast", "fast-urgent", "fast-most-urgent")})


class TestARenamedQueue:
    @pytest.mark.parametrize(
        ("stored", "now"),
        [
            ("demo", "fast"),
            ("demo-urgent", "fast-urgent"),
            ("demo-most-urgent", "fast-most-urgent"),
            ("demo-removed", "fast"),
            ("fast", "fast"),
            ("fast-urgent", "fast-urgent"),
        ],
    )
    async def test_a_waiting_job_moves_to_the_queue_of_its_priority(self, jobs: Helpers, stored: str, now: str) -> None:
        job = await jobs.waiting(queue=stored)
        await jobs.shift(job.id, next_send_at=-HOUR)
        (due,) = await jobs.repository.unsent(limit=10, queues=RENAMED)
        row = await jobs.row(job.id)
        assert (due.queue, row.queue, row.version) == (now, now, job.version)

    async def test_a_job_of_another_kind_keeps_its_queue(self, jobs: Helpers) -> None:
        job = await jobs.waiting(kind="unknown")
        await jobs.shift(job.id, next_send_at=-HOUR)
        (due,) = await jobs.repository.unsent(limit=10, queues=RENAMED)
        assert (due.queue, (await jobs.row(job.id)).queue) == ("demo", "demo")


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
        await jobs.repository.mark_sent([Reserved.of(job)])
        row = await jobs.row(job.id)
        assert (row.sent_gen, row.version) == (1, job.version)
        await jobs.shift(job.id, next_send_at=-HOUR)
        assert await jobs.repository.unsent(limit=10) == []

    async def test_a_late_mark_of_an_old_generation_does_not_hide_the_new_one(self, jobs: Helpers) -> None:
        job = await jobs.running()
        failed = await jobs.repository.fail(job, BOOM, retry_in=timedelta())
        assert failed is not None
        await jobs.repository.mark_sent([Reserved.of(job)])
        await jobs.shift(job.id, next_send_at=-HOUR)
        (due,) = await jobs.repository.unsent(limit=10)
        assert due.message.gen == 2

    async def test_a_far_job_is_sent_ten_minutes_ahead(self, jobs: Helpers) -> None:
        job = await jobs.waiting(delay=HOUR)
        assert timedelta(minutes=49) < job.next_send_at - job.created_at < timedelta(minutes=51)

    async def test_a_silent_message_is_sent_again_under_its_generation(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        await jobs.repository.mark_sent([Reserved.of(job)])
        assert await jobs.repository.resend_silent(limit=10) == 0
        await jobs.shift(job.id, next_send_at=-HOUR, available_at=-HOUR)
        assert await jobs.repository.resend_silent(limit=10) == 1
        (due,) = await jobs.repository.unsent(limit=10)
        assert due.message.gen == job.dispatch_gen
        assert (await jobs.row(job.id)).resend_count == 1


class TestReservations:
    """Each message has one sender at a time, however long it takes."""

    async def test_every_way_to_owe_a_message_to_a_caller_reserves_it(self, jobs: Helpers) -> None:
        failed = await jobs.repository.fail(await jobs.running(), BOOM, retry_in=timedelta())
        released = await jobs.repository.release(await jobs.running())
        for job in (await jobs.waiting(), failed, released):
            assert job is not None
            assert await jobs.repository.unsent(limit=10) == []
            await jobs.repository.mark_sent([Reserved.of(job)])
            assert (await jobs.row(job.id)).sent_gen == job.dispatch_gen

    async def test_of_a_batch_each_is_reserved_for_longer(self, jobs: Helpers) -> None:
        single, *_, last = [await jobs.waiting(), *await jobs.batch(500)]
        times = [job.next_send_at - job.created_at for job in (single, last)]
        assert times[1] - times[0] > timedelta(seconds=4)

    async def test_a_reservation_can_be_extended(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        await jobs.shift(job.id, next_send_at=-HOUR)
        (kept,) = await jobs.repository.keep_reserved([Reserved.of(await jobs.row(job.id))])
        assert kept.message == JobMessage.of(job)
        assert await jobs.repository.unsent(limit=10) == []
        await jobs.repository.mark_sent([kept])
        assert (await jobs.row(job.id)).sent_gen == job.dispatch_gen

    async def test_what_another_sender_has_taken_is_its_own(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        await jobs.shift(job.id, next_send_at=-HOUR)
        slow = Reserved.of(await jobs.row(job.id))
        (taken,) = await jobs.repository.unsent(limit=10)
        assert await jobs.repository.keep_reserved([slow]) == []
        await jobs.repository.mark_sent([slow])
        assert (await jobs.row(job.id)).sent_gen < job.dispatch_gen
        (kept,) = await jobs.repository.keep_reserved([taken])
        assert await jobs.repository.keep_reserved([taken]) == [], "the new end is what counts"
        await jobs.repository.mark_sent([kept])
        assert (await jobs.row(job.id)).sent_gen == job.dispatch_gen

    @pytest.mark.parametrize("what", ["marked", "started", "ended", "parked", "never there"])
    async def test_what_needs_no_message_is_kept_by_nobody(self, jobs: Helpers, what: str) -> None:
        job = await jobs.waiting()
        message = Reserved.of(job)
        if what == "marked":
            await jobs.repository.mark_sent([message])
        elif what == "started":
            assert await jobs.claim(job) is not None
        elif what == "ended":
            await jobs.set(job.id, status=JobStatus.CANCELLED, finished_at=job.created_at)
        elif what == "parked":
            await jobs.set(job.id, parked_at=job.created_at)
        else:
            (key,) = await jobs.repository.new_keys(1)
            message = dataclasses.replace(message, message=JobMessage(id=key, gen=1))
        assert await jobs.repository.keep_reserved([message]) == []


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
        assert await jobs.repository.poisoned(JobMessage.of(job)) is None
        row = await self.late(jobs, job)
        assert row.version == job.version

    async def late(self, jobs: Helpers, job: QueuedJob) -> QueuedJob:
        await jobs.repository.mark_sent([Reserved.of(job)])
        row = await jobs.row(job.id)
        assert row.sent_gen == job.dispatch_gen - 1, "nothing is on its way, so it must be sent again"
        await jobs.shift(job.id, next_send_at=-timedelta(minutes=1))
        (due,) = await jobs.repository.unsent(limit=10)
        assert due.message == JobMessage.of(job)
        await jobs.repository.mark_sent([due])
        assert (await jobs.row(job.id)).sent_gen == job.dispatch_gen, "a mark of the later message counts"
        return row

    async def test_a_second_early_message_changes_nothing(self, jobs: Helpers) -> None:
        job = await jobs.waiting(delay=HOUR)
        await jobs.repository.defer(JobMessage.of(job), kind="demo", schema_version=1)
        row = await jobs.row(job.id)
        await jobs.repository.defer(JobMessage.of(job), kind="demo", schema_version=1)
        assert await jobs.row(job.id) == row


class TestPoison:
    async def test_a_waiting_job_is_sent_again_later(self, jobs: Helpers) -> None:
        job = await jobs.sent()
        row = await jobs.repository.poisoned(JobMessage.of(job))
        assert row is not None
        assert (row.status, row.poisoned_count, row.resend_count) == (JobStatus.PENDING, 1, 0)
        assert row.sent_gen < row.dispatch_gen
        assert row.next_send_at > row.created_at + timedelta(seconds=25)

    @pytest.mark.parametrize("copies", [2, 7, 60])
    async def test_however_many_copies_there_are_a_send_counts_once(self, jobs: Helpers, copies: int) -> None:
        job = await jobs.sent()
        first, *others = [await jobs.repository.poisoned(JobMessage.of(job)) for _ in range(copies)]
        assert others == [None] * (copies - 1)
        assert await jobs.row(job.id) == first
        assert await jobs.claim(job) is not None, "the real message starts it"

    async def test_copies_that_come_at_once_count_once(self, jobs: Helpers) -> None:
        for _ in range(10):
            message = JobMessage.of(await jobs.sent())
            answers = await asyncio.gather(*(jobs.repository.poisoned(message) for _ in range(8)))
            assert len([answer for answer in answers if answer is not None]) == 1
            assert (await jobs.row(message.id)).poisoned_count == 1

    async def test_what_was_not_sent_counts_nothing(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        for _ in range(8):
            assert await jobs.repository.poisoned(JobMessage.of(job)) is None
        row = await jobs.row(job.id)
        assert (row.poisoned_count, row.next_send_at, row.version) == (0, job.next_send_at, job.version)

    @pytest.mark.parametrize("gen", [0, 2, 2**62])
    async def test_a_message_of_another_generation_counts_nothing(self, jobs: Helpers, gen: int) -> None:
        job = await jobs.sent()
        assert await jobs.repository.poisoned(JobMessage(id=job.id, gen=gen)) is None
        assert await jobs.row(job.id) == job

    async def test_what_the_queue_still_hides_cannot_have_been_given_up(self, jobs: Helpers) -> None:
        job = await jobs.sent(delay=timedelta(minutes=5))
        assert await jobs.repository.poisoned(JobMessage.of(job)) is None
        assert await jobs.row(job.id) == job

    async def test_a_job_that_waits_for_a_batch_is_left_alone(self, jobs: Helpers) -> None:
        job = await jobs.waiting(after_batch=uuid4())
        assert await jobs.repository.poisoned(JobMessage.of(job)) is None
        assert await jobs.row(job.id) == job

    async def test_a_message_on_another_kinds_poison_queue_counts_nothing(self, jobs: Helpers) -> None:
        for job in (await jobs.sent(), await jobs.waiting()):
            assert await jobs.repository.poisoned(JobMessage.of(job), queues=["other", "other-urgent"]) is None
            assert await jobs.row(job.id) == job
        assert await jobs.repository.poisoned(JobMessage.of(await jobs.sent()), queues=["other", "demo"]) is not None

    async def test_a_running_job_keeps_its_lease(self, jobs: Helpers) -> None:
        job = await jobs.running()
        assert await jobs.repository.poisoned(JobMessage.of(job)) is None
        assert await jobs.row(job.id) == job

    async def test_poisoned_again_and_again_it_is_aborted(self, jobs: Helpers) -> None:
        """Sent as early as ever, and forged right after: it takes six sends and more than two hours."""
        job = await jobs.sent()
        message, waits = JobMessage.of(job), [30, 600, 1200, 2400, 4800]
        for times, wait in enumerate(waits, start=1):
            row = await jobs.repository.poisoned(message)
            assert row is not None
            assert (row.status, row.poisoned_count) == (JobStatus.PENDING, times)
            waited = timedelta(seconds=wait - 5)
            early = {"next_send_at": -waited, "parked_at": -waited, "poisoned_until": -waited}
            await jobs.shift(job.id, **early)
            assert await jobs.repository.unsent(limit=10) == [], "it is not sent before its time"
            await jobs.set(job.id, parked_at=None)
            await jobs.repository.mark_sent([Reserved.of(await jobs.row(job.id))])
            assert await jobs.repository.poisoned(message) is None, "nor would an earlier send count"
            assert (await jobs.row(job.id)).poisoned_count == times
            await jobs.shift(job.id, poisoned_until=-timedelta(seconds=6))
        row = await jobs.repository.poisoned(message)
        assert row is not None
        assert row.error is not None
        assert (row.status, row.error.type) == (JobStatus.ABORTED, "poison")

    async def test_sends_of_an_earlier_generation_do_not_count(self, jobs: Helpers) -> None:
        job = await jobs.sent()
        await jobs.set(job.id, poisoned_gen=1, poisoned_count=MAX_RESEND)
        claimed = await jobs.claim(job)
        assert claimed is not None
        failed = await jobs.repository.fail(claimed, BOOM, retry_in=timedelta())
        assert failed is not None
        await jobs.repository.mark_sent([Reserved.of(failed)])
        row = await jobs.repository.poisoned(JobMessage.of(failed))
        assert row is not None
        assert (row.status, row.poisoned_count) == (JobStatus.RETRYING, 1)

    async def test_a_long_wait_in_the_queue_is_no_step_towards_an_abort(self, jobs: Helpers) -> None:
        """Somebody forges one message of a job that a backlog has kept waiting for days."""
        job = await jobs.sent()
        await jobs.set(job.id, resend_count=MAX_RESEND + 4)
        row = await jobs.repository.poisoned(JobMessage.of(job))
        assert row is not None
        assert row.status is JobStatus.PENDING


class TestRejected:
    async def test_copies_are_kept_once(self, jobs: Helpers) -> None:
        for _ in range(3):
            await jobs.repository.reject("demo", b"garbage", "Not a job message.")
        assert await jobs.rejected() == 1
        await jobs.repository.reject("demo-poison", b"garbage", "The host gave up on this message.")
        await jobs.repository.reject("demo", b"other garbage", "Not a job message.")
        assert await jobs.rejected() == 3

    async def test_copies_that_come_at_once_are_kept_once(self, jobs: Helpers) -> None:
        await asyncio.gather(*(jobs.repository.reject("demo", b"garbage", "Not a job message.") for _ in range(8)))
        assert await jobs.rejected() == 1
