"""Paused kinds: their jobs wait without a message, keep their order, and are sent once the kind is resumed."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from queued_jobs import JobStatus, QueuedJob
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import HELD
from tests.contract.conftest import BOOM, HOUR, Helpers

DAY = timedelta(days=1)


async def hold(jobs: Helpers, job: QueuedJob) -> QueuedJob:
    answer = await jobs.claim(job)
    assert answer is not None
    assert answer == await jobs.row(job.id)
    return answer


async def sends(jobs: Helpers) -> list[QueuedJob]:
    """What the sweeper sends, in order."""
    return [await jobs.row(one.message.id) for one in await jobs.repository.unsent(limit=100)]


class TestClaim:
    async def test_a_job_of_a_paused_kind_waits_and_keeps_its_attempts(self, jobs: Helpers) -> None:
        job = await jobs.sent()
        pause = await jobs.repository.pause("demo", subject="eve")
        row = await hold(jobs, job)
        assert row.is_paused
        assert row.paused_at is not None
        assert row.paused_at >= pause.since
        assert (row.status, row.attempt, row.max_attempts, row.lost_count) == (JobStatus.PENDING, 0, 5, 0)
        assert (row.created_at, row.available_at) == (job.created_at, job.available_at)
        assert row.version == job.version + 1, "its owner sees that it is paused"
        assert await jobs.attempts(job.id) == []

    async def test_other_kinds_run(self, jobs: Helpers) -> None:
        await jobs.repository.pause("other", subject="eve")
        running = await jobs.claim(await jobs.sent())
        assert running is not None
        assert running.status is JobStatus.RUNNING

    async def test_further_messages_change_nothing_that_a_reader_sees(self, jobs: Helpers) -> None:
        job = await jobs.sent()
        await jobs.repository.pause("demo", subject="eve")
        first = await hold(jobs, job)
        again = await hold(jobs, job)
        assert (again.version, again.paused_at) == (first.version, first.paused_at)

    async def test_a_message_that_starts_nothing_anyway_holds_nothing(self, jobs: Helpers) -> None:
        waiting = await jobs.sent()
        delayed = await jobs.sent(delay=HOUR)
        running = await jobs.running()
        await jobs.repository.pause("demo", subject="eve")
        assert await jobs.claim(waiting, gen=7) is None
        assert await jobs.claim(waiting, schema_version=0) is None
        assert await jobs.claim(waiting, kind="other") is None
        assert await jobs.claim(delayed) is None
        assert await jobs.claim(running) is None
        for job in (waiting, delayed, running):
            assert await jobs.row(job.id) == job

    async def test_one_that_is_running_goes_on_and_its_retry_waits(self, jobs: Helpers) -> None:
        succeeds, fails = await jobs.running(), await jobs.running()
        await jobs.repository.pause("demo", subject="eve")
        assert await jobs.repository.succeed(succeeds, None) is not None
        retrying = await jobs.repository.fail(fails, BOOM, retry_in=timedelta())
        assert retrying is not None
        row = await hold(jobs, retrying)
        assert (row.status, row.attempt, row.is_paused) == (JobStatus.RETRYING, 1, True)

    async def test_the_first_message_after_the_pause_may_start_it_before_it_is_woken(self, jobs: Helpers) -> None:
        job = await jobs.sent()
        await jobs.repository.pause("demo", subject="eve")
        await hold(jobs, job)
        await jobs.repository.resume("demo")
        running = await jobs.claim(job)
        assert running is not None
        assert (running.status, running.paused_at, running.attempt) == (JobStatus.RUNNING, None, 1)
        assert running.next_send_at <= await jobs.repository.now(), "else its result would never expire"
        assert await jobs.repository.wake_paused(limit=10) == []


class TestNoMessage:
    async def test_a_held_job_is_not_sent_again_however_long_it_waits(self, jobs: Helpers) -> None:
        job = await jobs.sent()
        await jobs.repository.pause("demo", subject="eve")
        row = await hold(jobs, job)
        await jobs.shift(job.id, created_at=-30 * DAY, available_at=-30 * DAY)
        assert await jobs.repository.resend_silent(limit=10) == 0
        assert await jobs.repository.unsent(limit=10) == []
        assert await jobs.repository.wake_paused(limit=10) == []
        assert await jobs.repository.end_unknown([], limit=10) == [], "nor is it given up for want of a worker"
        assert await jobs.repository.queue_ages() == {}, "nor does anybody take it for a queue that is stuck"
        assert (await jobs.row(job.id)).version == row.version

    async def test_a_mark_that_comes_late_does_not_send_it(self, jobs: Helpers) -> None:
        job = await jobs.waiting()
        await jobs.repository.pause("demo", subject="eve")
        row = await hold(jobs, job)
        await jobs.repository.mark_sent([Reserved.of(job)])
        assert await jobs.repository.keep_reserved([Reserved.of(job)]) == []
        assert await jobs.repository.poisoned(JobMessage.of(job)) is None
        assert await jobs.row(job.id) == row

    async def test_nobody_wakes_it_in_its_line(self, jobs: Helpers) -> None:
        first, second = [await jobs.sent(concurrency_key="ann") for _ in range(2)]
        running = await jobs.claim(first)
        assert running is not None
        await jobs.repository.pause("demo", subject="eve")
        row = await hold(jobs, second)
        done = await jobs.repository.succeed(running, None)
        assert done is not None
        assert await jobs.repository.wake_next(done) == []
        assert (await jobs.repository.wake_lines(limit=10)).woken == 0
        assert await jobs.row(second.id) == row

    async def test_a_worker_that_cannot_run_it_does_not_put_it_off(self, jobs: Helpers) -> None:
        job = await jobs.sent()
        await jobs.repository.pause("demo", subject="eve")
        row = await hold(jobs, job)
        assert await jobs.repository.defer(JobMessage.of(job), kind="demo", schema_version=0) is None
        assert await jobs.row(job.id) == row

    async def test_a_retry_by_hand_is_held_again(self, jobs: Helpers) -> None:
        job = await jobs.sent()
        await jobs.repository.pause("demo", subject="eve")
        row = await hold(jobs, job)
        await jobs.set(job.id, status=JobStatus.CANCELLED, finished_at=job.created_at)
        assert not (await jobs.row(job.id)).is_paused
        await jobs.repository.resume("demo")
        assert await jobs.repository.wake_paused(limit=10) == []
        await jobs.repository.pause("demo", subject="eve")
        # as a host of the version before leaves it
        await jobs.set(job.id, status=JobStatus.PENDING, finished_at=None, next_send_at=job.created_at, dispatch_gen=2)
        again = await hold(jobs, dataclasses.replace(row, dispatch_gen=2))
        assert again.is_paused
        assert again.next_send_at == HELD


class TestResume:
    async def test_they_are_sent_in_order_of_age_a_few_at_a_time(self, jobs: Helpers) -> None:
        expected = [await jobs.sent() for _ in range(5)]
        await jobs.repository.pause("demo", subject="eve")
        for job in reversed(expected):
            await hold(jobs, job)
        await jobs.repository.resume("demo")
        sent = []
        for limit in (2, 2, 2):
            woken = await jobs.repository.wake_paused(limit=limit)
            assert not any(job.is_paused for job in woken)
            assert [job.version for job in woken] == [3] * len(woken), "their owners see that they go on"
            sent += await sends(jobs)
        assert [job.id for job in sent] == [job.id for job in expected]
        running = await jobs.claim(sent[0])
        assert running is not None
        assert (running.status, running.attempt) == (JobStatus.RUNNING, 1)

    async def test_their_messages_are_reserved_for_their_sender_for_a_while(self, jobs: Helpers) -> None:
        job = await jobs.sent()
        await jobs.repository.pause("demo", subject="eve")
        await hold(jobs, job)
        await jobs.repository.resume("demo")
        (woken,) = await jobs.repository.wake_paused(limit=10, hold=HOUR)
        assert await jobs.repository.unsent(limit=10) == []
        await jobs.repository.mark_sent([Reserved.of(woken)])
        row = await jobs.row(job.id)
        assert (row.sent_gen, row.parked_at) == (row.dispatch_gen, None)

    async def test_other_kinds_stay_paused_and_keep_nobody_waiting(self, jobs: Helpers) -> None:
        await jobs.repository.pause("demo", subject="eve")
        await jobs.repository.pause("apart", subject="eve")
        for _ in range(3):
            assert await jobs.claim(await jobs.sent(kind="apart"), kind="apart") is not None
        job = await jobs.sent()
        await hold(jobs, job)
        assert await jobs.repository.wake_paused(limit=2) == []
        await jobs.repository.resume("demo")
        assert [one.id for one in await jobs.repository.wake_paused(limit=2)] == [job.id]

    async def test_one_that_was_cancelled_meanwhile_is_not_sent(self, jobs: Helpers) -> None:
        cancelled, job = await jobs.sent(), await jobs.sent()
        await jobs.repository.pause("demo", subject="eve")
        for one in (cancelled, job):
            await hold(jobs, one)
        await jobs.set(cancelled.id, status=JobStatus.CANCELLED, finished_at=job.created_at)
        await jobs.repository.resume("demo")
        assert [one.id for one in await jobs.repository.wake_paused(limit=10)] == [job.id]
        assert await jobs.repository.wake_paused(limit=10) == []


class TestPauses:
    async def test_the_first_pause_stays_and_ends_once(self, jobs: Helpers) -> None:
        assert await jobs.repository.pauses() == []
        first = await jobs.repository.pause("demo", subject="eve")
        assert await jobs.repository.pause("demo", subject="ann") == first
        other = await jobs.repository.pause("apart", subject="ann")
        assert await jobs.repository.pauses() == [other, first]
        assert (first.kind, first.subject) == ("demo", "eve")
        assert await jobs.repository.resume("demo") == first
        assert await jobs.repository.resume("demo") is None
        assert await jobs.repository.pauses() == [other]
