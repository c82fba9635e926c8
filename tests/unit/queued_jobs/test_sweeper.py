"""The timer's duties over the in-memory store."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from queued_jobs import JobMessage, JobStatus, Sweeper
from queued_jobs.sweeper import SweepReport
from tests.unit.queued_jobs.conftest import World

DAY = timedelta(days=1)


def sweeper(world: World) -> Sweeper:
    return Sweeper(world.repository, world.queues, world.notifier)


async def test_a_quiet_sweep_does_nothing(world: World) -> None:
    await world.queued()
    assert await sweeper(world).run_once() == SweepReport(rescued=0, resent=0, sent=0, pruned=0)


async def test_what_the_enqueuer_could_not_send_is_sent(world: World) -> None:
    world.queues.away = True
    job = await world.queued()
    world.repository.jobs[job.id] = dataclasses.replace(world.row(job), next_send_at=job.created_at - DAY)
    world.queues.away = False
    assert (await sweeper(world).run_once()).sent == 1
    assert world.row(job).sent_gen == 1
    assert (await sweeper(world).run_once()).sent == 0


async def test_while_the_queue_is_away_the_job_stays_owed(world: World) -> None:
    world.queues.away = True
    job = await world.queued()
    world.repository.jobs[job.id] = dataclasses.replace(world.row(job), next_send_at=job.created_at - DAY)
    assert (await sweeper(world).run_once()).sent == 0
    assert world.row(job).sent_gen == 0


async def test_a_lost_worker_is_rescued_sent_and_shown_in_one_sweep(world: World) -> None:
    job = await world.queued()
    claimed = await world.repository.claim(JobMessage.of(job), kind="demo", schema_version=1, lease=DAY, timeout=DAY)
    assert claimed is not None
    world.repository.jobs[job.id] = dataclasses.replace(claimed, lease_until=job.created_at - DAY)
    report = await sweeper(world).run_once()
    assert (report.rescued, report.sent) == (1, 1)
    assert world.row(job).status is JobStatus.RETRYING
    assert world.shown()[-1] == "retrying"


async def test_a_hub_that_is_away_does_not_stop_the_sweep(world: World) -> None:
    world.notifier.away = True
    job = await world.queued()
    claimed = await world.repository.claim(JobMessage.of(job), kind="demo", schema_version=1, lease=DAY, timeout=DAY)
    assert claimed is not None
    world.repository.jobs[job.id] = dataclasses.replace(claimed, lease_until=job.created_at - DAY)
    assert (await sweeper(world).run_once()).sent == 1
