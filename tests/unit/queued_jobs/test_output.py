"""Bodies that emit text while they run: in order, within limits, and whatever the store does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from queued_jobs import JobContext, JobRunner, JobStatus, RetryPolicy, output
from queued_jobs.chunks import CHUNK_OVERHEAD, LOG, MAX_CHUNK_BYTES, Chunk, NewChunk, Segment
from queued_jobs.errors import InvalidChunk, JobCancelled, LeaseLost, StoreRefused, StoreUnavailable
from queued_jobs.message import JobMessage
from queued_jobs.testing import JobBench, run_inline
from tests.unit.queued_jobs.conftest import Answer, Ask, Demo, World

Append = Callable[..., Awaitable[Segment | None]]
DONE = Answer(text="done")


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_PAUSE", 0.01)


def chunks(world: World) -> list[Chunk]:
    (stream,) = world.repository.streams.values()
    return [chunk for _, chunk in stream.chunks]


def watched(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[NewChunk]]:
    """Return the batches that are appended from now on."""
    batches: list[Sequence[NewChunk]] = []
    append: Append = world.repository.append

    async def noting(job: Any, new: Sequence[NewChunk], **options: Any) -> Segment | None:
        batches.append(new)
        return await append(job, new, **options)

    monkeypatch.setattr(world.repository, "append", noting)
    return batches


class TestOrder:
    async def test_all_that_was_emitted_is_stored_in_the_order_of_the_calls(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            for number in range(200):
                await ctx.emit("tokens", f"{number} ")
                ctx.log(f"line {number}")
            return DONE

        job = await world.run(body)
        assert job.status is JobStatus.SUCCEEDED
        found = chunks(world)
        assert [one.seq for one in found] == list(range(1, 401))
        assert "".join(one.text for one in found if one.topic == "tokens") == "".join(f"{n} " for n in range(200))
        assert [one.text for one in found if one.topic == LOG] == [f"line {number}" for number in range(200)]

    async def test_concurrent_tasks_keep_their_own_order(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            async def speak(topic: str) -> None:
                for number in range(50):
                    await ctx.emit(topic, f"{number}")
                    await asyncio.sleep(0)

            await asyncio.gather(*(speak(f"topic-{number}") for number in range(5)))
            return DONE

        await world.run(body)
        for number in range(5):
            own = [one.text for one in chunks(world) if one.topic == f"topic-{number}"]
            assert own == [f"{n}" for n in range(50)]

    async def test_a_batch_is_appended_ten_times_a_second_at_most(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batches = watched(world, monkeypatch)

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            for number in range(50):
                await ctx.emit("tokens", f"{number}")
                await asyncio.sleep(0.01)
            return DONE

        began = time.monotonic()
        await world.run(body)
        tenths = (time.monotonic() - began) / 0.1
        assert 2 <= len(batches) <= tenths + 2  # the first, and the last at the end of the body
        assert sum(map(len, batches)) == 50

    @pytest.mark.parametrize("how", ["fails", "is cancelled"])
    async def test_what_was_emitted_before_another_end_is_stored_too(self, world: World, how: str) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            await ctx.emit("tokens", "before")
            if how == "fails":
                raise ValueError
            ctx.stop(JobCancelled())
            ctx.checkpoint()
            return DONE

        await world.run(body)
        assert [one.text for one in chunks(world)] == ["before"]

    async def test_a_retry_continues(self) -> None:
        class Twice(Demo):
            kind = "twice"
            queue = "twice"
            retry = RetryPolicy(base=timedelta(), cap=timedelta())

            async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
                await ctx.emit("tokens", f"attempt {ctx.job.attempt}")
                if ctx.job.attempt == 1:
                    raise ValueError
                return DONE

        bench = JobBench(Twice)
        handle = await bench.manager.queue_job(Twice, Ask(), user_id="ann")
        await bench.drain()
        bench.clock.advance(timedelta(minutes=1))
        await bench.drain()
        assert bench.output(handle) == bench.output(handle, "tokens") == ["attempt 1", "attempt 2"]
        assert bench.output(handle, LOG) == []


class TestThreads:
    async def test_a_plain_body_emits_and_logs_from_its_threads(self) -> None:
        class Plain(JobRunner[Ask, Answer]):
            kind = "plain"
            queue = "plain"

            def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
                ctx.wait(ctx.emit("tokens", "a"))

                def count() -> None:
                    for number in range(100):
                        ctx.log(f"{number}")

                helper = threading.Thread(target=count)
                helper.start()
                helper.join()
                ctx.wait(ctx.emit("tokens", "b"))
                return DONE

        bench = JobBench(Plain)
        handle = await bench.manager.queue_job(Plain, Ask(), user_id="ann")
        await bench.drain()
        assert bench.output(handle) == ["a", *map(str, range(100)), "b"]
        assert await run_inline(Plain, Ask()) == DONE


class TestLimits:
    @pytest.mark.parametrize(
        ("topic", "text"),
        [
            *(("tokens", "x" * (MAX_CHUNK_BYTES + 1)), ("tokens", "ä" * (MAX_CHUNK_BYTES // 2) + "x")),
            *(("", "x"), ("Tokens", "x"), ("a" * 64, "x"), ("a\0", "x"), ("a\n", "x"), (7, "x"), ("a", b"x"), ("a", 7)),
        ],
    )
    async def test_what_is_too_large_or_no_topic_is_an_error_of_the_call(
        self, world: World, topic: Any, text: Any
    ) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            with pytest.raises(InvalidChunk) as raised:
                await ctx.emit(topic, text)
            assert len(str(raised.value)) < 500
            await ctx.emit("tokens", "x" * MAX_CHUNK_BYTES)
            return DONE

        assert (await world.run(body)).status is JobStatus.SUCCEEDED
        assert [len(one.text) for one in chunks(world)] == [MAX_CHUNK_BYTES]

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("a\0b", "a\ufffdb"),
            ("\ud800", "?"),
            ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
            ("two\r\nlines\tand a tab", "two\nlines\tand a tab"),
            ("\u202eevil", "\ufffdevil"),
            ("password=hunter22", "password=***"),
            ("", ""),
            ("😀", "😀"),
        ],
    )
    async def test_hostile_texts_are_made_harmless(self, world: World, given: str, kept: str) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            await ctx.emit("tokens", given)
            ctx.log(given)
            return DONE

        assert (await world.run(body)).status is JobStatus.SUCCEEDED
        assert [one.text for one in chunks(world)] == [kept, kept]

    @pytest.mark.parametrize("character", ["x", "ä", "\0", "😀", "\ud800"])
    async def test_a_long_line_is_cut(self, world: World, character: str) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            ctx.log(character * 10 * MAX_CHUNK_BYTES)
            return DONE

        await world.run(body)
        (chunk,) = chunks(world)
        assert MAX_CHUNK_BYTES - 6 < len(chunk.text.encode()) <= MAX_CHUNK_BYTES
        assert chunk.text.endswith("\u2026")

    async def test_lines_that_come_too_fast_are_dropped_and_counted(self, world: World) -> None:
        lines = 10_000

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            await ctx.emit("tokens", "kept")
            for number in range(lines):
                ctx.log(f"{number}")
            return DONE

        await world.run(body)
        first, *kept = chunks(world)
        assert first.text == "kept"
        assert kept[-1].text == f"{lines - 1}"
        assert kept[0].skipped == lines - len(kept) == int(kept[0].text)
        assert len(kept) > output.MAX_WAITING // (CHUNK_OVERHEAD + 8)
        assert sum(one.skipped for one in kept[1:]) == 0

    async def test_a_body_that_awaits_waits_for_the_store(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        batches = watched(world, monkeypatch)

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            for number in range(60):
                await ctx.emit("tokens", f"{number:02}" + "x" * 10_000)
            return DONE

        await world.run(body)
        assert [one.text[:2] for one in chunks(world)] == [f"{number:02}" for number in range(60)]
        assert max(sum(one.size for one in batch) for batch in batches) <= output.MAX_WAITING

    async def test_a_cancel_reaches_a_body_that_waits(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        async def never(*args: Any, **options: Any) -> Segment | None:
            raise StoreUnavailable

        monkeypatch.setattr(world.repository, "append", never)
        monkeypatch.setattr("queued_jobs._executor._OUTPUT_TIME", timedelta(seconds=0.05))

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            asyncio.get_running_loop().call_later(0.05, ctx.stop, JobCancelled())
            world.change(ctx.job, cancel_requested=True)
            while True:
                await ctx.emit("tokens", "x" * 10_000)

        assert (await world.run(body)).status is JobStatus.CANCELLED


class TestStore:
    async def test_what_the_store_takes_late_is_kept_once(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        append: Append = world.repository.append
        calls = 0

        async def unsure(*args: Any, **options: Any) -> Segment | None:
            nonlocal calls
            calls += 1
            if calls % 3 == 0:
                raise StoreUnavailable
            stored = await append(*args, **options)
            if calls % 3 == 1:
                raise StoreUnavailable("the reply was lost")
            return stored

        monkeypatch.setattr(world.repository, "append", unsure)

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            for number in range(30):
                await ctx.emit("tokens", f"{number}")
                await asyncio.sleep(0.01)
            return DONE

        assert (await world.run(body)).status is JobStatus.SUCCEEDED
        assert [one.text for one in chunks(world)] == [f"{number}" for number in range(30)]
        assert calls > 3

    @pytest.mark.parametrize("error", [StoreUnavailable, StoreRefused, KeyError])
    async def test_a_store_that_takes_no_output_ends_no_job(
        self, world: World, monkeypatch: pytest.MonkeyPatch, error: type[Exception], caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(*args: Any, **options: Any) -> Segment | None:
            raise error

        monkeypatch.setattr(world.repository, "append", broken)
        monkeypatch.setattr("queued_jobs._executor._OUTPUT_TIME", timedelta(seconds=0.05))

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            await ctx.emit("tokens", "lost")
            return DONE

        assert (await world.run(body)).status is JobStatus.SUCCEEDED
        assert [one for one in caplog.records if one.name == output.logger.name and one.levelname != "INFO"]

    async def test_a_job_that_emits_nothing_asks_nothing_of_the_store(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batches = watched(world, monkeypatch)
        await world.run()
        assert batches == []
        assert world.repository.streams == {}

    async def test_a_zombie_stores_nothing_and_learns_it(self, world: World) -> None:
        late = 500
        refused = 0

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            nonlocal refused
            await ctx.emit("tokens", "mine")
            await asyncio.sleep(0.15)
            world.change(ctx.job, lease_token=None, status=JobStatus.RETRYING)
            for number in range(late):
                ctx.log("late")
                try:
                    await ctx.emit("tokens", f"late {number}")
                except LeaseLost:
                    refused += 1
                if number % 50 == 0:
                    await asyncio.sleep(0.02)
            with pytest.raises(LeaseLost):
                await ctx.emit("tokens", "much later")
            return DONE

        await world.run(body)
        assert [one.text for one in chunks(world)] == ["mine"]
        assert refused > late // 2

    async def test_nothing_is_emitted_after_the_end(self, world: World) -> None:
        contexts: list[JobContext[Answer]] = []

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            contexts.append(ctx)
            return DONE

        await world.run(body)
        contexts[0].log("late")
        with pytest.raises(LeaseLost):
            await contexts[0].emit("tokens", "late")
        assert world.repository.streams == {}

    @pytest.mark.parametrize("commits", [True, False])
    async def test_what_precedes_complete_is_committed_with_it(self, world: World, commits: bool) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            await ctx.emit("tokens", "first")
            await asyncio.sleep(0.15)
            await ctx.emit("tokens", "second")
            async with ctx.transaction() as conn:
                ctx.log("third")
                await ctx.complete(DONE, conn=conn)
                assert [one.text for one in chunks(world)] == ["first", "second", "third"]
                if not commits:
                    raise ValueError
            return DONE

        job = await world.run(body)
        assert job.status is (JobStatus.SUCCEEDED if commits else JobStatus.RETRYING)
        assert [one.text for one in chunks(world)] == ["first", "second", "third"]

    async def test_a_shutdown_stores_what_was_emitted(self, world: World) -> None:
        began = asyncio.Event()

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            await ctx.emit("tokens", "a")
            await asyncio.sleep(0)
            began.set()
            ctx.log("b")
            await asyncio.Event().wait()
            return DONE

        job = await world.queued()
        running = asyncio.create_task(world.runner(body).execute(JobMessage.of(job)))
        await began.wait()
        running.cancel()
        await running
        assert world.row(job).status is JobStatus.PENDING
        assert [one.text for one in chunks(world)] == ["a", "b"]


@pytest.mark.parametrize("value", [0, 65_535, 16 * 1024 * 1024 + 1, "1 MiB", True, None])
def test_a_kind_keeps_a_sensible_number_of_bytes(value: Any) -> None:
    with pytest.raises(TypeError, match="max_output"):
        type("Wrong", (Demo,), {"max_output": value})
