"""Jobs that are stored together, and the one that waits for them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from queued_jobs import JobStatus, QueuedJob
from queued_jobs.errors import KeyReused
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import JobError, NewJob
from tests.contract.conftest import Helpers

YEAR = timedelta(days=365)
BAD = JobError(type="E", message="")


async def new(jobs: Helpers, number: int, **changes: object) -> NewJob:
    (key,) = await jobs.repository.new_keys(1)
    values = {"kind": "demo", "schema_version": 1, "queue": "demo", "user_id": "ann", "max_attempts": 1}
    return NewJob(id=key, request={"n": number}, **(values | changes))  # type: ignore[arg-type]


async def batch(jobs: Helpers, count: int) -> tuple[UUID, list[QueuedJob], QueuedJob]:
    batch_id = uuid4()
    members = [await new(jobs, number, batch_id=batch_id) for number in range(count)]
    held = await new(jobs, 99, kind="then", after_batch=batch_id)
    *added, follow_up = await jobs.repository.add(*members, held)
    return batch_id, [one.job for one in added], follow_up.job


class TestAdd:
    async def test_many_at_once_are_answered_in_their_order(self, jobs: Helpers) -> None:
        old = await jobs.waiting(idempotency_key="b", request={"n": 1})
        fresh = [await new(jobs, number, idempotency_key=key) for number, key in enumerate(["a", "b", "c", "a"])]
        fresh[3] = await new(jobs, 0, idempotency_key="a")
        added = await jobs.repository.add(*fresh)
        assert [one.duplicate for one in added] == [False, True, False, True]
        assert [one.job.id for one in added] == [fresh[0].id, old.id, fresh[2].id, fresh[0].id]
        assert [one.job.request["n"] for one in added] == [0, 1, 2, 0]

    async def test_none_are_none(self, jobs: Helpers) -> None:
        assert await jobs.repository.add() == []
        assert await jobs.repository.new_keys(0) == []

    async def test_a_reused_key_is_told(self, jobs: Helpers) -> None:
        await jobs.waiting(idempotency_key="a", request={"n": 7})
        with pytest.raises(KeyReused):
            await jobs.repository.add(fresh := await new(jobs, 1), await new(jobs, 2, idempotency_key="a"))
        assert await jobs.claim((await jobs.add(id=fresh.id)).job) is not None, "none of them was stored"

    async def test_a_batch_is_read_in_its_order(self, jobs: Helpers) -> None:
        batch_id, members, _ = await batch(jobs, 12)
        await jobs.waiting()
        assert [job.id for job in await jobs.repository.batch(batch_id)] == [job.id for job in members]
        assert [job.request["n"] for job in members] == list(range(12))
        assert await jobs.repository.batch(uuid4()) == []


class TestWhole:
    """The jobs of a batch under one idempotency key are all new, or all there already."""

    async def keyed(self, jobs: Helpers, numbers: list[int], *, follow_up: bool = False) -> list[NewJob]:
        batch_id = uuid4()
        members = [await new(jobs, n, batch_id=batch_id, idempotency_key=f"k/{n}") for n in numbers]
        if follow_up:
            members.append(await new(jobs, 99, kind="then", after_batch=batch_id, idempotency_key="k/then"))
        return members

    async def test_the_same_ones_again_are_those_that_are_there(self, jobs: Helpers) -> None:
        first = await jobs.repository.add(*await self.keyed(jobs, [1, 2], follow_up=True))
        again = await jobs.repository.add(*await self.keyed(jobs, [1, 2], follow_up=True))
        assert [one.job.id for one in again] == [one.job.id for one in first]
        assert all(one.duplicate for one in again)

    @pytest.mark.parametrize(("numbers", "follow_up"), [([1, 2, 3], False), ([1, 2], True)])
    async def test_some_more_are_another_batch(self, jobs: Helpers, numbers: list[int], follow_up: bool) -> None:
        await jobs.repository.add(*await self.keyed(jobs, [1, 2]))
        with pytest.raises(KeyReused):
            await jobs.repository.add(*await self.keyed(jobs, numbers, follow_up=follow_up))
        assert len(await jobs.repository.add(*await self.keyed(jobs, [3]))) == 1, "it was not stored then"


class TestFollowUp:
    async def test_it_is_held_for_as_long_as_it_takes(self, jobs: Helpers) -> None:
        _, members, held = await batch(jobs, 1)
        assert held.is_held
        assert not members[0].is_held
        await jobs.shift(held.id, created_at=-YEAR)
        assert await jobs.claim(held, kind="then") is None
        assert held.id not in [due.message.id for due in await jobs.repository.unsent(limit=10)]
        assert await jobs.repository.resend_silent(limit=10) == 0
        assert await jobs.repository.follow_ups(limit=10) == []
        assert (await jobs.row(held.id)).is_held

    async def test_it_may_run_when_all_have_ended_one_way_or_another(self, jobs: Helpers) -> None:
        _, members, held = await batch(jobs, 2)
        first, second = [await jobs.claim(job) for job in members]
        assert first is not None
        assert second is not None
        done = await jobs.repository.succeed(first, None)
        assert done is not None
        assert await jobs.repository.wake_next(done) == []
        failed = await jobs.repository.fail(second, BAD, retry_in=None)
        assert failed is not None
        assert failed.status is JobStatus.FAILED
        (woken,) = await jobs.repository.wake_next(failed)
        assert (woken.id, woken.is_held, woken.version) == (held.id, False, held.version + 1)
        assert await jobs.repository.wake_next(failed) == [], "once"
        assert await jobs.claim(woken, kind="then") is not None

    async def test_a_retry_is_no_end(self, jobs: Helpers) -> None:
        batch_id = uuid4()
        job, held = await jobs.repository.add(
            await new(jobs, 1, batch_id=batch_id, max_attempts=3), await new(jobs, 2, after_batch=batch_id)
        )
        running = await jobs.claim(job.job)
        assert running is not None
        retrying = await jobs.repository.fail(running, BAD, retry_in=timedelta())
        assert retrying is not None
        assert await jobs.repository.wake_next(retrying) == []
        assert (await jobs.row(held.job.id)).is_held

    async def test_the_sweeper_finds_it_where_nobody_woke_it(self, jobs: Helpers) -> None:
        _, members, held = await batch(jobs, 1)
        running = await jobs.claim(members[0])
        assert running is not None
        await jobs.repository.succeed(running, None)
        assert [job.id for job in await jobs.repository.follow_ups(limit=10)] == [held.id]
        assert held.id in [due.message.id for due in await jobs.repository.unsent(limit=10)]
        assert await jobs.repository.follow_ups(limit=10) == []

    async def test_a_forged_message_changes_nothing(self, jobs: Helpers) -> None:
        _, _, held = await batch(jobs, 1)
        await jobs.repository.mark_sent([Reserved.of(held)])
        assert await jobs.claim(held, kind="then") is None
        assert await jobs.repository.defer(JobMessage.of(held), kind="then", schema_version=1) is None
        assert (await jobs.row(held.id)).is_held
