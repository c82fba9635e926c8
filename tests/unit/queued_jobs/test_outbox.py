"""Changes that wait to be pushed: who is told what, in which order, and what becomes of the rest."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import pytest

from queued_jobs import JobStatus, QueuedJob, outbox
from queued_jobs.announcements import announce, announce_removed, flush_pushes, schedule_push
from queued_jobs.message import JobMessage
from queued_jobs.model import Changed
from queued_jobs.outbox import MAX_CHANGES_PER_PUSH, MAX_WAITING, MAX_WAITING_IN_PAUSE, Outbox
from queued_jobs.parcels import Steps
from queued_jobs.push.signalr import PushFailed
from queued_jobs.registry import JobRegistry
from tests.model.network import Hub as KeepingHub
from tests.unit.queued_jobs.conftest import Demo, World

Told = list[tuple[str, int, int]]


class Hub:
    """`Notifier` that takes its time: pushes wait for `open`, and fail while `broken`."""

    def __init__(self) -> None:
        self.told: list[tuple[str, UUID | int, int]] = []
        self.removed: list[tuple[str, UUID | int, int]] = []
        self.begun = 0
        self.under_way = 0
        self.most_under_way = 0
        self.lasts: tuple[int, ...] = (1,)  # rounds of the event loop, in turn
        self.open = asyncio.Event()
        self.open.set()
        self.broken: Exception | None = None

    async def job_changed(self, *jobs: QueuedJob) -> None:
        await self._pass()
        self.told += [(job.user_id, job.id, job.version) for job in jobs]

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        await self._pass()
        self.removed += [(user_id, change.id, change.version) for change in changes]

    async def _pass(self) -> None:
        self.begun += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.open.wait()
            for _ in range(self.lasts[self.begun % len(self.lasts)]):
                await asyncio.sleep(0)
            if self.broken is not None:
                raise self.broken
        finally:
            self.under_way -= 1


@pytest.fixture
async def row(world: World) -> QueuedJob:
    return await world.queued()


def rows(row: QueuedJob, count: int, *, user: str | None = None, version: int = 1) -> list[QueuedJob]:
    return [
        dataclasses.replace(row, id=number, user_id=user or f"user-{number}", version=version)
        for number in range(count)
    ]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)  # not 0, which would keep the processor busy while pushes pause


def count_of(kind: type) -> int:
    gc.collect()
    return sum(isinstance(thing, kind) for thing in gc.get_objects())


@contextmanager
def short_pauses() -> Iterator[None]:
    """So that a test sees what comes after them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "PAUSE", timedelta(milliseconds=20))
        patch.setattr(outbox, "MAX_PAUSE", timedelta(milliseconds=40))
        yield


class TestOrder:
    async def test_what_waits_is_pushed_once_in_its_newest_version(self, row: QueuedJob) -> None:
        hub = Hub()
        hub.open.clear()
        for version in range(1, 100):
            await announce(hub, dataclasses.replace(row, version=version))
        hub.open.set()
        assert await flush_pushes()
        assert hub.told == [("ann", row.id, 1), ("ann", row.id, 99)]

    async def test_an_older_version_that_comes_late_is_not_pushed_after_a_newer(self, row: QueuedJob) -> None:
        hub = Hub()
        hub.open.clear()
        await announce(hub, *rows(row, 1, user="ann"))
        for version in (7, 5, 6):
            await announce(hub, dataclasses.replace(row, version=version))
        hub.open.set()
        assert await flush_pushes()
        assert [version for _, key, version in hub.told if key == row.id] == [7]

    async def test_versions_of_one_owner_never_fall_however_long_pushes_take(self, row: QueuedJob) -> None:
        hub = Hub()
        hub.lasts = (6, 1, 4, 0, 2)
        for version in range(1, 60):
            schedule_push(hub, *rows(row, 9, version=version))
            for _ in range(version % 4):
                await asyncio.sleep(0)
        assert await flush_pushes()
        for user in {user for user, _, _ in hub.told}:
            versions = [version for told, _, version in hub.told if told == user]
            assert versions == sorted(set(versions))
            assert versions[-1] == 59

    async def test_a_removal_and_a_return_keep_their_order_too(self, row: QueuedJob) -> None:
        hub = Hub()
        hub.open.clear()
        await announce(hub, *rows(row, 1, user="ann"))
        await announce(hub, dataclasses.replace(row, version=3))
        await announce_removed(hub, "ann", [Changed(id=row.id, version=4)])
        hub.open.set()
        assert await flush_pushes()
        assert (hub.told, hub.removed) == ([("ann", 0, 1)], [("ann", row.id, 4)])
        await announce_removed(hub, "ann", [Changed(id=row.id, version=5)])
        await announce(hub, dataclasses.replace(row, version=6))
        assert await flush_pushes()
        assert hub.told[-1] == ("ann", row.id, 6)

    async def test_one_owner_s_many_changes_do_not_hold_up_the_others(self, row: QueuedJob) -> None:
        hub = Hub()
        hub.open.clear()
        schedule_push(hub, *rows(row, 5 * MAX_CHANGES_PER_PUSH, user="much"))
        schedule_push(hub, *rows(row, 3))
        await until(lambda: hub.under_way == 4)
        hub.open.set()
        assert await flush_pushes()
        first = [user for user, _, _ in hub.told][: MAX_CHANGES_PER_PUSH + 3]
        assert {"user-0", "user-1", "user-2"} <= set(first)
        assert len(hub.told) == 5 * MAX_CHANGES_PER_PUSH + 3

    async def test_few_pushes_are_under_way_at_once(self, row: QueuedJob) -> None:
        hub = Hub()
        hub.open.clear()
        await announce(hub, *rows(row, 100))
        await until(lambda: hub.under_way == 4)
        hub.open.set()
        assert await flush_pushes()
        assert (hub.most_under_way, len(hub.told)) == (4, 100)


class TestAHubThatHangs:
    async def test_ten_thousand_changes_and_more_take_bounded_memory(self, row: QueuedJob) -> None:
        before = count_of(QueuedJob)
        hub = Hub()
        hub.open.clear()
        for version in range(1, 4):
            await announce(hub, *rows(row, MAX_WAITING, version=version))
        await announce(hub, *rows(row, 3 * MAX_WAITING, user="ann", version=9))
        kept = count_of(QueuedJob) - before
        assert MAX_WAITING <= kept <= MAX_WAITING + 4 * MAX_CHANGES_PER_PUSH
        assert hub.begun <= 4
        hub.open.set()

    async def test_during_a_pause_less_is_kept(self, row: QueuedJob, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox, "DEADLINE", timedelta(milliseconds=20))
        before = count_of(QueuedJob)
        hub = Hub()
        hub.open.clear()
        await announce(hub, *rows(row, MAX_WAITING))
        assert not await flush_pushes(), "changes for an unavailable hub are not waited for"
        assert hub.begun <= outbox.MAX_FAILURES + 1, "then all pushes pause"
        await announce(hub, *rows(row, MAX_WAITING, version=2))
        assert count_of(QueuedJob) - before <= MAX_WAITING_IN_PAUSE
        hub.open.set()

    async def test_a_pause_has_an_end(self, row: QueuedJob) -> None:
        hub = Hub()
        hub.broken = PushFailed("The hub did not respond.")
        with short_pauses():
            await announce(hub, *rows(row, 40))
            await until(lambda: hub.begun >= 8)
            assert hub.most_under_way == 4
            hub.broken, begun = None, hub.begun
            await until(lambda: hub.begun == 40)
            assert await flush_pushes()
        assert len(hub.told) >= 40 - begun

    async def test_the_log_has_a_line_for_a_pause_and_not_for_a_push(
        self, row: QueuedJob, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        hub = Hub()
        hub.broken = PushFailed("The hub did not respond.")
        with short_pauses():
            await announce(hub, *rows(row, 40))
            await until(lambda: hub.begun >= 8)
            hub.broken, begun = None, hub.begun
            await until(lambda: hub.begun == 40)
            assert await flush_pushes()
        lines = [record.getMessage() for record in caplog.records]
        pauses = [line for line in lines if "pause" in line]
        assert len(lines) <= outbox.MAX_FAILURES - 1 + len(pauses) + 1, "a line for a pause, not for a push"
        assert len(pauses) <= begun - outbox.MAX_FAILURES + 1
        assert caplog.records[-1].levelno == logging.INFO, "the end of the pause is logged"

    async def test_a_failed_push_leaves_the_others_alone(self, row: QueuedJob) -> None:
        class Picky(Hub):
            async def job_changed(self, *jobs: QueuedJob) -> None:
                if jobs[0].user_id == "user-1":
                    raise ValueError("not this one")
                await super().job_changed(*jobs)

        hub = Picky()
        for version in range(1, 5):
            await announce(hub, *rows(row, 3, version=version))
            assert await flush_pushes()
        assert sorted(hub.told) == sorted((f"user-{at}", at, version) for at in (0, 2) for version in range(1, 5))

    async def test_a_push_that_cancels_itself_is_a_failed_push(self, row: QueuedJob) -> None:
        hub = Hub()
        hub.broken = asyncio.CancelledError()  # type: ignore[assignment]
        await announce(hub, row)
        assert await flush_pushes()
        hub.broken = None
        await announce(hub, dataclasses.replace(row, version=2))
        assert await flush_pushes()
        assert hub.told == [("ann", row.id, 2)]


class TestTheEndOfALoop:
    def test_what_was_announced_last_is_pushed_before_the_loop_is_gone(self) -> None:
        told: Told = []

        class Slow(Hub):
            async def job_changed(self, *jobs: QueuedJob) -> None:
                await asyncio.sleep(0.05)
                told.extend((job.user_id, int(job.id), job.version) for job in jobs)

        async def script() -> None:
            row = await World().queued()
            await announce(Slow(), *rows(row, 30))

        asyncio.run(script())
        assert sorted(told) == sorted((f"user-{number}", number, 1) for number in range(30))

    def test_a_hub_that_hangs_holds_the_end_up_for_a_bounded_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox, "LAST_CALL", timedelta(milliseconds=50))
        hubs: list[Hub] = []

        async def script() -> None:
            row = await World().queued()
            hubs.append(hub := Hub())
            hub.open.clear()
            await announce(hub, *rows(row, 1_000))

        asyncio.run(asyncio.wait_for(script(), 30))
        assert hubs[0].told == []

    def test_a_process_with_many_short_loops_keeps_none_of_their_outboxes(self) -> None:
        async def script() -> None:
            await announce(Hub(), await World().queued())

        before = count_of(Outbox)
        for _ in range(20):
            asyncio.run(script())
        assert count_of(Outbox) <= before + 1


class TestHooks:
    async def test_each_status_is_told_in_its_order_and_newer_progress_replaces_older(self, row: QueuedJob) -> None:
        steps = Steps()
        for version, status in enumerate(("pending", "running", "running", "running", "retrying", "running"), 1):
            steps.add(dataclasses.replace(row, version=version, status=JobStatus(status)))
        assert [job.version for _ in range(9) for job in steps.take(5)] == [1, 4, 5, 6]

    async def test_a_hook_that_hangs_holds_no_job_and_no_other_hook(self, world: World) -> None:
        hang = asyncio.Event()
        heard: list[tuple[UUID | int, JobStatus]] = []
        first = await world.queued()

        class Hanging(Demo):
            kind = "demo"

            async def on_status_updated(self, job: QueuedJob) -> None:
                if job.id == first.id:
                    await hang.wait()
                heard.append((job.id, job.status))

        runner = world.runner(of=Hanging)
        others = [await world.queued() for _ in range(30)]
        async with asyncio.timeout(30):
            for job in (first, *others):
                await runner.execute(JobMessage.of(job))
                assert world.row(job).status is JobStatus.SUCCEEDED
            await until(lambda: len(heard) == 60)
        assert [key for key, _ in heard if key == first.id] == []
        hang.set()
        assert await flush_pushes()
        assert [status for key, status in heard if key == first.id] == [JobStatus.RUNNING, JobStatus.SUCCEEDED]

    async def test_a_flush_within_a_push_does_not_wait_for_itself(self, world: World) -> None:
        flushed: list[bool] = []

        class Flushing(Demo):
            kind = "demo"

            async def on_status_updated(self, job: QueuedJob) -> None:
                flushed.append(await flush_pushes())

        async with asyncio.timeout(30):
            await world.run(of=Flushing)
            await until(lambda: len(flushed) == 2)


async def test_of_several_owners_each_is_told_of_its_own(row: QueuedJob) -> None:
    hub = KeepingHub(JobRegistry([Demo]))
    await hub.job_changed(*rows(row, 3), *rows(row, 3, user="ann"))
    told = [(user, [view["id"] for view in views]) for user, _, views in hub.pushes]
    assert told == [("user-0", [0]), ("user-1", [1]), ("user-2", [2]), ("ann", [0, 1, 2])]
    await hub.close()


async def test_a_push_of_large_results_stays_below_the_limit_of_the_hub(row: QueuedJob) -> None:
    hub = KeepingHub(JobRegistry([Demo]))
    large = [dataclasses.replace(job, result={"text": "x" * 250_000}) for job in rows(row, 6, user="ann")]
    await hub.job_changed(*rows(row, 110, user="ann"), *large)
    sizes = [(len(views), sum(len(str(view["result"])) for view in views)) for _, _, views in hub.pushes]
    assert [number for number, _ in sizes[:2]] == [50, 50]
    assert sum(number for number, _ in sizes) == 116
    assert max(size for _, size in sizes) < 1_000_000
    await hub.close()


async def test_an_immediate_notifier_that_waits_is_told_of_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Hub):
        immediate = True

    hub = Odd()
    hub.open.clear()
    await announce(hub, await world.queued())
    assert "marked as immediate" in caplog.text
