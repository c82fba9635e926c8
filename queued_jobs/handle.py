"""The caller's handle on a job that was started."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from queued_jobs._arguments import check_span
from queued_jobs.announcements import announce
from queued_jobs.backend import Backend
from queued_jobs.errors import JobFailed, ResultExpired, StoreUnavailable
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import JobKey, JobStatus, QueuedJob
from queued_jobs.offload import offload

if TYPE_CHECKING:
    from queued_jobs.runner import JobRunner

#: Seconds between two reads of a job whose result is awaited.
_FIRST_PAUSE, _PAUSE_GROWTH, _MAX_PAUSE = 0.05, 1.5, 2.0


@dataclass(slots=True, kw_only=True)
class JobHandle[Result: BaseModel | None]:
    """A stored job and whether a worker was woken for it.

    Attributes
    ----------
    job
        The row as it was stored, or the existing job returned in its place.
    duplicate
        True if the idempotency or unique key was taken by the existing job: nothing new was stored.
    sent
        False if the message is left for the sweeper, or sent when the job that it waits for ends.
    """

    job: QueuedJob
    duplicate: bool
    runner: type[JobRunner[Any, Result]]
    delay: timedelta
    backend: Backend
    sent: bool = False
    #: Until when the sweeper leaves the message to the caller, by the monotonic clock.
    reserved_until: float = field(default=0.0, repr=False, compare=False)

    @property
    def id(self) -> JobKey:
        return self.job.id

    async def send(self) -> None:
        """Send the message and notify the owner. After `queue_job(conn=...)` call it once the transaction is committed.

        Never raises if a queue, the database or the hub is unavailable, and may be called twice. Called before the
        commit it would wake a worker too early, for a row that the worker cannot see.
        """
        await send_all([self])

    async def result(self, *, timeout: timedelta) -> Result:
        """Wait until the job has ended, and return its result; None for a kind without one.

        Polls the row at least once, at intervals that grow to two seconds. Each poll is one statement; until the job
        has ended, it reads only the status. It does not depend on pushes, so it works in any process, as often as you
        like. Inside a job body, waiting occupies a worker slot that the awaited job may need; prefer a follow-up.

        A timeout or a cancellation does not change the job: it continues, and you may call this again. If the job is
        manually retried before this call notices that it ended, the call waits until it ends again. If the database is
        unavailable, polling continues until the timeout.

        Raises
        ------
        JobFailed
            The job failed, was cancelled or aborted; the exception carries the job's status and error.
        TimeoutError
            The job did not end within `timeout`; raised up to five seconds later if the database is unavailable.
        ResultExpired
            The job succeeded, but its result was removed after its kind's `keep_result` period.
        JobNotFound
            There is no such row: it was deleted after its kind's retention period, or the transaction that stored it
            was rolled back or is not committed yet.
        InvalidResult
            The stored result no longer fits the kind's result type.
        """
        check_span("timeout", timeout, least=timedelta.min, most=timedelta.max)
        now = asyncio.get_running_loop().time
        until = now() + timeout.total_seconds()
        pause = _FIRST_PAUSE
        while True:
            unavailable: StoreUnavailable | None = None
            try:
                ended = await self.backend.repository.ended(self.id)
            except StoreUnavailable as exc:
                ended, unavailable = None, exc
            if ended is not None:
                return await self._result_of(ended)
            left = until - now()
            if left <= 0:
                raise TimeoutError(f"Job {self.id} did not end within {timeout}.") from unavailable
            await asyncio.sleep(min(pause, left))
            pause = min(pause * _PAUSE_GROWTH, _MAX_PAUSE)

    async def _result_of(self, job: QueuedJob) -> Result:
        if job.status is not JobStatus.SUCCEEDED:
            raise JobFailed(job)
        if job.result is None and self.runner.result_type is not None:
            raise ResultExpired
        return await offload(self.runner.read_result, job)


async def send_all(handles: Sequence[JobHandle[Any]]) -> None:
    """Send the messages of these new jobs of one owner, and announce them."""
    new = [handle for handle in handles if not handle.duplicate and not handle.sent]
    if not new:
        return
    due = [Reserved.of(handle.job, delay=handle.delay) for handle in new if not handle.job.is_held]
    backend = new[0].backend
    # before sending, so that a worker's own push rarely comes first
    await announce(backend.notifier, *(handle.job for handle in new))
    reserved_for = timedelta(seconds=min(handle.reserved_until for handle in new) - time.monotonic())
    sent = await backend.dispatcher().send(due, reserved_for=reserved_for)
    for handle in new:
        handle.sent = JobMessage.of(handle.job) in sent
