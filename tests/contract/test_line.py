"""Jobs with one concurrency key: as many as allowed run concurrently, the oldest first, and none is forgotten."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from queued_jobs import JobStatus, QueuedJob
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import JobError
from queued_jobs.repository import LinesSeen
from tests.contract.conftest import HOUR, Helpers

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


async def in_line(jobs: Helpers, count: int, *, key: str = "ann") -> list[QueuedJob]:
    line = [await jobs.waiting(concurrency_key=key) for _ in range(count)]
    await jobs.repository.mark_sent([Reserved.of(job) for job in line])
    return line


async def waits(jobs: Helpers, job: QueuedJob, *, max_concurrent: int = 1) -> bool | None:
    return await jobs.repository.wait_in_line(
        JobMessage.of(job), kind="demo", schema_version=1, max_concurrent=max_concurrent
    )


async def owed(jobs: Helpers) -> list[object]:
    return [due.message.id for due in await jobs.repository.unsent(limit=10)]


class TestClaim:
    async def test_one_at_a_time(self, jobs: Helpers) -> None:
        first, second = await in_line(jobs, 2)
        assert await jobs.claim(first) is not None
        assert await jobs.claim(second) is None
        assert await jobs.attempts(second.id) == []

    async def test_as_many_as_the_kind_allows(self, jobs: Helpers) -> None:
        claimed = [await jobs.claim(job, max_concurrent=2) for job in await in_line(jobs, 3)]
        assert [job is not None for job in claimed] == [True, True, False]

    async def test_the_oldest_goes_first(self, jobs: Helpers) -> None:
        first, second, third = await in_line(jobs, 3)
        assert await jobs.claim(third, max_concurrent=2) is None
        assert await jobs.claim(second) is None
        assert await jobs.claim(second, max_concurrent=2) is not None, "there is a place for the older one too"
        assert await jobs.claim(first, max_concurrent=2) is not None

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
        assert await owed(jobs) == [], "the caller that woke it holds it for a while"
        assert await jobs.claim(second) is not None
        assert await jobs.claim(third) is None

    async def test_a_sender_that_marks_late_takes_nobody_out_of_the_line(self, jobs: Helpers) -> None:
        first, second = [await jobs.waiting(concurrency_key="ann") for _ in range(2)]
        running = await jobs.claim(first)
        assert running is not None
        assert await waits(jobs, second) is False
        await jobs.repository.mark_sent([Reserved.of(first), Reserved.of(second)])
        done = await jobs.repository.succeed(running, None)
        assert done is not None
        assert [job.id for job in await jobs.repository.wake_next(done)] == [second.id]

    async def test_a_sender_that_marks_late_takes_no_message_of_the_one_that_was_woken(self, jobs: Helpers) -> None:
        """The caller that woke it could not send, so the sweeper has to: its line would stand for ten minutes."""
        first, second = [await jobs.waiting(concurrency_key="ann") for _ in range(2)]
        running = await jobs.claim(first)
        assert running is not None
        assert await waits(jobs, second) is False
        done = await jobs.repository.succeed(running, None)
        assert done is not None
        (woken,) = await jobs.repository.wake_next(done)
        await jobs.repository.mark_sent([Reserved.of(second)])
        await jobs.shift(second.id, next_send_at=-MINUTE)
        assert await owed(jobs) == [second.id]
        await jobs.repository.mark_sent([Reserved.of(woken)])
        assert (await jobs.row(second.id)).sent_gen < second.dispatch_gen, "and its own mark no longer counts"

    async def test_two_free_places_are_taken_by_two(self, jobs: Helpers) -> None:
        line = await in_line(jobs, 4)
        running = [await jobs.claim(job, max_concurrent=2) for job in line[:2]]
        for job in line[2:]:
            assert await waits(jobs, job, max_concurrent=2) is False
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

    async def test_one_that_the_host_gave_up_on_is_not_woken_before_its_pause_is_over(self, jobs: Helpers) -> None:
        first, second = await in_line(jobs, 2)
        assert await jobs.repository.poisoned(JobMessage.of(second)) is not None
        running = await jobs.claim(first)
        assert running is not None
        done = await jobs.repository.succeed(running, None)
        assert done is not None
        assert await jobs.repository.wake_next(done) == []
        await jobs.shift(second.id, poisoned_until=-MINUTE)
        assert [job.id for job in await jobs.repository.wake_next(done)] == [second.id]

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


class TestLinesThatNobodyWakes:
    """A worker freed a slot and died before it woke the next job, or had no store to ask: the sweeper wakes it."""

    async def test_the_oldest_is_woken_once(self, jobs: Helpers) -> None:
        first, second, third = await in_line(jobs, 3)
        running = await jobs.claim(first)
        assert running is not None
        for job in (third, second):
            assert await waits(jobs, job) is False
        assert await wake(jobs) == 0, "its place is taken"
        await jobs.repository.succeed(running, None)
        assert await wake(jobs) == 1
        assert await owed(jobs) == [second.id]
        assert await wake(jobs) == 0, "its message is on its way"
        await jobs.repository.mark_sent([Reserved.of(await jobs.row(second.id))])
        assert await wake(jobs) == 0
        assert await jobs.claim(second) is not None
        assert await wake(jobs) == 0

    @pytest.mark.parametrize("max_concurrent", [1, 2, 3, 5])
    async def test_as_many_as_there_are_places(self, jobs: Helpers, max_concurrent: int) -> None:
        line = await in_line(jobs, 8)
        running = [await jobs.claim(job, max_concurrent=max_concurrent) for job in line[:max_concurrent]]
        for job in line[max_concurrent:]:
            assert await waits(jobs, job, max_concurrent=max_concurrent) is False
        for claimed, following in zip(running, line[max_concurrent:], strict=False):
            assert claimed is not None
            await jobs.repository.succeed(claimed, None)
            assert await wake(jobs, demo=max_concurrent) == 1
            assert await owed(jobs) == [following.id]
            assert await jobs.claim(following, max_concurrent=max_concurrent) is not None

    async def test_two_places_that_came_free_unnoticed_are_for_two(self, jobs: Helpers) -> None:
        line = await in_line(jobs, 5)
        for job in line[:2]:
            await jobs.claim(job, max_concurrent=2)
        for job in line[2:]:
            await waits(jobs, job, max_concurrent=2)
        for job in line[:2]:
            await jobs.repository.succeed(await jobs.row(job.id), None)
        assert await wake(jobs, demo=2) == 2
        assert await owed(jobs) == [job.id for job in line[2:4]]

    async def test_a_kind_that_is_not_known_runs_one_at_a_time(self, jobs: Helpers) -> None:
        line = await in_line(jobs, 4)
        running = await jobs.claim(line[0])
        assert running is not None
        for job in line[1:]:
            await waits(jobs, job)
        await jobs.repository.succeed(running, None)
        assert await wake(jobs, other=9) == 1

    async def test_one_that_the_host_gave_up_on_is_not_woken_before_its_pause_is_over(self, jobs: Helpers) -> None:
        """It would come back too early to count, and then be missed for ten minutes."""
        first, second = await in_line(jobs, 2)
        assert await jobs.repository.poisoned(JobMessage.of(first)) is not None
        assert await waits(jobs, second) is False
        assert await wake(jobs) == 0
        assert await owed(jobs) == []
        await jobs.shift(first.id, poisoned_until=-MINUTE)
        assert await wake(jobs) == 1
        assert await owed(jobs) == [first.id]
        await jobs.repository.mark_sent([Reserved.of(await jobs.row(first.id))])
        assert await jobs.repository.poisoned(JobMessage.of(first)) is not None

    async def test_an_older_one_whose_message_is_on_its_way_takes_the_place(self, jobs: Helpers) -> None:
        first, second = await in_line(jobs, 2)
        assert await waits(jobs, second) is False
        assert await wake(jobs) == 0
        await jobs.set(first.id, status=JobStatus.CANCELLED, finished_at=first.created_at)
        assert await wake(jobs) == 1
        assert await owed(jobs) == [second.id]

    async def test_one_that_is_not_due_takes_no_place_and_is_not_woken(self, jobs: Helpers) -> None:
        first, second = await in_line(jobs, 2)
        running = await jobs.claim(first)
        assert running is not None
        await waits(jobs, second)
        failed = await jobs.repository.fail(running, JobError(type="E", message=""), retry_in=HOUR)
        assert failed is not None
        assert await wake(jobs) == 1
        assert await owed(jobs) == [second.id]
        await jobs.set(second.id, available_at=second.available_at + HOUR)
        await jobs.set(second.id, parked_at=second.created_at, next_send_at=second.available_at + HOUR)
        assert await wake(jobs) == 0

    @pytest.mark.parametrize("how", ["cancelled", "cleared"])
    async def test_one_that_has_ended_is_not_woken(self, jobs: Helpers, how: str) -> None:
        first, second, third = await in_line(jobs, 3)
        running = await jobs.claim(first)
        assert running is not None
        for job in (second, third):
            await waits(jobs, job)
        await jobs.set(second.id, status=JobStatus.CANCELLED, finished_at=second.created_at)
        if how == "cleared":
            await jobs.set(second.id, cleared_at=second.created_at)
        await jobs.repository.succeed(running, None)
        assert await wake(jobs) == 1
        assert await owed(jobs) == [third.id]

    async def test_lines_of_other_keys_and_kinds_are_lines_of_their_own(self, jobs: Helpers) -> None:
        waiting = []
        for kind, key in (("demo", "ann"), ("demo", "bob"), ("other", "ann")):
            line = [await jobs.waiting(kind=kind, concurrency_key=key) for _ in range(3)]
            await jobs.repository.mark_sent([Reserved.of(job) for job in line])
            running = await jobs.claim(line[0], kind=kind)
            assert running is not None
            for job in line[1:]:
                message = JobMessage.of(job)
                assert await jobs.repository.wait_in_line(message, kind=kind, schema_version=1) is False
            if kind == "demo":
                await jobs.repository.succeed(running, None)
                waiting.append(line[1].id)
        assert await wake(jobs) == 2
        assert set(await owed(jobs)) == set(waiting)

    async def test_a_place_for_which_nobody_is_due_goes_to_no_other_line(self, jobs: Helpers) -> None:
        for key in ("ann", "bob"):
            first, second = await in_line(jobs, 2, key=key)
            running = await jobs.claim(first)
            assert running is not None
            assert await waits(jobs, second) is False
            if key == "ann":
                await jobs.repository.succeed(running, None)
                await jobs.shift(second.id, available_at=timedelta(hours=1))
        assert await wake(jobs) == 0

    async def test_any_number_of_lines_is_looked_into_a_few_at_a_time(self, jobs: Helpers) -> None:
        expected = []
        for number in range(7):
            first, second = await in_line(jobs, 2, key=f"key {number}")
            running = await jobs.claim(first)
            assert running is not None
            await waits(jobs, second)
            if number % 3:
                await jobs.repository.succeed(running, None)
                expected.append(second.id)
        seen: list[LinesSeen] = []
        while not seen or seen[-1].last is not None:
            seen.append(await jobs.repository.wake_lines(after=seen[-1].last if seen else None, limit=2))
        assert [one.last for one in seen] == [("demo", "key 1"), ("demo", "key 3"), ("demo", "key 5"), None]
        assert [one.woken for one in seen] == [1, 1, 2, 0]
        assert set(await owed(jobs)) == set(expected)

    async def test_a_sender_that_marks_late_takes_nobody_back(self, jobs: Helpers) -> None:
        first, second = [await jobs.waiting(concurrency_key="ann") for _ in range(2)]
        running = await jobs.claim(first)
        assert running is not None
        await waits(jobs, second)
        await jobs.repository.succeed(running, None)
        assert await wake(jobs) == 1
        await jobs.repository.mark_sent([Reserved.of(second)])
        assert await owed(jobs) == [second.id]

    async def test_jobs_without_a_key_stand_in_no_line(self, jobs: Helpers) -> None:
        plain = await jobs.waiting()
        await jobs.set(plain.id, parked_at=plain.created_at, next_send_at=plain.created_at + HOUR)
        assert await wake(jobs) == 0

    async def test_nobody_sees_a_difference(self, jobs: Helpers) -> None:
        first, second = await in_line(jobs, 2)
        running = await jobs.claim(first)
        assert running is not None
        await waits(jobs, second)
        await jobs.repository.succeed(running, None)
        before = await jobs.row(second.id)
        assert await wake(jobs) == 1
        after = await jobs.row(second.id)
        assert dataclasses.replace(after, next_send_at=before.next_send_at) == before


async def wake(jobs: Helpers, **max_concurrent: int) -> int:
    seen = await jobs.repository.wake_lines(max_concurrent=max_concurrent, limit=100)
    assert seen.last is None
    return seen.woken
