"""A kind that an operator pauses: what workers, the sweeper and the schedule do meanwhile, and afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest

from queued_jobs import JobStatus, JobView
from queued_jobs.announcements import flush_pushes
from queued_jobs.message import JobMessage
from queued_jobs.periodic import Occurrences, queue_due
from queued_jobs.registry import JobRegistry
from queued_jobs.sweeper import Sweeper
from queued_jobs.testing import FrozenClock
from tests.unit.queued_jobs.conftest import Demo, World
from tests.unit.queued_jobs.test_periodic import NOON, Nightly

HOUR = timedelta(hours=1)


async def deliver(world: World) -> None:
    """Hand each message that lies on the queue to a worker."""
    for due in world.queues.take():
        await world.runner().execute(due.message)


@pytest.fixture
def world() -> World:
    world = World()
    clock = FrozenClock()
    world.repository.clock = clock
    world.queues = type(world.queues)(clock)
    return world


async def test_none_runs_none_is_sent_twice_and_all_run_in_order_afterwards(world: World) -> None:
    clock = world.repository.clock
    assert isinstance(clock, FrozenClock)
    await world.manager.pauses.pause("demo", subject="eve")
    jobs = []
    for n in range(5):
        clock.advance(timedelta(seconds=1))
        jobs.append(await world.queued(n))
    for _ in range(60):
        await deliver(world)
        await Sweeper(world.backend).run_once()
        clock.advance(timedelta(minutes=1))
    assert len(world.queues.sent) == 5, "each message once"
    assert {world.row(job).status for job in jobs} == {JobStatus.PENDING}
    assert {world.row(job).attempt for job in jobs} == {0}
    await world.manager.pauses.resume("demo")
    sent = [due.message.id for due in world.queues.sent[5:]]
    assert sent == [job.id for job in jobs]
    await deliver(world)
    assert {world.row(job).status for job in jobs} == {JobStatus.SUCCEEDED}
    assert len(world.queues.sent) == 10


async def test_who_resumed_it_may_crash(world: World) -> None:
    jobs = [await world.queued() for _ in range(3)]
    await world.manager.pauses.pause("demo", subject="eve")
    await deliver(world)
    await world.repository.resume("demo")
    report = await Sweeper(world.backend, limit=2).run_once()
    assert (report.resumed, report.sent, report.behind) == (3, 3, ())
    await deliver(world)
    assert {world.row(job).status for job in jobs} == {JobStatus.SUCCEEDED}


async def test_its_owner_is_told_that_it_is_paused_and_that_it_continues(world: World) -> None:
    registry = JobRegistry([Demo])
    job = await world.queued()
    await world.manager.pauses.pause("demo", subject="eve")
    await deliver(world)
    await flush_pushes()
    await world.manager.pauses.resume("demo")
    views = {view.version: view for view in (JobView.of(one, registry) for one in world.notifier.pushed)}
    assert [(version, views[version].paused) for version in sorted(views)] == [(1, False), (2, True), (3, False)]
    assert views[2].actions == ("cancel",)
    assert "eve" not in str([view.to_json() for view in views.values()]), "who did it is for admins"
    assert world.row(job).status is JobStatus.PENDING


async def test_a_running_job_goes_on_and_its_retry_waits(world: World) -> None:
    async def body(request: object, ctx: object) -> object:
        await world.manager.pauses.pause("demo", subject="eve")
        raise RuntimeError("it broke")

    job = await world.run(body)  # type: ignore[arg-type]
    assert job.status is JobStatus.RETRYING
    await world.runner().execute(JobMessage.of(world.change(job, available_at=job.created_at)))
    assert (world.row(job).attempt, world.row(job).is_paused) == (1, True)


async def test_its_schedule_stores_a_job_for_each_occurrence_and_they_wait(world: World) -> None:
    await world.manager.pauses.pause("nightly", subject="eve")
    clock = world.repository.clock
    assert isinstance(clock, FrozenClock)
    occurrences = Occurrences(world.backend, [Nightly])
    await occurrences.step()
    for _ in range(4):
        clock.advance(6 * HOUR)
        await occurrences.step()
    await queue_due(world.backend, Nightly, now=NOON - 24 * HOUR)
    found = list(world.repository.jobs.values())
    assert len(found) >= 4
    runner = Nightly(world.backend)
    for due in world.queues.take():
        await runner.execute(due.message)
    assert all(world.row(job).is_paused for job in found)


async def test_a_kind_that_is_not_paused_is_resumed_without_effect(world: World) -> None:
    assert await world.manager.pauses.resume("demo") is None
    assert await world.manager.pauses.all() == []
