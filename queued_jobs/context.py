"""The handle that a running body has on its own job."""

from __future__ import annotations

import math
import threading
from typing import Any, NamedTuple
from uuid import uuid4

from psycopg import AsyncConnection
from pydantic import BaseModel

from queued_jobs._outcome import dump_result
from queued_jobs.errors import JobCancelled, JobsError, LeaseLost
from queued_jobs.model import QueuedJob
from queued_jobs.offload import offload
from queued_jobs.redact import storable
from queued_jobs.repository import Repository


class Report(NamedTuple):
    progress: float | None
    message: str | None


class JobContext[Result: BaseModel | None]:
    """Handed to `on_execute`. `report` and `checkpoint` do no I/O and are safe from any thread.

    Attributes
    ----------
    job
        The row as it was claimed; `job.attempt` is 1 in the first run, and higher in each later one. `job.id` is the
        same in all of them: by it another system can tell that it was asked before.
    claim_id
        32 lower-case hexadecimal digits that no other attempt of any job has, nor ever had: random, so a database that
        was restored does not repeat them either. Name after it what this attempt leaves outside of the database, such
        as a blob or a file. An attempt that wakes up after another one has won can then neither overwrite the winner's
        nor remove it.
    """

    def __init__(self, job: QueuedJob, repository: Repository, *, result_type: type[BaseModel] | None = None) -> None:
        self.job = job
        token = job.lease_token or uuid4()  # a job that nobody claimed, as in a test, has none
        self.claim_id = token.hex
        self._repository = repository
        self._result_type = result_type
        self._lock = threading.Lock()
        self._latest = Report(None, None)
        self._written = Report(None, None)
        self._stop: JobsError | None = None
        self._completed = False

    def report(self, progress: float | None = None, message: str | None = None) -> None:
        """Say how far the body is: `progress` from 0 to 1 (clamped), `message` in a few words.

        Cheap enough for every iteration of a loop: the latest report wins and is stored and pushed at most once a
        second. What is left out keeps its value. A progress that is no finite number is ignored.
        """
        with self._lock:
            before = self._latest
            if progress is None or not math.isfinite(progress):
                progress = before.progress
            else:
                progress = min(1.0, max(0.0, progress))
            self._latest = Report(progress, before.message if message is None else storable(message, 200))

    def checkpoint(self) -> None:
        """Raise if the body should stop: `JobCancelled`, `JobTimeout` or `LeaseLost`. Let these pass through.

        Call it between pieces of work; a cancel request is honoured nowhere else.
        """
        if self._stop is not None:
            raise self._stop

    async def batch(self) -> list[QueuedJob]:
        """Return the jobs that this one was held back for, in the order in which they were queued.

        All of them have ended, one way or another, unless somebody has retried one since. Empty for a job that is no
        follow-up. Raises `StoreUnavailable`.
        """
        return [] if self.job.after_batch is None else await self._repository.batch(self.job.after_batch)

    async def complete(self, result: Result, *, conn: AsyncConnection[Any]) -> None:
        """Store the result inside the body's own transaction, so that its effects in the same database happen once.

        Commit right after, and return the same result. Raises `LeaseLost` when another attempt owns the job, and
        `InvalidResult` or `ResultTooLarge` for a result that cannot be stored: let them pass through, so that the
        transaction rolls back.
        """
        data = await offload(dump_result, result, self._result_type)
        done = await self._repository.succeed(self.job, data, conn=conn)
        if done is None:
            raise LeaseLost
        self._completed = True

    @property
    def completed(self) -> bool:
        """Whether the body has called `complete`. Its transaction may have been rolled back since."""
        return self._completed

    def stop(self, reason: JobsError) -> None:
        """Make the next checkpoint raise `reason`. The first reason wins, but for a lost lease, which outdoes all."""
        if self._stop is None or isinstance(reason, LeaseLost):
            self._stop = reason

    @property
    def lease_lost(self) -> bool:
        return isinstance(self._stop, LeaseLost)

    @property
    def cancel_requested(self) -> bool:
        return isinstance(self._stop, JobCancelled)

    def unwritten(self) -> Report | None:
        """Return the latest report if a reader would notice the difference: a new message, or a percent or more."""
        with self._lock:
            new, old = self._latest, self._written
        if new.message == old.message and abs((new.progress or 0.0) - (old.progress or 0.0)) < 0.01:
            return None
        return new

    def wrote(self, report: Report) -> None:
        with self._lock:
            self._written = report
