"""Bodies that resume: at a cursor, at a step, after each way in which an attempt can end."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, JobStatus, PermanentError, RetryPolicy
from queued_jobs.errors import InvalidCursor, LeaseLost
from queued_jobs.testing import JobBench, run_inline
from queued_jobs.testing.rows import SavedCursor

HOUR = timedelta(hours=1)


class Rows(BaseModel):
    rows: int


class Counted(BaseModel):
    rows: int
    read: int


class Copy(JobRunner[Rows, Counted]):
    """Counts rows, and saves after each ten."""

    kind = "copy"
    queue = "copy"
    retry = RetryPolicy(max_attempts=1)
    read: ClassVar[int] = 0
    fails_at: ClassVar[set[int]] = set()

    async def on_execute(self, request: Rows, ctx: JobContext[Counted]) -> Counted:
        done = ctx.cursor or 0
        while done < request.rows:
            if done in Copy.fails_at:
                Copy.fails_at.remove(done)
                raise ValueError(done)
            done += 1
            Copy.read += 1
            if done % 10 == 0:
                await ctx.save(done)
        return Counted(rows=done, read=Copy.read)


class Stubborn(Copy):
    kind = "stubborn"
    queue = "stubborn"
    resume_after_errors = True


class Plain(JobRunner[Rows, Counted]):
    """A plain `def` body."""

    kind = "plain"
    queue = "plain"

    def on_execute(self, request: Rows, ctx: JobContext[Counted]) -> Counted:
        first: int = ctx.cursor or 0
        for done in range(first + 1, request.rows + 1):
            ctx.wait(ctx.save(done))
        return Counted(rows=request.rows, read=request.rows - first)


@pytest.fixture(autouse=True)
def fresh() -> None:
    Copy.read = 0
    Copy.fails_at = set()


@pytest.mark.parametrize("saves", [1, 3, 5])
async def test_an_interrupted_body_reads_nothing_twice(saves: int) -> None:
    bench = JobBench(Copy)
    bench.interrupt_after(saves)
    handle = await bench.manager.queue_job(Copy, Rows(rows=50), user_id="ann")
    await bench.drain()
    job = bench.job(handle)
    assert job.result == {"rows": 50, "read": 50}
    assert (job.status, job.attempt, job.tries) == (JobStatus.SUCCEEDED, 2, 1)
    assert [one.outcome for one in bench.repository.attempts[job.id]] == ["released", "succeeded"]


async def test_so_does_a_plain_def_body() -> None:
    bench = JobBench(Plain)
    bench.interrupt_after(3)
    handle = await bench.manager.queue_job(Plain, Rows(rows=9), user_id="ann")
    await bench.drain()
    assert bench.job(handle).result == {"rows": 9, "read": 6}


async def test_an_error_ends_a_kind_that_does_not_resume_after_errors_and_a_retry_by_hand_goes_on() -> None:
    Copy.fails_at = {25}
    bench = JobBench(Copy, Stubborn)
    handle = await bench.manager.queue_job(Copy, Rows(rows=50), user_id="ann")
    await bench.drain()
    assert bench.job(handle).status is JobStatus.FAILED
    assert bench.repository.cursors[handle.id].value == {"cursor": 20}


async def test_errors_after_an_advance_do_not_count_for_a_kind_that_says_so() -> None:
    Copy.fails_at = {15, 25, 27, 41}  # the third comes without an advance
    bench = JobBench(Stubborn)
    handle = await bench.manager.queue_job(Stubborn, Rows(rows=50), user_id="ann")
    outcomes = []
    for _ in range(4):
        await bench.drain()
        outcomes.append(bench.job(handle).status)
        bench.clock.advance(HOUR)
    assert outcomes == [JobStatus.RETRYING, JobStatus.RETRYING, JobStatus.FAILED, JobStatus.FAILED]
    assert bench.repository.cursors[handle.id].resumes == 2


class Steps(JobRunner[Rows, Counted]):
    kind = "steps"
    queue = "steps"
    retry = RetryPolicy(max_attempts=9, base=timedelta())
    ran: ClassVar[list[Any]] = []
    fails_in: ClassVar[list[str]] = []

    async def on_execute(self, request: Rows, ctx: JobContext[Counted]) -> Counted:
        Steps.ran.append("begin")
        async for step in ctx.step("fetch"):
            Steps.ran.append((step.name, step.cursor))
            await step.save({"page": (step.cursor or {"page": 0})["page"] + 1})
            Steps.ran.append(step.cursor)
            self.fail("fetch")
        async for _ in ctx.step("send"):
            Steps.ran.append("send")
            self.fail("send")
        self.fail("end")
        return Counted(rows=0, read=0)

    def fail(self, name: str) -> None:
        if name in Steps.fails_in:
            Steps.fails_in.remove(name)
            raise ValueError(name)


async def test_finished_steps_are_skipped_and_others_continue() -> None:
    Steps.ran, Steps.fails_in = [], ["fetch", "send", "end"]
    bench = JobBench(Steps)
    handle = await bench.manager.queue_job(Steps, Rows(rows=1), user_id="ann")
    for _ in range(5):
        await bench.drain()
        bench.clock.advance(HOUR)
    assert bench.job(handle).status is JobStatus.SUCCEEDED
    first, second = ("fetch", None), ("fetch", {"page": 1})
    expected = ["begin", first, {"page": 1}, "begin", second, {"page": 2}, "send", "begin", "send", "begin"]
    assert Steps.ran == expected


async def test_a_step_is_over_before_the_next_begins_where_the_worker_stops_in_between() -> None:
    Steps.ran, Steps.fails_in = [], []
    bench = JobBench(Steps)
    bench.interrupt_after(2)  # the save in the step, and its end
    await bench.manager.queue_job(Steps, Rows(rows=1), user_id="ann")
    await bench.drain()
    assert Steps.ran == ["begin", ("fetch", None), {"page": 1}, "begin", "send"]


class Left(JobRunner[Rows, None]):
    """Leaves its step early in the first attempt."""

    kind = "left"
    queue = "left"
    retry = RetryPolicy(base=timedelta())

    async def on_execute(self, request: Rows, ctx: JobContext[None]) -> None:
        async for _ in ctx.step("one"):
            Steps.ran.append(ctx.job.attempt)
            if ctx.job.attempt == 1:
                break
        if ctx.job.attempt < 3:
            raise ValueError


async def test_a_step_that_is_left_is_not_finished() -> None:
    Steps.ran = []
    bench = JobBench(Left)
    await bench.manager.queue_job(Left, Rows(rows=1), user_id="ann")
    for _ in range(3):
        await bench.drain()
        bench.clock.advance(HOUR)
    assert Steps.ran == [1, 2]


class Free(JobRunner[Rows, None]):
    kind = "free"
    queue = "free"
    body: ClassVar[Any]

    async def on_execute(self, request: Rows, ctx: JobContext[None]) -> None:
        await Free.body(ctx)


async def run(body: Any) -> None:
    Free.body = staticmethod(body)
    await run_inline(Free, Rows(rows=1))


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


def nested(depth: int) -> list[Any]:
    lists: list[Any] = []
    for _ in range(depth - 1):
        lists = [lists]
    return lists


@pytest.mark.parametrize(
    "value",
    [
        *(object(), math.nan, {1, 2}, b"x", CYCLE, "x" * 16_384, "\U0001f600" * 5_000, {("a",): 1}),
        *({1: "a", "1": "b"}, {"in": [{None: 1, "null": 2}]}, nested(101), nested(800), nested(5_000)),
    ],
    ids=lambda value: str(type(value).__name__),
)
async def test_what_cannot_be_saved_is_refused_and_changes_nothing(value: object) -> None:
    async def body(ctx: JobContext[None]) -> None:
        await ctx.save("before")
        with pytest.raises(InvalidCursor):
            await ctx.save(value)
        assert ctx.cursor == "before"

    await run(body)


@pytest.mark.parametrize(
    "value", [None, 0, False, "", [1, [2.5]], {"a": {"b": None}}, "ä\u2028\U0001f600", "x" * 16_000]
)
async def test_what_is_saved_is_read_as_it_was(value: object) -> None:
    async def body(ctx: JobContext[None]) -> None:
        await ctx.save(value)
        assert ctx.cursor == value

    await run(body)


async def test_it_is_what_json_makes_of_it_at_once() -> None:
    async def body(ctx: JobContext[None]) -> None:
        pair = [1, 2]
        await ctx.save({1: (pair, pair)})
        pair.append(3)
        assert ctx.cursor == {"1": [[1, 2], [1, 2]]}

    await run(body)


async def test_names_of_steps_are_not_empty_and_used_once() -> None:
    async def body(ctx: JobContext[None]) -> None:
        unusable: Any
        for unusable in ("", "a\0", "\ud800", 5, None, b"a"):
            with pytest.raises(InvalidCursor):
                await anext(ctx.step(unusable))
        async for _ in ctx.step("one"):
            pass
        with pytest.raises(InvalidCursor):
            await anext(ctx.step("one"))

    await run(body)


async def test_what_a_transaction_rolls_back_is_no_cursor() -> None:
    async def body(ctx: JobContext[None]) -> None:
        await ctx.save(1)
        with pytest.raises(KeyError):
            await failing(ctx)
        assert ctx.cursor == 1
        async with ctx.transaction() as conn:
            await ctx.save(3, conn=conn)
        assert ctx.cursor == 3

    async def failing(ctx: JobContext[None]) -> None:
        async with ctx.transaction() as conn:
            await ctx.save(2, conn=conn)
            raise KeyError

    await run(body)


async def test_a_late_attempt_saves_nothing_and_stops() -> None:
    bench = JobBench(Free)

    async def body(ctx: JobContext[None]) -> None:
        await ctx.save(1)
        bench.clock.advance(HOUR)
        await bench.repository.rescue(limit=1)
        with pytest.raises(LeaseLost):
            await ctx.save(2)
        raise PermanentError("late")

    Free.body = staticmethod(body)
    handle = await bench.manager.queue_job(Free, Rows(rows=1), user_id="ann")
    (due,) = bench.queues.take()
    await bench.manager.runner("free").execute(due.message)
    assert bench.job(handle).status is JobStatus.RETRYING
    assert bench.repository.cursors[handle.id].value == {"cursor": 1}


@pytest.mark.parametrize("depth", [100, 800])
async def test_the_next_attempt_reads_what_is_nested_deeply(depth: int) -> None:
    """Even more deeply than it may be now: an earlier version may have saved it."""
    bench = JobBench(Copy)
    handle = await bench.manager.queue_job(Copy, Rows(rows=1), user_id="ann")
    saved = {"steps": {"a": {"cursor": nested(depth)}}}
    bench.repository.cursors[handle.id] = SavedCursor(gen=1, value=saved, resumes=0, max_resumes=100)
    await bench.drain()
    assert bench.job(handle).status is JobStatus.SUCCEEDED
