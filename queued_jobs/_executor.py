"""Runs one attempt: claims the job, runs its body under a lease, and stores the outcome."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from queued_jobs import telemetry
from queued_jobs._body import Body
from queued_jobs._descriptions import describe
from queued_jobs._lease import Lease
from queued_jobs._outcome import describe_error, dump_result
from queued_jobs._threads import BodyThread
from queued_jobs.announcements import flush_pushes, schedule_hook, schedule_push
from queued_jobs.context import JobContext
from queued_jobs.dispatch import wake_successors
from queued_jobs.errors import (
    JobCancelled,
    JobTimeout,
    LeaseLost,
    RetryLater,
    StoreRefused,
    StoreUnavailable,
)
from queued_jobs.hooks import call_hook_in_time
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import JobStatus, QueuedJob
from queued_jobs.offload import offload, offload_unless_small
from queued_jobs.retry import find_delay

if TYPE_CHECKING:
    from queued_jobs.runner import JobRunner

type Runner = "JobRunner[Any, Any]"
type Finish = Callable[[], Awaitable[QueuedJob | None]]

#: Time limit of `on_result_discarded`.
DISCARD_TIME = timedelta(seconds=30)
#: How long an attempt that ends waits for its output to be stored, and one whose host shuts down.
_OUTPUT_TIME, _LAST_OUTPUT_TIME = timedelta(seconds=30), timedelta(seconds=3)


def schedule_update(runner: Runner, job: QueuedJob) -> None:
    """Announce a change in the background: a slot is free once the row is stored."""
    if runner._has_status_hook:
        schedule_hook(runner, job)
    else:
        schedule_push(runner.notifier, job)


async def wake(runner: Runner, job: QueuedJob) -> None:
    """Wake the jobs that waited for this one."""
    await wake_successors(job, dispatcher=runner.backend.dispatcher(), notifier=runner.notifier)


async def execute(runner: Runner, message: JobMessage, *, thread: BodyThread | None = None) -> None:
    """Claim the job and run the attempt, or handle the reason why it cannot be claimed."""
    repository, kind, version, max_concurrent = (
        runner.repository,
        runner.kind,
        runner.schema_version,
        runner.concurrency,
    )
    its_turn: bool | None = True
    while its_turn:
        asked_at = time.monotonic()
        job = await repository.claim(
            message,
            kind=kind,
            schema_version=version,
            lease=runner.lease,
            timeout=runner.timeout,
            max_concurrent=max_concurrent,
        )
        if job is not None and job.is_paused:
            runner.logger.info("job %s: waiting, because the kind %s is paused", job.id, job.kind)
            schedule_update(runner, job)
            return
        if job is not None:
            with telemetry.attempting(job):
                await _Attempt(runner, job, lease_from=asked_at, thread=thread).run()
            return
        its_turn = await repository.wait_in_line(
            message, kind=kind, schema_version=version, max_concurrent=max_concurrent
        )
    if its_turn is not None:
        runner.logger.info("job %s: waiting behind other jobs with its concurrency key", message.id)
        return
    waiting = await repository.defer(message, kind=kind, schema_version=version, queues=runner.queues_of_kind())
    if waiting is None:
        runner.logger.info(
            "job %s: nothing to do for generation %d", message.id, message.gen, extra={"job_phase": "claiming"}
        )
    else:
        runner.logger.warning(
            "job %s: this worker cannot run version %d of kind %s", waiting.id, waiting.schema_version, waiting.kind
        )
        schedule_update(runner, waiting)
        if waiting.status.is_final:
            await wake(runner, waiting)


class _Attempt:
    def __init__(self, runner: Runner, job: QueuedJob, *, lease_from: float, thread: BodyThread | None) -> None:
        self._runner = runner
        self._repository = runner.repository
        self._job = job
        self._ctx: JobContext[Any] = JobContext(
            job,
            runner.backend,
            result_type=runner.result_type,
            max_resumes=runner.max_resumes,
            max_output=runner.max_output,
        )
        self._body = Body(runner, self._ctx, thread=thread, on_begin=self._begin)
        self._running: asyncio.Task[Any]
        self._lease = Lease(
            runner.repository,
            self._ctx,
            length=runner.lease,
            since=lease_from,
            on_report=lambda row: schedule_update(runner, row),
            on_lost=lambda: self._running.cancel(),  # a thread continues to its next checkpoint
            log=self._log,
        )
        self._started = lease_from
        self._retry_in = timedelta()
        self._phase = "validating"
        self._result: Any = None  # the body's return value

    async def run(self) -> None:
        schedule_update(self._runner, self._job)
        self._running = asyncio.create_task(self._body.run())
        self._lease.start()
        leaving = False
        try:
            if self._runner.concurrency > 1 and self._job.concurrency_key is not None:
                await wake(self._runner, self._job)  # there may be another free slot
            done = await self._finish(await self._outcome())
        except asyncio.CancelledError:
            # The host is shutting down. It catches Exception only, so a CancelledError must not escape.
            leaving = True
            self._running.cancel()
            done = await self._release()
        finally:
            await self._lease.end()
        if done is not None:
            seconds = time.monotonic() - self._started
            self._log("%s in %.2f s", done.status, seconds)
            telemetry.ended(done, timedelta(seconds=seconds))
            schedule_update(self._runner, done)
            if not done.status.is_final:
                await self._runner.backend.dispatcher().send([Reserved.of(done, delay=self._retry_in)])
            await wake(self._runner, done)
        if leaving:
            await flush_pushes()
        else:
            await asyncio.sleep(0)  # lets the push start, even if the program ends here

    def _begin(self) -> None:
        self._phase = "executing"
        self._log("executing")

    async def _outcome(self) -> Finish | None:
        """Wait for the body and decide what to store; None for nothing. The only place where that is decided."""
        job, repository = self._job, self._repository
        limit = asyncio.timeout(self._runner.timeout.total_seconds())
        try:
            async with limit:
                self._result = await self._running
            if self._ctx.completed:
                return self._rolled_back
            data = await offload_unless_small(self._result, dump_result, self._result, self._runner.result_type)
        except LeaseLost as exc:
            self._log("stopped: %s", exc)
            return None
        except JobCancelled as exc:
            if not self._ctx.cancel_requested:
                return await self._failing(exc)  # raised by the body itself, not by a checkpoint
            return lambda: repository.finish_cancelled(job)
        except asyncio.CancelledError as exc:
            if _being_cancelled():
                raise
            if not self._ctx.lease_lost:
                return await self._failing(
                    RuntimeError(f"The body raised a cancellation that was not requested: {describe(exc)}")
                )
            self._discard_when_it_comes()
            self._log("stopped: %s", LeaseLost())
            return None
        except Exception as exc:  # noqa: BLE001 (any error of a body is stored)
            if not limit.expired():
                return await self._failing(exc)
            late = JobTimeout(f"The attempt took longer than {self._runner.timeout}.")
            self._ctx.stop(late)
            self._discard_when_it_comes()
            return await self._failing(late)
        return lambda: self._succeed(data)

    async def _rolled_back(self) -> QueuedJob | None:
        error = RuntimeError("ctx.complete was called, but its transaction was rolled back.")
        return await (await self._failing(error))()

    async def _succeed(self, data: dict[str, Any] | None) -> QueuedJob | None:
        try:
            return await self._repository.succeed(self._job, data)
        except StoreRefused as exc:
            return await (await self._failing(exc))()

    async def _failing(self, exc: Exception) -> Finish:
        job, repository = self._job, self._repository
        error = await offload(describe_error, exc)
        resume = self._runner.resume_after_errors and self._ctx.advanced
        retry_in = find_delay(self._runner.retry, exc, 1 if resume else job.tries)
        self._retry_in = retry_in or timedelta()
        if isinstance(exc, RetryLater):
            self._log("failing: %s: %s", error.type, error.message.replace("\n", " "))
        else:
            is_final = retry_in is None or (job.attempt >= job.max_attempts and not resume)
            # the stored traceback, in which credentials are masked
            self._log(
                "failing: %s: %s\n%s",
                error.type,
                error.message.replace("\n", " "),
                error.traceback or "",
                level=logging.ERROR if is_final else logging.WARNING,
            )
        return lambda: repository.fail(job, error, retry_in=retry_in, resume=resume)

    async def _finish(self, finish: Finish | None) -> QueuedJob | None:
        """Store the outcome, retrying until the lease ends. Raises `StoreUnavailable` after that."""
        self._phase = "finishing"
        await self._ctx.output.close(within=timedelta() if self._ctx.lease_lost else _OUTPUT_TIME)
        done = await self._stored(finish)
        if done is None or done.status is not JobStatus.SUCCEEDED:
            await self._discard(self._result)
        return done

    async def _discard(self, result: object) -> None:
        if not isinstance(result, self._runner.result_type or ()):
            return
        self._log("the result was not stored, so its data is removed")
        try:
            await call_hook_in_time(self._runner.on_result_discarded, self._job, result, within=DISCARD_TIME)
        except Exception:
            self._runner.logger.exception("job %s: cleaning up the discarded result failed", self._job.id)

    def _discard_when_it_comes(self) -> None:
        """Clean up the result of a thread that is no longer awaited, once it ends."""
        self._body.expect_end()
        if not self._ctx.completed:
            self._body.hand_over_when_it_ends(self._discard)

    async def _stored(self, finish: Finish | None) -> QueuedJob | None:
        unsure = False  # an earlier try may have been stored although its reply was lost
        delay = 0.5
        while True:
            try:
                done = await self._completed()
                if done is None and finish is not None:
                    done = await finish()
                if done is None and unsure:
                    done = await self._repository.outcome(self._job)
                return done
            except StoreUnavailable as exc:
                unsure = True
                if time.monotonic() + delay >= self._lease.until:
                    raise
                self._log("storing the outcome failed, next try in %.1f s: %s", delay, exc)
                await asyncio.sleep(delay)
                delay = min(2 * delay, 5.0)

    async def _release(self) -> QueuedJob | None:
        self._ctx.stop(LeaseLost("The worker is shutting down."))
        await self._ctx.output.close(within=_LAST_OUTPUT_TIME)
        try:
            completed = await self._completed()
            released = None if completed else await self._repository.release(self._job)
        except StoreUnavailable as exc:
            self._log("the job was not released and waits until its lease ends: %s", exc)
            return None
        if released is not None:  # else the result may have been stored
            if self._body.runs_in_thread:
                self._discard_when_it_comes()
            else:
                await self._discard(self._result)
        return completed or released

    async def _completed(self) -> QueuedJob | None:
        """Return the row if the body stored its result in its own transaction, however the body ended."""
        completed = await self._repository.outcome(self._job) if self._ctx.completed else None
        self._ctx.output.settle(committed=completed is not None)
        return completed

    def _log(self, text: str, *args: object, level: int = logging.INFO) -> None:
        if not self._runner.logger.isEnabledFor(level):
            return
        job = self._job
        fields = {"job_id": str(job.id), "job_kind": job.kind, "job_attempt": job.attempt, "job_phase": self._phase}
        self._runner.logger.log(
            level, f"job %s (%s) attempt %d: {text}", job.id, job.kind, job.attempt, *args, extra=fields
        )


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
