"""Sending many messages to queues that hang, crawl or refuse some of them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from queued_jobs import JobStatus, dispatch
from queued_jobs.backend import Backend
from queued_jobs.batch import Batch, FollowUp
from queued_jobs.errors import SendFailed, StoreUnavailable
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import JobKey
from queued_jobs.testing import FakeQueues
from tests.unit.queued_jobs.conftest import Answer, Ask, Demo, World

HOUR = timedelta(hours=1)


class Then(Demo):
    kind = "then"
    queue = "then"


class FaultyQueues(FakeQueues):
    """Takes what `takes` says it does; each send lasts for `lasts` seconds."""

    def __init__(self, takes: Callable[[str, JobMessage], bool], *, lasts: float = 0.0) -> None:
        super().__init__()
        self.takes = takes
        self.lasts = lasts
        self.tried: Counter[str] = Counter()

    async def ensure(self, *queues: str) -> None:
        return None

    async def send(self, queue: str, message: JobMessage, *, delay: timedelta = timedelta()) -> None:
        self.tried[queue] += 1
        await asyncio.sleep(self.lasts)
        if not self.takes(queue, message):
            raise SendFailed(f"The queue {queue} did not respond.")
        await super().send(queue, message, delay=delay)


async def many(world: World, count: int, *, follow_up: FollowUp[Ask] | None = None, **options: object) -> Batch[Answer]:
    return await world.manager.queue_jobs(
        Demo,
        [Ask(n=number) for number in range(count)],
        user_id="ann",
        follow_up=follow_up,
        **options,  # type: ignore[arg-type]
    )


def reserved(key: JobKey, *, queue: str = "demo") -> Reserved:
    message = JobMessage(id=key, gen=1)
    return Reserved(message=message, queue=queue, delay=timedelta(), until=datetime(2026, 1, 1, tzinfo=UTC))


def owed(world: World) -> int:
    return sum(job.sent_gen < job.dispatch_gen for job in world.repository.jobs.values())


async def all_at_once(world: World) -> None:
    """Let the moment come when the sweeper sends what is owed."""
    for job in list(world.repository.jobs.values()):
        world.repository._set(job, next_send_at=job.created_at)


class TestAQueueThatHangs:
    async def test_many_jobs_cost_one_timeout_and_are_all_kept(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.queues = FaultyQueues(lambda queue, message: False, lasts=0.5)
        batch = await many(world, 1_000)
        assert world.queues.tried == {"demo": 8}, "all of them, eight at a time, would take a minute"
        assert not any(handle.sent for handle in batch.handles)
        assert owed(world) == len(world.repository.jobs) == 1_000
        warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert (len(warnings), warnings[-1].args) == (9, (992,))
        world.queues.takes, world.queues.lasts = lambda queue, message: True, 0
        await all_at_once(world)
        report = await world.manager.sweeper.run_once()
        assert (report.sent, owed(world)) == (1_000, 0)
        assert len({due.message for due in world.queues.sent}) == 1_000

    async def test_others_are_served_beside_it(self, world: World) -> None:
        queues = FaultyQueues(lambda queue, message: queue != "hangs", lasts=0.05)
        keys = await world.repository.new_keys(300)
        due = [reserved(key, queue=["hangs", "works"][number % 2]) for number, key in enumerate(keys)]
        sent = await Backend(world.repository, queues).dispatcher().send(due)
        assert sent == {one.message for one in due if one.queue == "works"}
        assert queues.tried["hangs"] <= 15, "eight in a row, and those under way"

    async def test_what_was_learnt_holds_for_the_whole_action(self, world: World) -> None:
        queues = FaultyQueues(lambda queue, message: False)
        dispatcher = Backend(world.repository, queues).dispatcher()
        for _ in range(5):
            (key,) = await world.repository.new_keys(1)
            due = reserved(key)
            await dispatcher.send([due] * 100)
        assert queues.tried == {"demo": 8}

    async def test_a_queue_that_begins_to_hang_is_noticed(self, world: World) -> None:
        world.queues = FaultyQueues(lambda queue, message: len(world.queues.sent) < 700)
        batch = await many(world, 2_000)
        assert [handle.sent for handle in batch.handles].count(True) == 700
        assert (world.queues.tried["demo"], owed(world)) == (708, 1_300)

    async def test_the_sweeper_sends_to_others_whatever_one_queue_is_owed(self, world: World) -> None:
        """River PR#1318: a batch of what cannot be done must not keep everything else from being done."""
        world.queues = FaultyQueues(lambda queue, message: False)
        await many(world, 1_100)
        other = await world.manager.queue_job(Then, Ask(), user_id="ann")
        world.queues.takes = lambda queue, message: queue == "then"
        await all_at_once(world)
        world.repository._set(other.job, next_send_at=other.job.created_at + timedelta(milliseconds=1))
        report = await world.manager.sweeper.run_once()
        assert (report.sent, owed(world)) == (1, 1_100)
        assert world.row(other.job).sent_gen == 1


class TestAQueueThatCrawls:
    async def test_sending_has_an_end(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dispatch, "_PATIENCE", 0.3)
        world.queues = FaultyQueues(lambda queue, message: True, lasts=0.1)
        batch = await many(world, 2_000)
        sent = [handle for handle in batch.handles if handle.sent]
        assert 0 < len(sent) <= 8 * 4, "all of them would take half a minute"
        assert {handle.id for handle in sent} == {due.message.id for due in world.queues.sent}
        assert owed(world) == 2_000 - len(sent)

    async def test_the_patience_is_that_of_the_whole_action(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dispatch, "_PATIENCE", 0.1)
        queues = FaultyQueues(lambda queue, message: True, lasts=0.15)
        dispatcher = Backend(world.repository, queues).dispatcher()
        due = reserved(1)
        assert len(await dispatcher.send([due])) == 1
        assert len(await dispatcher.send([due])) == 0


class TestMarks:
    async def test_a_crash_in_the_middle_doubles_few(self, world: World) -> None:
        world.queues = FaultyQueues(lambda queue, message: True)
        crash = asyncio.Event()

        def takes(queue: str, message: JobMessage) -> bool:
            if len(world.queues.sent) == 1_700:
                crash.set()
            return True

        world.queues.takes = takes
        sending = asyncio.create_task(many(world, 3_000))
        await crash.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        unmarked = {due.message.id for due in world.queues.sent if world.repository.jobs[due.message.id].sent_gen == 0}
        assert len(world.queues.sent) >= 1_700
        assert len(unmarked) <= 100
        assert owed(world) >= 3_000 - len(world.queues.sent), "and nothing is marked that was not sent"


class TestReservations:
    async def owed_batch(self, world: World, count: int) -> list[Reserved]:
        """Return the messages of a batch that could not be sent and whose reservation is over."""
        world.queues.unavailable = True
        batch = await many(world, count)
        world.queues.unavailable = False
        await all_at_once(world)
        return [Reserved.of(world.row(handle.job)) for handle in batch.handles]

    async def test_what_a_sweeper_has_taken_meanwhile_is_sent_once(self, world: World) -> None:
        due = await self.owed_batch(world, 450)
        dispatcher = world.backend.dispatcher()
        sent = await dispatcher.send(await world.repository.unsent(limit=170))
        assert len(sent) == 170
        rest = await world.backend.dispatcher().send(due, reserved_for=timedelta())
        assert len(rest) == 280
        assert sent.isdisjoint(rest)
        assert len(world.queues.sent) == 450
        assert owed(world) == 0

    async def test_while_it_sends_the_sweeper_takes_nothing_of_it(self, world: World) -> None:
        due = await self.owed_batch(world, 300)

        async def send(queue: str, message: JobMessage, *, delay: timedelta = timedelta()) -> None:
            assert message not in {one.message for one in await world.repository.unsent(limit=10)}
            world.queues.sent.append(due[0])

        world.queues.send = send  # type: ignore[method-assign]
        await world.backend.dispatcher().send(due[:100], reserved_for=timedelta())
        assert len(world.queues.sent) == 100

    async def test_a_batch_is_reserved_for_as_long_as_it_takes(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(messages: object) -> None:
            raise AssertionError("The reservations last.")

        monkeypatch.setattr(world.repository, "keep_reserved", never)
        batch = await many(world, 1_000)
        assert all(handle.sent for handle in batch.handles)

    @pytest.mark.parametrize(("statement", "sent"), [("mark_sent", 100), ("keep_reserved", 0)])
    async def test_without_the_database_few_are_sent_in_vain(
        self, world: World, monkeypatch: pytest.MonkeyPatch, statement: str, sent: int
    ) -> None:
        due = await self.owed_batch(world, 1_000)

        async def away(messages: object) -> None:
            raise StoreUnavailable("Postgres did not answer.")

        monkeypatch.setattr(world.repository, statement, away)
        await world.backend.dispatcher().send(due, reserved_for=timedelta())
        assert len(world.queues.sent) == sent


class TestHandles:
    async def test_each_says_whether_its_own_message_was_sent(self, world: World) -> None:
        world.queues = FaultyQueues(lambda queue, message: world.repository.jobs[message.id].request["n"] % 3 > 0)
        batch = await many(world, 30, follow_up=FollowUp(runner=Then, request=Ask()))
        assert batch.follow_up is not None
        assert [handle.sent for handle in batch.handles] == [number % 3 > 0 for number in range(30)]
        assert [world.row(handle.job).sent_gen for handle in batch.handles] == [
            int(handle.sent) for handle in batch.handles
        ]
        assert not batch.follow_up.sent, "it is held, and owed its message"
        before = Counter(due.message for due in world.queues.sent)
        world.queues.takes = lambda queue, message: True
        await batch.send()
        assert all(handle.sent for handle in batch.handles)
        assert not batch.follow_up.sent
        again = Counter(due.message for due in world.queues.sent) - before
        assert sorted(again.values()) == [1] * 10, "what was sent is not sent again"
        assert owed(world) == 1

    async def test_what_is_far_is_owed_and_what_stands_beside_it_is_not(self, world: World) -> None:
        far = await many(world, 2, delay=HOUR)
        assert [handle.sent for handle in far.handles] == [False, False]
        assert world.queues.sent == []

    async def test_a_duplicate_tells_what_its_row_owes(self, world: World) -> None:
        world.queues.unavailable = True
        first = await many(world, 3, idempotency_key="k")
        again = await many(world, 3, idempotency_key="k")
        assert [handle.sent for handle in again.handles] == [False] * 3
        world.queues.unavailable = False
        await first.send()
        world.repository._set(world.row(first.handles[0].job), sent_gen=0)
        ended = world.row(first.handles[2].job)
        world.repository._changed(ended, status=JobStatus.CANCELLED, sent_gen=0, finished_at=ended.created_at)
        again = await many(world, 3, idempotency_key="k")
        assert [handle.sent for handle in again.handles] == [False, True, True], "who has ended is owed nothing"
        assert all(handle.duplicate for handle in again.handles)

    async def test_a_message_that_was_sent_and_not_marked_counts_as_sent(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def away(messages: object) -> None:
            raise StoreUnavailable("Postgres did not respond.")

        monkeypatch.setattr(world.repository, "mark_sent", away)
        batch = await many(world, 2)
        assert [handle.sent for handle in batch.handles] == [True, True], "a worker was woken"
        assert owed(world) == 2
