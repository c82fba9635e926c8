"""The timer's duties over the in-memory store."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

import queued_jobs.sweeper
from queued_jobs import JobMessage, JobStatus, QueuedJob, Sweeper
from queued_jobs.sweeper import SweepReport
from tests.unit.queued_jobs.conftest import Answer, Demo, World

DAY = timedelta(days=1)


def sweeper(world: World) -> Sweeper:
    return Sweeper(world.repository, world.queues, world.notifier)


async def test_a_quiet_sweep_does_nothing(world: World) -> None:
    await world.queued()
    assert await sweeper(world).run_once() == SweepReport(rescued=0, resent=0, sent=0, pruned=0)


async def test_what_the_enqueuer_could_not_send_is_sent(world: World) -> None:
    world.queues.away = True
    job = await world.queued()
    world.change(job, next_send_at=job.created_at - DAY)
    world.queues.away = False
    assert (await sweeper(world).run_once()).sent == 1
    assert world.row(job).sent_gen == 1
    assert (await sweeper(world).run_once()).sent == 0


async def test_while_the_queue_is_away_the_job_stays_owed(world: World) -> None:
    world.queues.away = True
    job = await world.queued()
    world.change(job, next_send_at=job.created_at - DAY)
    assert (await sweeper(world).run_once()).sent == 0
    assert world.row(job).sent_gen == 0


async def test_a_lost_worker_is_rescued_sent_and_shown_in_one_sweep(world: World) -> None:
    job = await world.queued()
    claimed = await world.repository.claim(JobMessage.of(job), kind="demo", schema_version=1, lease=DAY, timeout=DAY)
    assert claimed is not None
    world.change(job, lease_until=job.created_at - DAY)
    report = await sweeper(world).run_once()
    assert (report.rescued, report.sent) == (1, 1)
    assert world.row(job).status is JobStatus.RETRYING
    assert world.shown()[-1] == "retrying"


async def test_a_hub_that_is_away_does_not_stop_the_sweep(world: World) -> None:
    world.notifier.away = True
    job = await world.queued()
    claimed = await world.repository.claim(JobMessage.of(job), kind="demo", schema_version=1, lease=DAY, timeout=DAY)
    assert claimed is not None
    world.change(job, lease_until=job.created_at - DAY)
    assert (await sweeper(world).run_once()).sent == 1


class Brief(Demo):
    keep_result = DAY
    keep = 3 * DAY
    storage_is_away = False

    async def on_result_expired(self, job: QueuedJob, result: Answer) -> None:
        if self.storage_is_away:
            raise ConnectionError("The storage is away.")
        self.discarded.append(result)


class TestExpiry:
    async def old(self, world: World, runner: Demo, days: float) -> QueuedJob:
        job = await world.queued()
        await runner.execute(JobMessage.of(job))
        ago = world.row(job).created_at - days * DAY
        world.change(job, finished_at=ago, next_send_at=ago)
        return world.row(job)

    def sweeper(self, world: World, runner: Demo) -> Sweeper:
        return Sweeper(world.repository, world.queues, world.notifier, runners=[runner])

    async def test_what_the_result_refers_to_goes_first_and_the_owner_is_told(self, world: World) -> None:
        runner = world.runner(of=Brief)
        job = await self.old(world, runner, days=2)
        report = await self.sweeper(world, runner).run_once()
        assert (report.expired, report.pruned) == (1, 0)
        assert runner.discarded == [Answer(text="n is 1")]
        assert world.notifier.pushed[-1] == world.row(job)
        assert world.row(job).result is None
        assert world.row(job).expired_at is not None
        assert (await self.sweeper(world, runner).run_once()).expired == 0

    async def test_a_storage_that_is_away_is_tried_again_after_an_hour(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        runner = world.runner(of=Brief)
        job = await self.old(world, runner, days=2)
        runner.storage_is_away = True  # type: ignore[attr-defined]
        assert (await self.sweeper(world, runner).run_once()).expired == 0
        assert "The storage is away." in caplog.text
        runner.storage_is_away = False  # type: ignore[attr-defined]
        assert (await self.sweeper(world, runner).run_once()).expired == 0
        world.change(job, next_send_at=job.created_at - DAY)
        assert (await self.sweeper(world, runner).run_once()).expired == 1

    async def test_a_storage_that_hangs_does_not_hold_the_sweeper_up(
        self, world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Hangs(Brief):
            kind = "demo"

            async def on_result_expired(self, job: QueuedJob, result: Answer) -> None:
                self.discarded.append(result)
                if len(self.discarded) == 2:
                    await asyncio.Event().wait()

        monkeypatch.setattr(queued_jobs.sweeper, "_EXPIRY_TIME", 0.3)
        runner = world.runner(of=Hangs)
        jobs = [await self.old(world, runner, days=2) for _ in range(4)]
        async with asyncio.timeout(30):
            assert (await self.sweeper(world, runner).run_once()).expired == 1
        assert "3 of 4 old results were not removed in time" in caplog.text
        assert [world.row(job).result is None for job in jobs].count(True) == 1
        for job in jobs:
            world.change(job, next_send_at=job.created_at - DAY)
        assert (await self.sweeper(world, runner).run_once()).expired == 3

    async def test_a_result_of_an_older_shape_expires_too(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        runner = world.runner(of=Brief)
        job = await self.old(world, runner, days=2)
        world.change(job, result={"words": "a secret"})
        assert (await self.sweeper(world, runner).run_once()).expired == 1
        assert runner.discarded == []
        assert "the field text: missing" in caplog.text
        assert "a secret" not in caplog.text

    async def test_a_kind_that_nobody_knows_any_more_expires_all_the_same(self, world: World) -> None:
        job = await self.old(world, world.runner(), days=31)
        report = await sweeper(world).run_once()
        assert (report.expired, report.pruned) == (1, 1)
        assert job.id not in world.repository.jobs

    async def test_the_row_stays_for_the_time_of_its_kind(self, world: World) -> None:
        runner = world.runner(of=Brief)
        await self.old(world, runner, days=4)
        report = await self.sweeper(world, runner).run_once()
        assert (report.expired, report.pruned) == (1, 1)


async def test_a_long_wait_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    job = await world.queued()
    await sweeper(world).run_once()
    assert "has waited" not in caplog.text
    world.change(job, available_at=job.created_at - DAY)
    await sweeper(world).run_once()
    assert "queue demo: its oldest job has waited for 86400 s" in caplog.text
