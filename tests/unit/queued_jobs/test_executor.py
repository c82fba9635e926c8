"""One attempt, and everything that may happen during it."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from queued_jobs import JobContext, JobMessage, JobStatus, PermanentError, QueuedJob, RetryLater
from queued_jobs.errors import JobCancelled, StoreUnavailable
from queued_jobs.testing import InMemoryRepository
from tests.unit.queued_jobs.conftest import Answer, Ask, Demo, World, answer


class Unheard(BaseException):
    """Some library's own way to end a program."""


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


class TestSuccess:
    async def test_the_result_is_stored_and_every_step_is_pushed(self, world: World) -> None:
        job = await world.run()
        assert (job.status, job.result, job.attempt) == (JobStatus.SUCCEEDED, {"text": "n is 1"}, 1)
        assert world.shown() == ["pending", "running", "succeeded"]

    async def test_a_plain_def_runs_in_a_thread(self, world: World) -> None:
        class Sync(Demo):
            kind = "demo"

            def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:  # type: ignore[override]
                return Answer(text=threading.current_thread().name)

        job = await world.run(of=Sync)
        assert job.result is not None
        assert job.result["text"].startswith("job-demo")

    async def test_a_doubled_message_runs_nothing(self, world: World) -> None:
        runs = 0

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            nonlocal runs
            runs += 1
            return Answer(text="")

        job = await world.queued()
        runner = world.runner(body)
        await asyncio.gather(*(runner.execute(JobMessage.of(job)) for _ in range(5)))
        await runner.execute(JobMessage.of(job))
        assert runs == 1

    async def test_a_notifier_that_always_raises_changes_nothing(self, world: World) -> None:
        world.notifier.away = True
        assert (await world.run()).status is JobStatus.SUCCEEDED

    async def test_a_status_hook_that_raises_changes_nothing(self, world: World) -> None:
        class Noisy(Demo):
            kind = "demo"

            async def on_status_updated(self, job: QueuedJob) -> None:
                raise RuntimeError(job.status)

        assert (await world.run(of=Noisy)).status is JobStatus.SUCCEEDED


class TestFailure:
    async def test_an_error_is_kept_and_the_job_sent_again_later(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise OSError("disk sig=abc123 is full") from ValueError("no room")

        job = await world.run(body)
        assert job.status is JobStatus.RETRYING
        assert job.error is not None
        assert (job.error.type, job.error.message) == ("OSError", "disk sig=*** is full\nCaused by: no room")
        assert job.error.traceback is not None
        assert "abc123" not in job.error.traceback
        assert "in body" in job.error.traceback
        due = world.queues.sent[-1]
        assert due.message.gen == 2
        assert timedelta(seconds=2) < due.delay < timedelta(seconds=8)
        assert job.sent_gen == 2

    async def test_attempts_end(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise OSError("again")

        job = await world.run(body)
        for _ in range(2):
            world.repository.jobs[job.id] = job = dataclasses.replace(job, available_at=job.created_at)
            await world.runner(body).execute(JobMessage.of(job))
            job = world.row(job)
        assert (job.status, job.attempt) == (JobStatus.FAILED, 3)

    @pytest.mark.parametrize(
        ("error", "type_"),
        [
            (PermanentError("cannot work"), "PermanentError"),
            (JobCancelled(), "JobCancelled"),  # nobody asked for it
        ],
    )
    async def test_errors_that_the_body_makes_up(self, world: World, error: Exception, type_: str) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise error

        job = await world.run(body)
        assert job.error is not None
        assert job.error.type == type_
        permanent = isinstance(error, PermanentError)
        assert job.status is (JobStatus.FAILED if permanent else JobStatus.RETRYING)

    async def test_a_body_may_choose_the_delay(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise RetryLater(after=timedelta(minutes=3), reason="the other side is busy")

        job = await world.run(body)
        assert job.status is JobStatus.RETRYING
        assert world.queues.sent[-1].delay == timedelta(minutes=3)

    async def test_a_request_that_no_longer_fits_fails_at_once(self, world: World) -> None:
        job = await world.queued()
        world.repository.jobs[job.id] = dataclasses.replace(job, request={"n": "many"})
        await world.runner().execute(JobMessage.of(job))
        error = world.row(job).error
        assert error is not None
        assert (world.row(job).status, error.type) == (JobStatus.FAILED, "invalid-request")

    @pytest.mark.parametrize(("text", "type_"), [("x" * 300_000, "result-too-large"), ("\0", "invalid-result")])
    async def test_a_result_that_cannot_be_kept_fails_at_once(self, world: World, text: str, type_: str) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            return Answer(text=text)

        job = await world.run(body)
        assert job.error is not None
        assert (job.status, job.error.type) == (JobStatus.FAILED, type_)

    async def test_a_body_that_takes_too_long_is_stopped(self, world: World) -> None:
        class Hasty(Demo):
            kind = "demo"
            timeout = timedelta(seconds=0.1)

        stopped = asyncio.Event()

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()
            raise AssertionError

        job = await world.run(body, Hasty)
        assert stopped.is_set()
        assert job.error is not None
        assert (job.status, job.error.type) == (JobStatus.RETRYING, "timeout")

    async def test_a_timeout_of_the_bodys_own_is_its_own(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise TimeoutError("the other side")

        job = await world.run(body)
        assert job.error is not None
        assert job.error.type == "TimeoutError"

    @pytest.mark.parametrize(
        "error", [SystemExit(3), StopIteration(), Unheard("of")], ids=lambda error: type(error).__name__
    )
    @pytest.mark.parametrize("in_thread", [True, False])
    async def test_what_would_end_the_worker_ends_the_attempt(
        self, world: World, error: BaseException, in_thread: bool
    ) -> None:
        class Sync(Demo):
            kind = "demo"
            timeout = timedelta(seconds=5)

            def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:  # type: ignore[override]
                raise error

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise error

        job = await world.run(body, Sync if in_thread else Demo)
        assert job.error is not None
        assert (job.status, job.error.type) == (JobStatus.RETRYING, "RuntimeError")
        assert type(error).__name__ in job.error.message

    async def test_an_error_in_a_task_of_the_body_is_that_error(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            async with asyncio.TaskGroup() as group:
                for _ in range(2):
                    group.create_task(self.fails(PermanentError("There is no such file.")))
            raise AssertionError

        job = await world.run(body)
        assert job.error is not None
        assert (job.status, job.error.type) == (JobStatus.FAILED, "PermanentError")
        assert job.error.message == "There is no such file."
        assert job.error.traceback is not None
        assert "in fails" in job.error.traceback

    async def test_different_errors_in_tasks_of_the_body_are_all_told(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise ExceptionGroup("two of three", [OSError("the disk"), ExceptionGroup("inner", [KeyError("n")])])

        job = await world.run(body)
        assert job.error is not None
        assert (job.status, job.error.type) == (JobStatus.RETRYING, "ExceptionGroup")
        for text in ("two of three", "OSError: the disk", "KeyError: 'n'"):
            assert text in job.error.message

    async def test_a_cancel_in_a_task_of_the_body_is_honoured(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            row = world.repository.jobs[ctx.job.id]
            world.repository.jobs[row.id] = dataclasses.replace(row, cancel_requested=True)

            async def work() -> None:
                while True:
                    ctx.checkpoint()
                    await asyncio.sleep(0.01)

            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                group.create_task(work())
                group.create_task(work())
            raise AssertionError

        job = await world.run(body)
        assert (job.status, job.error) == (JobStatus.CANCELLED, None)

    async def fails(self, error: Exception) -> None:
        raise error

    async def test_a_cancellation_that_the_body_lets_escape_is_a_failure(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise asyncio.CancelledError

        job = await world.run(body)
        assert (job.status, job.attempt) == (JobStatus.RETRYING, 1)


class TestProgressAndCancel:
    async def test_progress_reaches_the_owner_while_the_body_runs(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            ctx.report(0.5, "half")
            await until(lambda: any(job.progress == 0.5 for job in world.notifier.pushed))
            return Answer(text="")

        job = await world.run(body)
        assert (job.status, job.progress, job.progress_message) == (JobStatus.SUCCEEDED, 1.0, "half")

    async def test_a_cancel_is_honoured_at_the_next_checkpoint(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            row = world.repository.jobs[ctx.job.id]
            world.repository.jobs[row.id] = dataclasses.replace(row, cancel_requested=True)
            async with asyncio.timeout(5):
                while True:
                    ctx.checkpoint()
                    await asyncio.sleep(0.01)

        job = await world.run(body)
        assert (job.status, job.error) == (JobStatus.CANCELLED, None)

    async def test_a_body_that_finishes_first_succeeds(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            row = world.repository.jobs[ctx.job.id]
            world.repository.jobs[row.id] = dataclasses.replace(row, cancel_requested=True)
            return Answer(text="done")

        assert (await world.run(body)).status is JobStatus.SUCCEEDED


class TestLease:
    async def test_a_worker_that_lost_its_job_stops_and_cleans_up_nothing_of_the_winner(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            row = world.repository.jobs[ctx.job.id]
            world.repository.jobs[row.id] = dataclasses.replace(row, lease_until=row.created_at)
            (rescued,) = await world.repository.rescue(limit=1)
            assert rescued.status is JobStatus.RETRYING
            await asyncio.Event().wait()
            raise AssertionError

        runner = world.runner(body)
        job = await world.queued()
        async with asyncio.timeout(5):
            await runner.execute(JobMessage.of(job))
        assert world.row(job).status is JobStatus.RETRYING
        assert runner.discarded == []

    async def test_a_result_that_comes_too_late_is_discarded(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            row = world.repository.jobs[ctx.job.id]
            world.repository.jobs[row.id] = dataclasses.replace(row, lease_until=row.created_at)
            await world.repository.rescue(limit=1)
            return Answer(text="late")

        runner = world.runner(body)
        job = await world.queued()
        await runner.execute(JobMessage.of(job))
        assert world.row(job).result is None
        assert runner.discarded == [Answer(text="late")]

    @pytest.mark.parametrize("ends", ["lease", "timeout"])
    async def test_what_a_thread_returns_too_late_is_discarded(self, world: World, ends: str) -> None:
        """Nobody can stop a thread: it goes on after another worker has its job."""
        over = threading.Event()

        class Sync(Demo):
            kind = "demo"
            lease = timedelta(seconds=0.4)
            timeout = timedelta(seconds=0.4) if ends == "timeout" else timedelta(minutes=1)

            def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:  # type: ignore[override]
                if ends == "lease":
                    row = world.repository.jobs[ctx.job.id]
                    world.repository.jobs[row.id] = dataclasses.replace(row, lease_until=row.created_at)
                    asyncio.run(world.repository.rescue(limit=1))
                over.wait(30)
                return Answer(text="late")

        runner = world.runner(of=Sync)
        job = await world.queued()
        async with asyncio.timeout(30):
            await runner.execute(JobMessage.of(job))
        assert (world.row(job).status, world.row(job).result) == (JobStatus.RETRYING, None)
        assert runner.discarded == []
        over.set()
        await until(lambda: runner.discarded)
        assert runner.discarded == [Answer(text="late")]
        assert (world.row(job).status, world.row(job).result) == (JobStatus.RETRYING, None)

    async def test_the_lease_is_kept_while_a_body_runs_longer_than_it(self, world: World) -> None:
        class Short(Demo):
            kind = "demo"
            lease = timedelta(seconds=0.2)

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            first = world.repository.jobs[ctx.job.id].lease_until
            assert first is not None
            await until(lambda: (world.repository.jobs[ctx.job.id].lease_until or first) > first + 2 * Short.lease)
            assert await world.repository.rescue(limit=1) == []
            return Answer(text="")

        assert (await world.run(body, Short)).status is JobStatus.SUCCEEDED

    async def test_a_shutdown_gives_the_job_back_without_counting_it(self, world: World) -> None:
        started = asyncio.Event()

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

        job = await world.queued()
        task = asyncio.create_task(world.runner(body).execute(JobMessage.of(job)))
        await started.wait()
        task.cancel()
        assert await task is None, "the host catches Exception only"  # type: ignore[func-returns-value]
        assert (world.row(job).status, world.row(job).attempt) == (JobStatus.PENDING, 0)
        assert world.queues.sent[-1].message.gen == 2, "another worker is woken at once"


class Flaky(InMemoryRepository):
    """A store that goes away for a while, before or after it did what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.away = 0
        self.lose_reply_of_next_finish = False

    async def succeed(self, *args: Any, **kwargs: Any) -> QueuedJob | None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable
        done = await super().succeed(*args, **kwargs)
        if self.lose_reply_of_next_finish:
            self.lose_reply_of_next_finish = False
            raise StoreUnavailable
        return done


class TestStoreAway:
    async def test_a_store_that_never_answers_ends_the_attempt_with_its_lease(self, world: World) -> None:
        class Silent(InMemoryRepository):
            async def heartbeat(self, *args: Any, **kwargs: Any) -> QueuedJob | None:
                await asyncio.Event().wait()
                raise AssertionError

        class Short(Demo):
            kind = "demo"
            lease = timedelta(seconds=0.4)

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

        world.repository = Silent()
        async with asyncio.timeout(5):
            assert (await world.run(body, Short)).status is JobStatus.RUNNING

    async def test_a_finish_is_tried_again(self, world: World) -> None:
        world.repository = flaky = Flaky()
        flaky.away = 1
        assert (await world.run()).status is JobStatus.SUCCEEDED

    async def test_a_finish_whose_reply_was_lost_counts(self, world: World) -> None:
        world.repository = flaky = Flaky()
        flaky.lose_reply_of_next_finish = True
        runner = world.runner(answer)
        job = await world.queued()
        await runner.execute(JobMessage.of(job))
        assert world.row(job).status is JobStatus.SUCCEEDED
        assert world.shown()[-1] == "succeeded"
        assert runner.discarded == []

    async def test_when_the_lease_is_over_the_host_gets_to_know(self, world: World) -> None:
        world.repository = flaky = Flaky()
        flaky.away = 1_000
        with pytest.raises(StoreUnavailable):
            await world.run()

    async def test_a_claim_that_cannot_be_made_reaches_the_host(self, world: World) -> None:
        class Away(InMemoryRepository):
            async def claim(self, *args: Any, **kwargs: Any) -> QueuedJob | None:
                raise StoreUnavailable

        job = await world.queued()
        world.repository = Away()
        with pytest.raises(StoreUnavailable):
            await world.runner().execute(JobMessage.of(job))


class TestQueueAway:
    async def test_a_retry_that_cannot_be_sent_is_left_to_the_sweeper(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            world.queues.away = True
            raise OSError("again")

        job = await world.run(body)
        assert job.status is JobStatus.RETRYING
        assert job.sent_gen < job.dispatch_gen
