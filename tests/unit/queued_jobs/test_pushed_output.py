"""What jobs emit is pushed to their owners: after the commit, in order, and never in the way of the job."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from queued_jobs import JobContext, JobStatus, QueuedJob, QueueManager
from queued_jobs.announcements import MAX_OWNERS_WITH_TEXTS, close_outbox, flush_pushes, schedule_output
from queued_jobs.chunks import MAX_SEGMENT_BYTES, Chunk, Segment
from queued_jobs.errors import StoreUnavailable
from queued_jobs.message import JobMessage
from queued_jobs.model import Changed
from queued_jobs.notifier import Notifier, NullNotifier
from queued_jobs.testing import JobBench
from tests.unit.queued_jobs.conftest import Answer, Ask, Demo, World, answer

DONE = Answer(text="done")
NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)


class Silent:
    """`Notifier` of a fork that knows nothing of output."""

    async def job_changed(self, *jobs: QueuedJob) -> None:
        return None

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        return None


class Hub(Silent):
    """A notifier whose pushes of output wait for `open`."""

    def __init__(self) -> None:
        self.changed: list[QueuedJob] = []
        self.output: list[tuple[str, Segment]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.broken: Exception | None = None

    async def job_changed(self, *jobs: QueuedJob) -> None:
        self.changed += jobs

    async def output_appended(self, user_id: str, segment: Segment) -> None:
        await self.open.wait()
        if self.broken is not None:
            raise self.broken
        self.output.append((user_id, segment))

    def seen(self) -> list[tuple[int, int, str]]:
        return [(one.after, one.last, "".join(chunk.text for chunk in one.chunks)) for _, one in self.output]


def segment(*texts: str, after: int = 0, job: UUID | int = 1) -> Segment:
    chunks = tuple(
        Chunk(seq=seq, topic="a", text=text, skipped=0, emitted_at=NOW) for seq, text in enumerate(texts, after + 1)
    )
    return Segment(id=job, after=after, last=after + len(chunks), chunks=chunks)


async def waiting(hub: Hub, *segments: Segment, user: str = "ann") -> None:
    """Let these wait behind a push of the same owner that is under way."""
    hub.open.clear()
    schedule_output(hub, user, segment("first", job=uuid4()))
    await asyncio.sleep(0)
    for one in segments:
        schedule_output(hub, user, one)


def texts_in_memory() -> int:
    gc.collect()
    return sum(isinstance(thing, Chunk) for thing in gc.get_objects())


async def pushed(hub: Hub) -> list[tuple[int, int, str]]:
    hub.open.set()
    assert await flush_pushes()
    return hub.seen()[1:]


async def run(world: World, notifier: Notifier, body: object) -> QueuedJob:
    """Run one attempt of a job with this body."""
    manager = QueueManager([Demo], repository=world.repository, queues=world.queues, notifier=notifier)
    handle = await manager.queue_job(Demo, Ask(), user_id="ann")
    runner = Demo(manager.backend)
    runner.body = body  # type: ignore[assignment]
    await runner.execute(JobMessage.of(handle.job))
    await flush_pushes()
    return world.row(handle.job)


async def talk(request: Ask, ctx: JobContext[Answer]) -> Answer:
    for word in ("Once ", "upon ", "a ", "time"):
        await ctx.emit("story", word)
        await asyncio.sleep(0.06)
    return DONE


def stored(world: World, job: QueuedJob) -> list[Chunk]:
    return [chunk for _, chunk in world.repository.streams[job.id].chunks]


class TestWhatIsPushed:
    async def test_an_owner_gets_what_is_stored_in_order_and_once(self, world: World) -> None:
        hub = Hub()
        job = await run(world, hub, talk)
        assert {user for user, _ in hub.output} == {"ann"}
        assert [chunk for _, one in hub.output for chunk in one.chunks] == stored(world, job)
        ends = [0, *(one.last for _, one in hub.output)]
        assert [one.after for _, one in hub.output] == ends[:-1]
        assert len(hub.output) > 1

    async def test_a_job_that_emits_nothing_pushes_no_output(self, world: World) -> None:
        hub = Hub()
        job = await run(world, hub, answer)
        assert job.status is JobStatus.SUCCEEDED
        assert hub.output == []

    async def test_secrets_and_control_characters_are_not_pushed(self, world: World) -> None:
        hub = Hub()

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            ctx.log("\0password=hunter22")
            return DONE

        await run(world, hub, body)
        assert hub.seen() == [(0, 1, "\ufffdpassword=***")]

    @pytest.mark.parametrize("commits", [True, False])
    async def test_what_a_transaction_stores_is_pushed_after_its_commit(
        self, world: World, commits: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("queued_jobs.output._EVERY", 3600)
        hub = Hub()
        before: list[str] = []

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            await ctx.emit("story", "a")
            while not hub.output:
                await asyncio.sleep(0.001)
            async with ctx.transaction() as conn:
                await ctx.emit("story", "b")
                ctx.log("c")
                await ctx.complete(DONE, conn=conn)
                await flush_pushes()
                before.extend(chunk.text for _, one in hub.output for chunk in one.chunks)
                if not commits:
                    raise ValueError
            return DONE

        job = await run(world, hub, body)
        assert job.status is (JobStatus.SUCCEEDED if commits else JobStatus.RETRYING)
        assert before == ["a"]
        assert [chunk for _, one in hub.output for chunk in one.chunks] == stored(world, job)

    async def test_a_batch_of_which_nothing_is_known_is_pushed_without_its_texts(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("queued_jobs.output._PAUSE", 0.01)
        append = world.repository.append
        calls = 0

        async def unsure(*args: object, **options: object) -> Segment | None:
            nonlocal calls
            calls += 1
            added = await append(*args, **options)  # type: ignore[arg-type]
            if calls == 1:
                raise StoreUnavailable
            return added

        monkeypatch.setattr(world.repository, "append", unsure)
        hub = Hub()
        job = await run(world, hub, talk)
        assert hub.output[0][1].chunks == ()
        assert hub.output[0][1].last > 0
        assert hub.output[-1][1].last == len(stored(world, job)) == 4

    async def test_a_late_attempt_pushes_nothing(self, world: World) -> None:
        hub = Hub()

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            world.change(ctx.job, lease_token=None, status=JobStatus.RETRYING)
            ctx.log("late")
            return DONE

        await run(world, hub, body)
        assert hub.output == []

    async def test_the_bench_has_it(self) -> None:
        class Talk(Demo):
            kind = "talk"
            queue = "talk"

            async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
                return await talk(request, ctx)

        bench = JobBench(Talk)
        await bench.manager.queue_job(Talk, Ask(), user_id="ann")
        await bench.drain()
        assert "".join(chunk.text for _, one in bench.notifier.output for chunk in one.chunks) == "Once upon a time"
        assert {user for user, _ in bench.notifier.output} == {"ann"}

    @pytest.mark.parametrize("notifier", [Silent(), NullNotifier()])
    async def test_a_notifier_without_output_keeps_working(self, world: World, notifier: Notifier) -> None:
        job = await run(world, notifier, talk)
        assert job.status is JobStatus.SUCCEEDED
        assert len(stored(world, job)) == 4


class TestWhatWaits:
    async def test_small_segments_are_joined(self) -> None:
        hub = Hub()
        await waiting(hub, segment("a"), segment("b", "c", after=1), segment("d", after=3))
        assert await pushed(hub) == [(0, 4, "abcd")]

    async def test_large_ones_are_pushed_without_their_texts(self) -> None:
        hub = Hub()
        half = "x" * (MAX_SEGMENT_BYTES // 2)
        await waiting(hub, segment("a"), segment(half, after=1), segment(half, after=2), segment("b", after=3))
        assert await pushed(hub) == [(0, 4, "")]

    async def test_a_single_one_that_is_too_large_has_no_texts(self) -> None:
        hub = Hub()
        schedule_output(hub, "ann", segment("x" * MAX_SEGMENT_BYTES))
        schedule_output(hub, "bob", segment("x" * (MAX_SEGMENT_BYTES - 64)))
        assert await flush_pushes()
        assert [(one.last, len(one.chunks)) for _, one in hub.output] == [(1, 0), (1, 1)]

    async def test_one_that_does_not_follow_costs_the_texts(self) -> None:
        hub = Hub()
        await waiting(hub, segment("a"), segment("c", after=2), segment("d", after=3))
        assert await pushed(hub) == [(0, 4, "")]

    async def test_one_owner_s_jobs_share_the_room_for_texts(self) -> None:
        hub = Hub()
        third = "x" * (MAX_SEGMENT_BYTES // 3)
        await waiting(hub, *(segment(third, job=number) for number in range(4)))
        assert [bool(text) for _, _, text in await pushed(hub)] == [True, True, False, False]

    async def test_jobs_do_not_mix_and_keep_their_order(self) -> None:
        hub = Hub()
        jobs = [uuid4() for _ in range(20)]
        for round_ in range(30):
            for job in jobs:
                schedule_output(hub, f"user-{job.int % 3}", segment(f"{job} {round_}\n", after=round_, job=job))
            if round_ % 3 == 0:
                await asyncio.sleep(0)
        assert await flush_pushes()
        for job in jobs:
            own = [one for user, one in hub.output if one.id == job and user == f"user-{job.int % 3}"]
            assert "".join(chunk.text for one in own for chunk in one.chunks) == "".join(
                f"{job} {number}\n" for number in range(30)
            )
            assert [one.after for one in own[1:]] == [one.last for one in own[:-1]]

    async def test_a_hub_that_hangs_takes_bounded_memory(self) -> None:
        hub = Hub()
        hub.open.clear()
        before = texts_in_memory()
        text = "x" * (MAX_SEGMENT_BYTES // 4)
        for round_ in range(8):
            for owner in range(4 * MAX_OWNERS_WITH_TEXTS):
                schedule_output(hub, f"user-{owner}", segment(text[:-1] + str(round_), after=round_, job=owner))
                if owner < 4:
                    await asyncio.sleep(0)
        kept = texts_in_memory() - before
        assert 0 < kept <= (MAX_OWNERS_WITH_TEXTS + 8) * 4
        await close_outbox(hub)

    async def test_a_hub_that_refuses_delays_no_change(self) -> None:
        hub = Hub()
        hub.broken = ConnectionError()
        for number in range(10):
            schedule_output(hub, "ann", segment("a", after=number))
            await flush_pushes()
        hub.broken = None
        schedule_output(hub, "ann", segment("b", after=10))
        assert not await flush_pushes(), "they pause"
        assert hub.output == []


class TestFlood:
    async def test_a_hundred_thousand_emits_neither_wait_for_a_hub_nor_delay_a_change(self, world: World) -> None:
        hub = Hub()
        hub.open.clear()

        async def flood(request: Ask, ctx: JobContext[Answer]) -> Answer:
            for number in range(100_000):
                await ctx.emit("story", f"{number} ")
            return DONE

        manager = QueueManager([Demo], repository=world.repository, queues=world.queues, notifier=hub)
        handles = [await manager.queue_job(Demo, Ask(), user_id="ann") for _ in range(21)]
        runners = [Demo(manager.backend) for _ in handles]
        for runner in runners:
            runner.body = answer
        runners[0].body = flood
        await asyncio.gather(
            *(runner.execute(JobMessage.of(handle.job)) for runner, handle in zip(runners, handles, strict=True))
        )
        job = world.row(handles[0].job)
        assert job.status is JobStatus.SUCCEEDED
        assert world.repository.streams[job.id].last_seq == 100_000
        await asyncio.sleep(0)
        assert len({one.id for one in hub.changed if one.status is JobStatus.SUCCEEDED}) == 21
        assert hub.output == []
        hub.open.set()
        assert await flush_pushes()
        assert hub.output[-1][1].last == 100_000
