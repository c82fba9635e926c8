"""How an attempt ends, by what its body returns or raises."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import timedelta

import pytest

from queued_jobs import JobContext, JobStatus, PermanentError, QueuedJob, RetryLater
from queued_jobs.errors import JobCancelled
from queued_jobs.message import JobMessage
from tests.unit.queued_jobs.conftest import Answer, Ask, Demo, World


class Unheard(BaseException):
    """Some library's own way to end a program."""


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
        world.notifier.unavailable = True
        assert (await world.run()).status is JobStatus.SUCCEEDED

    async def test_a_status_hook_that_raises_changes_nothing(self, world: World) -> None:
        class Noisy(Demo):
            kind = "demo"

            async def on_status_updated(self, job: QueuedJob) -> None:
                raise RuntimeError(job.status)

        assert (await world.run(of=Noisy)).status is JobStatus.SUCCEEDED


class TestFailure:
    async def test_its_trace_is_logged_once_and_as_an_error_when_it_is_final(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        for kind, level in ((OSError, logging.WARNING), (PermanentError, logging.ERROR)):

            async def body(request: Ask, ctx: JobContext[Answer], kind: type[Exception] = kind) -> Answer:
                raise kind("disk sig=abc123 is full")

            caplog.clear()
            await world.run(body)
            (record,) = [record for record in caplog.records if record.levelno > logging.INFO]
            assert record.levelno == level
            assert "in body" in record.getMessage()
            assert "abc123" not in caplog.text

    async def test_a_wish_for_a_later_retry_is_no_warning(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise RetryLater(timedelta(minutes=1))

        await world.run(body)
        assert not [record for record in caplog.records if record.levelno > logging.INFO]

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

    async def test_a_retry_by_hand_waits_as_short_as_a_new_job(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise OSError("again")

        job = await world.queued()
        job = world.change(job, attempt=30, uncounted=30, max_attempts=33)
        await world.runner(body).execute(JobMessage.of(job))
        job = world.row(job)
        assert (job.status, job.attempt, job.tries) == (JobStatus.RETRYING, 31, 1)
        assert timedelta(seconds=2) < world.queues.sent[-1].delay < timedelta(seconds=8)

    async def test_attempts_end(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise OSError("again")

        job = await world.run(body)
        for _ in range(2):
            job = world.change(job, available_at=job.created_at)
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
        world.change(job, request={"n": "many"})
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
            world.change(ctx.job, cancel_requested=True)

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
