"""Jobs with one concurrency key: so many at once as may, the oldest first, and none is forgotten."""

from __future__ import annotations

from datetime import timedelta

from queued_jobs import JobError, JobMessage, QueuedJob
from tests.contract.conftest import HOUR, Helpers

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


async def in_line(jobs: Helpers, count: int, *, key: str = "ann") -> list[QueuedJob]:
    line = [await jobs.waiting(concurrency_key=key) for _ in range(count)]
    await jobs.repository.mark_sent([JobMessage.of(job) for job in line])
    return line


async def waits(jobs: Helpers, job: QueuedJob, *, at_once: int = 1) -> bool | None:
    return await jobs.repository.wait_in_line(JobMessage.of(job), kind="demo", schema_version=1, at_once=at_once)


async def owed(jobs: Helpers) -> list[object]:
    return [due.message.id for due in await jobs.repository.unsent(limit=10)]


class TestClaim:
    async def test_one_at_a_time(self, jobs: Helpers) -> None:
        first, second = await in_line(jobs, 2)
        assert await jobs.claim(first) is not None
        assert await jobs.claim(second) is None
        assert await jobs.attempts(second.id) == []

    async def test_as_many_as_the_kind_allows(self, jobs: Helpers) -> None:
        claimed = [await jobs.claim(job, at_once=2) for job in await in_line(jobs, 3)]
        assert [job is not None for job in claimed] == [True, True, False]

    async def test_the_oldest_goes_first(self, jobs: Helpers) -> None:
        first, second, third = await in_line(jobs, 3)
        assert await jobs.claim(third, at_once=2) is None
        assert await jobs.claim(second) is None
        assert await jobs.claim(second, at_once=2) is not None, "there is a place for the older one too"
        assert await jobs.claim(first, at_once=2) is not None

    async def test_others_are_not_kept_waiting(self, jobs: Helpers) -> None:
        (first,) = await in_line(jobs, 1)
        await jobs.claim(first)
        assert await jobs.claim((await in_line(jobs, 1, key="bob"))[0]) is not None
        assert await jobs.claim(await jobs.waiting()) is not None
        other_kind = await jobs.waiting(kind="other", concurrency_key="ann")
        assert await jobs.claim(other_kind, kind="other") is not None

    async def test_a_retry_that_is_not_due_holds_nobody_up(self, jobs: Helpers) -> None:
        first, second = await in_line(jobs, 2)
        running = await jobs.claim(first)
        assert running is not None
        failed = await jobs.repository.fail(running, JobError(type="E", message=""), retry_in=HOUR)
        assert failed is not None
        assert await jobs.claim(second) is not None
        await jobs.shift(failed.id, available_at=-HOUR)
        assert await jobs.claim(failed) is None, "and waits for its turn when it is due"


class TestWaiting:
    async def test_a_place_that_is_given_up_wakes_the_oldest(self, jobs: Helpers) -> None:
        first, second, third = await in_line(jobs, 3)
        running = await jobs.claim(first)
        assert running is not None
        assert await waits(jobs, third) is False
        assert await waits(jobs, second) is False
        assert await owed(jobs) == []
        done = await jobs.repository.succeed(running, None)
        assert done is not None
        assert [job.id for job in await jobs.repository.wake_next(done)] == [second.id]
        assert await owed(jobs) == [], "whoever woke it has it for a while"
        assert await jobs.claim(second) is not None
        assert await jobs.claim(third) is None

    async def test_a_sender_that_marks_late_takes_nobody_out_of_the_line(self, jobs: Helpers) -> None:
        first, second = [await jobs.waiting(concurrency_key="ann") for _ in range(2)]
        running = await jobs.claim(first)
        assert running is not None
        assert await waits(jobs, second) is False
        await jobs.repository.mark_sent([JobMessage.of(first), JobMessage.of(second)])
        done = await jobs.repository.succeed(running, None)
        assert done is not None
        assert [job.id for job in await jobs.repository.wake_next(done)] == [second.id]

    async def test_two_free_places_are_taken_by_two(self, jobs: Helpers) -> None:
        line = await in_line(jobs, 4)
        running = [await jobs.claim(job, at_once=2) for job in line[:2]]
        for job in line[2:]:
            assert await waits(jobs, job, at_once=2) is False
        woken = []
        for claimed in running:
            assert claimed is not None
            done = await jobs.repository.succeed(claimed, None)
            assert done is not None
            woken += await jobs.repository.wake_next(done)
        assert [job.id for job in woken] == [job.id for job in line[2:]]

    async def test_one_whose_message_is_on_its_way_is_not_woken(self, jobs: Helpers) -> None:
        first, _ = await in_line(jobs, 2)
        running = await jobs.claim(first)
        assert running is not None
        done = await jobs.repository.succeed(running, None)
        assert done is not None
        assert await jobs.repository.wake_next(done) == []

    async def test_further_messages_put_nobody_off(self, jobs: Helpers) -> None:
        *_, last = await in_line(jobs, 4)
        assert await waits(jobs, last) is False
        first = await jobs.row(last.id)
        await jobs.shift(last.id, next_send_at=-timedelta(seconds=60))
        for _ in range(3):
            assert await waits(jobs, last) is False
        row = await jobs.row(last.id)
        assert row.next_send_at == first.next_send_at - timedelta(seconds=60)

    async def test_unnoticed_they_are_sent_again_by_their_place(self, jobs: Helpers) -> None:
        first, second, third = await in_line(jobs, 3)
        await jobs.claim(first)
        await waits(jobs, second)
        await waits(jobs, third)
        before = await jobs.row(second.id), await jobs.row(third.id)
        assert [job.version for job in before] == [second.version, third.version], "nobody sees a difference"
        distance = before[1].next_send_at - before[0].next_send_at
        assert timedelta(seconds=29) < distance < timedelta(seconds=45)
        await jobs.shift(second.id, next_send_at=-MINUTE / 2 - SECOND)
        assert await owed(jobs) == [second.id]

    async def test_the_wait_is_ten_minutes_at_most(self, jobs: Helpers) -> None:
        line = await in_line(jobs, 25)
        now = (await jobs.row(line[0].id)).created_at
        await waits(jobs, line[-1])
        assert (await jobs.row(line[-1].id)).next_send_at - now < timedelta(minutes=11)

    async def test_a_turn_that_came_meanwhile_is_told(self, jobs: Helpers) -> None:
        first, second = await in_line(jobs, 2)
        running = await jobs.claim(first)
        assert running is not None
        assert await jobs.claim(second) is None
        await jobs.repository.succeed(running, None)
        assert await waits(jobs, second) is True
        assert await jobs.claim(second) is not None

    async def test_what_does_not_wait_for_its_turn_is_left_alone(self, jobs: Helpers) -> None:
        plain = await jobs.waiting()
        assert await waits(jobs, plain) is None
        (delayed,) = await in_line(jobs, 1)
        await jobs.set(delayed.id, available_at=delayed.available_at + HOUR)
        assert await waits(jobs, delayed) is None
        (running,) = await in_line(jobs, 1, key="bob")
        await jobs.claim(running)
        assert await waits(jobs, running) is None
        (foreign,) = await in_line(jobs, 1, key="cleo")
        assert await jobs.repository.wait_in_line(JobMessage.of(foreign), kind="other", schema_version=1) is None
        assert await jobs.repository.wait_in_line(JobMessage.of(foreign), kind="demo", schema_version=0) is None
