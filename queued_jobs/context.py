"""The context of a running body: its handle on its own job."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from psycopg import AsyncConnection
from pydantic import BaseModel

from queued_jobs._outcome import dump_result
from queued_jobs._reports import Reports
from queued_jobs._thread_bridge import ThreadBridge
from queued_jobs.announcements import schedule_output
from queued_jobs.backend import Backend
from queued_jobs.children import Children
from queued_jobs.errors import JobCancelled, JobsError, LeaseLost
from queued_jobs.handle import JobHandle, send_all
from queued_jobs.model import QueuedJob
from queued_jobs.offload import offload
from queued_jobs.output import Output
from queued_jobs.resume import Resumable, Step

if TYPE_CHECKING:
    from queued_jobs.runner import JobRunner


class JobContext[Result: BaseModel | None]:
    """Passed to `on_execute`. `report` and `checkpoint` do no I/O and are safe to call from any thread.

    Attributes
    ----------
    job
        The row as it was claimed; `job.attempt` is 1 in the first run, and higher in each later one. `job.id` is the
        same in all of them, so other systems can use it to recognise a repeated call.
    claim_id
        32 random lower-case hexadecimal digits, unique to this attempt even after a restore of the database. Use it in
        the name of everything that this attempt creates outside of the database, such as a blob or a file: a late
        attempt can then neither overwrite nor remove the data of the attempt that won.
    """

    def __init__(
        self,
        job: QueuedJob,
        backend: Backend,
        *,
        result_type: type[BaseModel] | None = None,
        max_resumes: int = 0,
        max_output: int = 1024 * 1024,
    ) -> None:
        self.job = job
        token = job.lease_token or uuid4()  # an unclaimed job, as in a test, has none
        self.claim_id = token.hex
        self._backend = backend
        self._repository = backend.repository
        self._result_type = result_type
        self.reports = Reports()
        self._stop: JobsError | None = None
        self._completed = False
        self._children = Children(job, backend)
        self._resumable = Resumable(job, self._repository, max_resumes=max_resumes, checkpoint=self.checkpoint)
        self.output = Output(
            job,
            self._repository,
            max_size=max_output,
            checkpoint=self.checkpoint,
            on_append=partial(schedule_output, backend.notifier, job.user_id),
        )
        self._bridge = ThreadBridge()

    def report(self, progress: float | None = None, message: str | None = None) -> None:
        """Report progress: `progress` from 0 to 1 (clamped), `message` in a few words.

        Cheap enough for every iteration of a loop: only the latest report is stored and pushed, at most once a second.
        An omitted value keeps its last one. A progress that is not a finite number is ignored.
        """
        self.reports.add(progress, message)

    def checkpoint(self) -> None:
        """Raise `JobCancelled`, `JobTimeout` or `LeaseLost` if the body should stop. Do not catch these.

        Call it between units of work; a cancel request takes effect nowhere else.
        """
        if self._stop is not None:
            raise self._stop

    @property
    def cursor(self) -> Any:
        """What the job has saved last, in this or an earlier attempt, as read from JSON; None if nothing."""
        return self._resumable.cursor

    async def save(self, cursor: Any, *, conn: AsyncConnection[Any] | None = None) -> None:
        """Save how far the body is: any JSON value. It is durable on return, and `ctx.cursor` in every later attempt.

        With a connection of `transaction` it is committed or rolled back together with the body's own rows, so that
        these are written exactly once. Save last there: until the commit the job's row is locked, so that no heartbeat
        reaches it. Also a checkpoint: raises what `checkpoint` raises, after saving.

        If the worker is lost after an attempt has saved something new, the attempt does not count, up to the kind's
        `max_resumes`. Each save is a round trip to the database: save about once a second, not after each row. Raises
        `LeaseLost` if another attempt owns the job, `InvalidCursor` for what is not JSON or if cursor and steps exceed
        16 KiB together, and `StoreUnavailable`, after which it is unknown whether it was saved.
        """
        await self._resumable.save(cursor, conn=conn)

    def step(self, name: str) -> AsyncIterator[Step]:
        """Run a block once over all attempts: `async for step in ctx.step("copy"): ...` runs it once, or not at all.

        The step is finished, and saved as such, when the block ends; a later attempt skips it. After an exception or a
        `break` it is not, and a later attempt runs it again, with `step.cursor` as last saved by `step.save(...)`. What
        is in no step runs in each attempt. Raises as `save` does, and `InvalidCursor` for a name that was used before.
        """
        return self._resumable.step(name)

    async def emit(self, topic: str, text: str) -> None:
        """Append a text of up to 64 KiB to what the job shows its owner while it runs, in the order of the calls.

        Returns before the text is stored, and waits only while 128 KiB wait for the database. All that was emitted when
        the body ends is stored before its result. A later attempt continues; it does not replace what earlier ones have
        emitted. Beyond the kind's `max_output` the oldest texts are deleted. Credentials are masked, in each text by
        itself, and control characters replaced.

        Also a checkpoint. Raises `InvalidChunk` for a text that is too large, and for a topic that is not 1 to 63
        lower-case letters, digits, dashes and underscores; `LeaseLost` if another attempt owns the job.
        """
        await self.output.emit(topic, text)

    def log(self, line: str) -> None:
        """Append a line to the topic `log`, like `emit`, but without waiting and from any thread.

        A line longer than 64 KiB is cut. If the database takes the lines more slowly than they come, the oldest that
        wait are dropped, and their number is kept with the next one.
        """
        self.output.log(line)

    async def batch(self) -> list[QueuedJob]:
        """Return the jobs of the batch that this follow-up waited for, in the order in which they were queued.

        All of them have ended, in any state, unless one was retried since. Empty for a job that is not a follow-up.
        Raises `StoreUnavailable`.
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
        """Start a child: a job of the same owner with this job as `parent_id`. Otherwise like `QueueManager.queue_job`.

        A later attempt gets the children that an earlier one has started, in any order of calls. A child is recognised
        by its kind, by the fields set in its request, and by the number of equal calls before it in the attempt: three
        equal calls start three children, however often the body runs. A child that has ended is not started again, even
        if the parent is retried; it can be retried itself. All of this holds until the child's row is deleted.

        Children are independent: they continue when the parent fails or is cancelled.

        Parameters
        ----------
        key
            Up to 100 characters: recognise the child by its kind and this key only. For requests that differ between
            attempts, by a time or a random value, and for bodies that repeat a transaction. Raises `KeyReused` if the
            request of this attempt differs.
        conn
            A connection of `transaction`, whose commit then also sends the message; or your own connection, after whose
            commit you call `JobHandle.send`, or leave it to the sweeper.
        """
        return await self._children.queue(
            runner, request, key, delay=delay, priority=priority, unique_key=unique_key, conn=conn
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Lend a connection to the database that holds the jobs, for one transaction of the body's own statements.

        The end of the block commits, an exception rolls back: the rows of `queue_job(conn=...)` and
        `complete(conn=...)` are committed or rolled back together with the body's own rows. After the commit the
        children's messages are sent.

        Rows are dictionaries. The server rolls back if a statement takes longer than ten seconds, or a pause between
        two statements longer than half a minute. Bodies share a few connections, so keep the transaction short, and do
        the work before it. Raises `StoreUnavailable` if the server does not respond; whether the commit took effect is
        then unknown, and the next attempt has to find out, as after a crash.
        """
        async with self._repository.transaction() as conn:
            with self._children.held_back(conn) as started, self._resumable.undone_by_errors():
                yield conn
        await send_all(started)

    def wait[T](self, awaitable: Awaitable[T]) -> T:
        """In a plain `def` body: run an awaitable on the worker's event loop, and return its result or raise its error.

        For the `async` methods of this class, such as `ctx.wait(ctx.queue_job(...))`, and for your own coroutines. May
        be called from any thread of the body, concurrently.

        When the attempt is over, `wait` raises `JobTimeout` or `LeaseLost`, like `checkpoint`, and the awaitable is
        cancelled, or not even started. A cancel request does not interrupt it, but takes effect at the next
        `checkpoint`. Raises `RuntimeError` in an `async def` body, on the loop's own thread: use `await` there.
        """
        return self._bridge.wait(awaitable)

    async def complete(self, result: Result, *, conn: AsyncConnection[Any]) -> None:
        """Store the result in the body's own transaction, so that its effects in the same database happen exactly once.

        Commit right after, and return the same result. Raises `LeaseLost` if another attempt owns the job, and
        `InvalidResult` or `ResultTooLarge` for a result that cannot be stored: do not catch these, so that the
        transaction is rolled back.
        """
        data = await offload(dump_result, result, self._result_type)
        await self.output.store_within(conn)
        done = await self._repository.succeed(self.job, data, conn=conn)
        if done is None:
            raise LeaseLost
        self._completed = True

    @property
    def completed(self) -> bool:
        """Whether the body has called `complete`. Its transaction may have been rolled back."""
        return self._completed

    def stop(self, reason: JobsError) -> None:
        """Make the next checkpoint raise `reason`. The first reason wins, except that a lost lease overrides all."""
        if self._stop is None or isinstance(reason, LeaseLost):
            self._stop = reason
        if not isinstance(reason, JobCancelled):
            self._bridge.close(reason)

    @property
    def advanced(self) -> bool:
        """Whether this attempt has saved something new."""
        return self._resumable.advanced

    @property
    def lease_lost(self) -> bool:
        return isinstance(self._stop, LeaseLost)

    @property
    def cancel_requested(self) -> bool:
        return isinstance(self._stop, JobCancelled)
