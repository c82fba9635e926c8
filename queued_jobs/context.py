"""The handle that a running body has on its own job."""

from __future__ import annotations

import math
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from psycopg import AsyncConnection
from pydantic import BaseModel

from queued_jobs._outcome import dump_result
from queued_jobs._thread_bridge import ThreadBridge
from queued_jobs.backend import Backend
from queued_jobs.children import Children
from queued_jobs.errors import JobCancelled, JobsError, LeaseLost
from queued_jobs.handle import JobHandle, send_all
from queued_jobs.model import QueuedJob
from queued_jobs.offload import offload
from queued_jobs.redact import to_storable_text

if TYPE_CHECKING:
    from queued_jobs.runner import JobRunner


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

    def __init__(self, job: QueuedJob, backend: Backend, *, result_type: type[BaseModel] | None = None) -> None:
        self.job = job
        token = job.lease_token or uuid4()  # a job that nobody claimed, as in a test, has none
        self.claim_id = token.hex
        self._backend = backend
        self._repository = backend.repository
        self._result_type = result_type
        self._lock = threading.Lock()
        self._latest = Report(None, None)
        self._written = Report(None, None)
        self._stop: JobsError | None = None
        self._completed = False
        self._children = Children(job, backend)
        self._bridge = ThreadBridge()

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
            self._latest = Report(progress, before.message if message is None else to_storable_text(message, 200))

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

    async def queue_job[ChildRequest: BaseModel, ChildResult: BaseModel | None](
        self,
        runner: type[JobRunner[ChildRequest, ChildResult]],
        request: ChildRequest,
        *,
        key: str | None = None,
        delay: timedelta = timedelta(),
        priority: str | None = None,
        unique_key: str | None = None,
        conn: AsyncConnection[Any] | None = None,
    ) -> JobHandle[ChildResult]:
        """Start a child: a job of the same owner, whose `parent_id` is this job. Otherwise as `QueueManager.queue_job`.

        An attempt that runs again gets the children that an earlier one has started, in whatever order it asks for
        them. A child is recognised by its kind, by what was set in its request, and by how many equal ones the attempt
        has asked for before: three equal calls start three children, however often the body runs. A child that has
        ended is not started again either, also where somebody has the parent tried again; it can be retried itself. All
        of that holds for as long as the child's row is kept.

        Children live on their own: they go on when the parent fails or is cancelled.

        Parameters
        ----------
        key
            Up to 100 characters: recognise the child by its kind and this alone. For requests that differ from one
            attempt to the next, by a time or a random value, and where the body repeats a transaction. Raises
            `KeyReused` if the request of this attempt is another.
        conn
            A connection of `transaction`, whose end then also sends the message; or one of your own, after whose commit
            you call `JobHandle.send`, or leave it to the sweeper.
        """
        return await self._children.queue(
            runner, request, key, delay=delay, priority=priority, unique_key=unique_key, conn=conn
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Lend a connection to the database that holds the jobs, for one transaction of the body's own statements.

        The end of the block commits, an exception rolls back: what `queue_job(conn=...)` and `complete(conn=...)` wrote
        in it stands or falls with the body's own rows. After the commit the messages of the children are sent.

        Rows come as dictionaries. A statement may take ten seconds and a pause between two of them half a minute, then
        the server rolls back. Bodies wait for each other where too many want a connection, so keep it short, and
        do the work before. Raises `StoreUnavailable` if the server does not answer; whether a commit went through is
        then unknown, and the next attempt has to find out, as after a crash.
        """
        async with self._repository.transaction() as conn:
            with self._children.held_back(conn) as started:
                yield conn
        await send_all(started)

    def wait[T](self, awaitable: Awaitable[T]) -> T:
        """In a plain `def` body: run this on the worker's event loop, wait for it, and return or raise what it does.

        For what is `async` here, `ctx.wait(ctx.queue_job(...))`, and for coroutines of your own. From any thread of the
        body, any number at once.

        When the attempt is over, because its time or its lease is, `wait` raises what `checkpoint` raises, `JobTimeout`
        or `LeaseLost`, and the awaitable is cancelled; it is not even begun if that was so before. A cancel request
        does not interrupt it: the next `checkpoint` honours that. Raises `RuntimeError` on the loop's own thread, in an
        `async def` body: it would wait for itself, so `await` it there.
        """
        return self._bridge.wait(awaitable)

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
        if not isinstance(reason, JobCancelled):
            self._bridge.close(reason)

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
