"""The timer's duties over the in-memory store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from datetime import timedelta
from typing import Any

import pytest

from queued_jobs import JobStatus, QueuedJob, expiry
from queued_jobs import sweeper as sweeper_module
from queued_jobs.message import JobMessage
from queued_jobs.sweeper import Sweeper, SweepReport
from tests.unit.queued_jobs.conftest import Answer, Demo, World

DAY = timedelta(days=1)


def sweeper(world: World) -> Sweeper:
    return Sweeper(world.backend)


async def test_a_quiet_sweep_does_nothing(world: World) -> None:
    await world.queued()
    assert await sweeper(world).run_once() == SweepReport(rescued=0, resent=0, sent=0, pruned=0)


async def test_what_the_enqueuer_could_not_send_is_sent(world: World) -> None:
    world.queues.unavailable = True
    job = await world.queued()
    world.change(job, next_send_at=job.created_at - DAY)
    world.queues.unavailable = False
    assert (await sweeper(world).run_once()).sent == 1
    assert world.row(job).sent_gen == 1
    assert (await sweeper(world).run_once()).sent == 0


async def test_while_the_queue_is_away_the_job_stays_owed(world: World) -> None:
    world.queues.unavailable = True
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
    world.notifier.unavailable = True
    job = await world.queued()
    claimed = await world.repository.claim(JobMessage.of(job), kind="demo", schema_version=1, lease=DAY, timeout=DAY)
    assert claimed is not None
    world.change(job, lease_until=job.created_at - DAY)
    assert (await sweeper(world).run_once()).sent == 1


class TestKindsThatWereRemoved:
    async def test_their_jobs_end_after_a_day_and_the_owner_is_told(self, world: World) -> None:
        job = await world.queued()
        world.change(job, kind="gone", created_at=job.created_at - 2 * DAY, available_at=job.created_at - 2 * DAY)
        report = await Sweeper(world.backend, runners=[world.runner()]).run_once()
        assert report.ended == 1
        assert world.row(job).status is JobStatus.ABORTED
        assert world.notifier.pushed[-1] == world.row(job)

    async def test_a_sweeper_without_kinds_ends_none(self, world: World) -> None:
        job = await world.queued()
        world.change(job, created_at=job.created_at - 2 * DAY, available_at=job.created_at - 2 * DAY)
        assert (await sweeper(world).run_once()).ended == 0
        assert world.row(job).status is JobStatus.PENDING


class TestRescue:
    """A worker that dies during a sweep is noticed in that sweep, whatever else the sweep waits for."""

    async def lost(self, world: World) -> QueuedJob:
        job = await world.queued()
        claimed = await world.repository.claim(
            JobMessage.of(job), kind="demo", schema_version=1, lease=DAY, timeout=DAY
        )
        assert claimed is not None
        return world.change(job, lease_until=job.created_at - DAY)

    async def wait_for_the_rescue(self, world: World) -> None:
        job = await self.lost(world)
        while world.row(job).status is not JobStatus.RETRYING:
            await asyncio.sleep(0)

    @pytest.mark.parametrize(
        "duty",
        [
            *("follow_ups", "wake_lines", "resend_silent", "unsent", "mark_sent", "queue_ages", "tally"),
            *("expiring", "prune", "prune_notes", "fold_tallies"),
        ],
    )
    async def test_no_duty_delays_it(self, world: World, monkeypatch: pytest.MonkeyPatch, duty: str) -> None:
        monkeypatch.setattr(sweeper_module, "_RESCUE_EVERY", timedelta(seconds=0.01))
        world.queues.unavailable = True
        owed = await world.queued()
        world.queues.unavailable = False
        world.change(owed, next_send_at=owed.created_at - DAY)
        carry_out = getattr(world.repository, duty)
        waited = 0

        async def takes_long(*args: Any, **options: Any) -> Any:
            nonlocal waited
            waited += 1
            if waited == 1:
                await self.wait_for_the_rescue(world)
            return await carry_out(*args, **options)

        monkeypatch.setattr(world.repository, duty, takes_long)
        async with asyncio.timeout(30):
            report = await sweeper(world).run_once()
        assert waited
        assert report.rescued == 1

    async def test_neither_does_a_queue_that_hangs(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sweeper_module, "_RESCUE_EVERY", timedelta(seconds=0.01))
        await self.lost(world)
        send, waited = world.queues.send, False

        async def hangs(*args: Any, **options: Any) -> None:
            nonlocal waited
            if not waited:
                waited = True
                await self.wait_for_the_rescue(world)
            await send(*args, **options)

        monkeypatch.setattr(world.queues, "send", hangs)
        async with asyncio.timeout(30):
            assert (await sweeper(world).run_once()).rescued == 2

    async def test_nor_a_hook_of_an_expired_result(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sweeper_module, "_RESCUE_EVERY", timedelta(seconds=0.01))
        test = self

        class Slow(Brief):
            kind = "demo"

            async def on_result_expired(self, job: QueuedJob, result: Answer) -> None:
                await test.wait_for_the_rescue(world)

        runner = world.runner(of=Slow)
        await TestExpiry().old(world, runner, days=2)
        async with asyncio.timeout(30):
            report = await Sweeper(world.backend, runners=[runner], time=timedelta()).run_once()
        assert (report.rescued, report.expired) == (1, 1)

    async def test_what_is_rescued_late_is_sent_in_the_same_sweep(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweeper_module, "_RESCUE_EVERY", timedelta(seconds=0.01))
        tally = world.repository.tally

        async def takes_long(*, limit: int) -> Any:
            await self.wait_for_the_rescue(world)
            monkeypatch.setattr(world.repository, "tally", tally)
            return await tally(limit=limit)

        monkeypatch.setattr(world.repository, "tally", takes_long)
        async with asyncio.timeout(30):
            report = await sweeper(world).run_once()
        assert (report.rescued, report.sent) == (1, 1)


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

    def sweeper(self, world: World, *runners: Demo, limit: int = 500) -> Sweeper:
        return Sweeper(world.backend, runners=runners, limit=limit)

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

    async def test_a_hook_that_hangs_holds_no_other_up(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        class Hangs(Brief):
            kind = "demo"

            async def on_result_expired(self, job: QueuedJob, result: Answer) -> None:
                self.discarded.append(result)
                while len(self.discarded) % 10 == 2:
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.Event().wait()

        monkeypatch.setattr(expiry, "HOOK_TIME", timedelta(seconds=0.3))
        runner = world.runner(of=Hangs)
        jobs = [await self.old(world, runner, days=2) for _ in range(40)]
        async with asyncio.timeout(30):
            report = await self.sweeper(world, runner, limit=5).run_once()
        assert (report.expired, report.behind) == (36, ())
        assert [world.row(job).result is None for job in jobs].count(True) == 36

    async def test_while_a_storage_is_away_few_hooks_are_tried(
        self, world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Hangs(Brief):
            kind = "demo"
            tried = 0
            hangs = True

            async def on_result_expired(self, job: QueuedJob, result: Answer) -> None:
                type(self).tried += 1
                if self.hangs:
                    await asyncio.Event().wait()

        class Other(Demo):
            kind = "other"
            queue = "other"
            keep_result = DAY

            async def on_result_expired(self, job: QueuedJob, result: Answer) -> None:
                self.discarded.append(result)

        monkeypatch.setattr(expiry, "HOOK_TIME", timedelta(seconds=0.1))
        runner, other = world.runner(of=Hangs), world.runner(of=Other)
        jobs = [await self.old(world, runner, days=2) for _ in range(300)]
        for job in jobs[250:]:
            world.change(job, kind="other", finished_at=job.created_at - 1.5 * DAY)
        async with asyncio.timeout(30):
            report = await self.sweeper(world, runner, other, limit=50).run_once()
        assert (report.expired, report.behind) == (50, ()), "those of the other kind"
        assert expiry.MAX_FAILURES <= Hangs.tried < expiry.MAX_FAILURES + expiry.MAX_HOOKS
        assert "after 8 failures in a row" in caplog.text
        Hangs.hangs = False
        for job in jobs:
            world.change(job, next_send_at=job.created_at - DAY)
        assert (await self.sweeper(world, runner, other, limit=50).run_once()).expired == 250

    async def test_hooks_run_side_by_side(self, world: World) -> None:
        class Together(Brief):
            kind = "demo"
            under_way = 0
            most = 0

            async def on_result_expired(self, job: QueuedJob, result: Answer) -> None:
                kind = type(self)
                kind.under_way += 1
                kind.most = max(kind.most, kind.under_way)
                for _ in range(20):
                    await asyncio.sleep(0)
                kind.under_way -= 1

        runner = world.runner(of=Together)
        for _ in range(100):
            await self.old(world, runner, days=2)
        assert (await self.sweeper(world, runner).run_once()).expired == 100
        assert Together.most == expiry.MAX_HOOKS

    async def test_hooks_that_hang_leave_the_loops_own_threads_to_others(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With those gone, host names could no longer be looked up."""
        over = threading.Event()

        class Blocks(Brief):
            kind = "demo"

            def on_result_expired(self, job: QueuedJob, result: Answer) -> None:  # type: ignore[override]
                over.wait(60)

        monkeypatch.setattr(expiry, "HOOK_TIME", timedelta(seconds=0.1))
        monkeypatch.setattr(expiry, "MAX_FAILURES", 1_000)
        runner = world.runner(of=Blocks)
        for _ in range(40):
            await self.old(world, runner, days=2)
        try:
            async with asyncio.timeout(30):
                await self.sweeper(world, runner).run_once()
                assert await asyncio.to_thread(lambda: "a thread is free") == "a thread is free"
        finally:
            over.set()

    async def test_a_sweep_that_is_broken_off_leaves_no_hook_behind(self, world: World) -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        class Hangs(Brief):
            kind = "demo"

            async def on_result_expired(self, job: QueuedJob, result: Answer) -> None:
                begun.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.set()

        runner = world.runner(of=Hangs)
        await self.old(world, runner, days=2)
        sweep = asyncio.create_task(self.sweeper(world, runner).run_once())
        await begun.wait()
        sweep.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sweep
        async with asyncio.timeout(30):
            await ended.wait()

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
