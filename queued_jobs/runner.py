"""Base class of the kinds of jobs: turns a queue message into an attempt of a tracked job."""

from __future__ import annotations

import abc
import inspect
import logging
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError

from queued_jobs import _executor
from queued_jobs._admission import admit
from queued_jobs._threads import BodyThreads
from queued_jobs.backend import Backend
from queued_jobs.context import JobContext
from queued_jobs.declarations import check_declaration
from queued_jobs.errors import InvalidRequest, InvalidResult, RejectedMessage
from queued_jobs.message import JobMessage
from queued_jobs.model import QueuedJob, ResultFile
from queued_jobs.retry import RetryPolicy
from queued_jobs.serialization import describe_invalid, form_of


class JobRunner[Request: BaseModel, Result: BaseModel | None](abc.ABC):
    """One kind of job: its request, its work, its result.

    Subclass as `class ZipBuilder(JobRunner[ZipRequest, ZipResult])` and set at least `kind` and `queue`. The host may
    call `execute` several times for one job: a body must be able to run again after a crash.
    """

    #: Stable name on the wire and in rows: lower case, digits and dashes. Never rename it while jobs are waiting.
    kind: ClassVar[str]
    #: The queue that wakes this kind: 3 to 56 characters, so that `-poison` still fits behind it.
    queue: ClassVar[str]
    #: Raise it when the request changes in a way that older workers cannot run.
    schema_version: ClassVar[int] = 1
    retry: ClassVar[RetryPolicy] = RetryPolicy()
    #: How many attempts that have saved a cursor, see `JobContext.save`, may end without counting, because their worker
    #: was lost, until a person retries the job.
    max_resumes: ClassVar[int] = 100
    #: Whether attempts that have saved a cursor and then raise a retryable error end without counting, too.
    resume_after_errors: ClassVar[bool] = False
    #: How much of what a job emits is kept, in bytes: 64 KiB to 16 MiB. Beyond that the oldest chunks are deleted.
    max_output: ClassVar[int] = 1024 * 1024
    #: For one attempt. Keep it below the host's functionTimeout, which kills the whole worker.
    timeout: ClassVar[timedelta] = timedelta(minutes=20)
    #: How long a silent worker keeps the job; renewed by four heartbeats per lease.
    lease: ClassVar[timedelta] = timedelta(seconds=60)
    #: Schedule on which jobs of the kind start: NCRONTAB in UTC, `second minute hour day month day-of-week`.
    schedule: ClassVar[str | None] = None
    #: The owner of jobs that the schedule starts.
    schedule_user: ClassVar[str] = "schedule"
    #: Maximum concurrent plain `def` bodies of this kind in one process. Up to as many more threads take the place of
    #: those whose bodies keep running after their timeout.
    threads: ClassVar[int] = 8
    #: Maximum concurrent jobs with the same `concurrency_key`, across all workers.
    concurrency: ClassVar[int] = 1
    #: Additional queues of this kind, `<queue>-<priority>`, each polled independently: jobs on one do not wait for a
    #: backlog on another.
    priorities: ClassVar[tuple[str, ...]] = ()
    #: How long an ended job stays in the database; None for the sweeper's default.
    keep: ClassVar[timedelta | None] = None
    #: How long a result, and the data that it refers to, is kept; None: as long as the job.
    keep_result: ClassVar[timedelta | None] = None

    _has_status_hook: ClassVar[bool] = False
    _has_expiry_hook: ClassVar[bool] = False

    #: Read from the type arguments of the base class.
    request_type: ClassVar[type[BaseModel]]
    result_type: ClassVar[type[BaseModel] | None]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._has_status_hook = cls.on_status_updated is not JobRunner.on_status_updated
        cls._has_expiry_hook = cls.on_result_expired is not JobRunner.on_result_expired
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is JobRunner:
                request_type, result_type = get_args(base)
                if not isinstance(request_type, TypeVar):  # else it is a generic base class without concrete types
                    cls.request_type = request_type
                    cls.result_type = None if result_type in (None, type(None)) else result_type
        if hasattr(cls, "kind"):
            check_declaration(cls, base=JobRunner)

    def __init__(self, backend: Backend, *, logger: logging.Logger | None = None) -> None:
        self.backend = backend
        self.repository = backend.repository
        self.notifier = backend.notifier
        self.logger = logger or logging.getLogger(f"queued_jobs.{self.kind}")
        self.body_threads = BodyThreads(self.kind, self.threads, self.logger)

    @abc.abstractmethod
    def on_execute(self, request: Request, ctx: JobContext[Result]) -> Awaitable[Result] | Result:
        """Do the work and return the result, at most 256 KiB of JSON from which an equal model can be read.

        `async def` runs on the host's event loop, where a blocking call stalls all other functions; a plain `def` runs
        in its own thread. Raise `PermanentError` to fail immediately, `RetryLater` to choose the delay; other
        errors are retried according to `retry`. Do not catch the errors of `ctx.checkpoint()`. If all tasks of a task
        group fail with the same kind of error, that error counts.

        After a crash, a timeout or an error another attempt calls it again, possibly while a thread of this one still
        runs: the result that is stored first wins.
        """

    async def on_status_updated(self, job: QueuedJob) -> None:
        """Called after each stored change of an attempt, in order. By default it notifies the owner.

        It runs in the background, for half a minute at most; `flush_pushes` waits for running calls. Outdated progress
        is omitted. It may raise, and may be skipped after a crash or if a thousand changes of the kind are pending:
        none of this affects the job.
        """
        await self.notifier.job_changed(job)

    def on_result_expired(self, job: QueuedJob, result: Result) -> Awaitable[None] | None:
        """Called before an expired result is dropped from the row: remove the data that it refers to, such as a blob.

        `async def`, or a plain `def`, which runs in a thread. May be called twice for one job, and is not called for a
        stored result that no longer fits its type. The calls of one sweep run concurrently. If it raises, or takes
        longer than ten seconds, it is called again after an hour, and the result is kept until then.
        """
        return None

    def on_result_discarded(self, job: QueuedJob, result: Result) -> Awaitable[None] | None:
        """Called with a result that was not stored: remove the data that it refers to.

        `async def`, or a plain `def`, which runs in a thread. Another attempt owns the job, the result cannot be
        stored, or a plain `def` body returned it after its timeout or after its worker had released the job. The job
        may have another result by then, so remove only data named after this attempt, see `JobContext.claim_id`. Not
        called after a crash, nor waited for longer than half a minute, so let leftover data expire by itself, too.
        """
        return None

    @classmethod
    def queues_of_kind(cls) -> tuple[str, ...]:
        """Return all queues of this kind, the default one first."""
        return (cls.queue, *(f"{cls.queue}-{priority}" for priority in cls.priorities))

    @classmethod
    def concurrency_key(cls, request: Request, user_id: str) -> str | None:
        """Return the key of jobs of this kind that must not run concurrently with this one; None for no limit.

        For example `user_id`, for one job per user at a time. 1 to 200 characters, else the start raises
        `InvalidRequest`. The oldest job goes first. Called when the job is started; its exceptions go to the caller.
        """
        return None

    @classmethod
    def scheduled_request(cls, due: datetime) -> Request:
        """Return the request of the job that is due at this time, in UTC. By default one without arguments.

        May be called several times for one occurrence; the first stored request counts. If it raises, the timer's
        invocation fails, and the sweeper tries again.
        """
        return cast(Request, cls.request_type())

    @classmethod
    def read_request(cls, job: QueuedJob) -> Request:
        """Return the request of a job of this kind. Raises `InvalidRequest` for one that no longer fits its type."""
        try:
            return cast(Request, form_of(cls.request_type).load(job.request))
        except ValidationError as exc:
            raise InvalidRequest(
                f"The stored request does not match the kind {cls.kind}: {describe_invalid(exc, cls.request_type)}."
            ) from exc

    @classmethod
    def read_result(cls, job: QueuedJob) -> Result:
        """Return the result of a job of this kind, or None if it has none, or no longer has it.

        Raises `InvalidResult` for one that no longer fits its type.
        """
        if cls.result_type is None or job.result is None:
            return cast(Result, None)
        try:
            return cast(Result, form_of(cls.result_type).load(job.result))
        except ValidationError as exc:
            raise InvalidResult(
                f"The stored result does not match the kind {cls.kind}: "
                f"{describe_invalid(exc, cls.result_type, in_words=False)}."
            ) from exc

    @classmethod
    def label(cls, request: Request) -> str:
        """Return the job's label for its owner: a few words of plain text, of which 120 characters are shown.

        Called whenever the job is shown, so it must be fast. If it raises, the kind is shown instead.
        """
        return cls.kind.replace("-", " ").capitalize()

    @classmethod
    def file(cls, result: Result) -> ResultFile | None:
        """Return the blob that the owner may download, or None.

        Called whenever a job with a result is shown, so it must be fast. If it raises, no download is offered.
        """
        return None

    @property
    def runs_in_threads(self) -> bool:
        """Whether the body is a plain `def`."""
        return not inspect.iscoroutinefunction(self.on_execute)

    async def execute(self, message: JobMessage, *, queue: str | None = None) -> None:
        """Run one attempt of the message's job.

        Returns None on purpose: a queue function that returns a value fails. Ignores old, duplicate and forged
        messages. Raises only `StoreUnavailable`, if the claim or the result could not be stored: the host then delivers
        the message again.

        The attempt of a plain `def` body begins when one of the kind's `threads` is free. If none is for half a minute,
        the message is put back on its queue (None: the default queue), for any worker, and the job stays as it is.
        """
        await admit(self, message, queue=queue or self.queue)

    async def receive(self, body: bytes, *, queue: str | None = None) -> None:
        """Run `execute` for a message of a queue of this kind (None: the default queue).

        A message that does not name a job is stored for the admin and acknowledged. Raises as `execute` does.
        """
        queue = queue or self.queue
        try:
            message = JobMessage.decode(body, key_type=self.repository.key_type)
        except RejectedMessage as exc:
            self.logger.warning("rejected a message on %s: %s", queue, exc)
            await self.repository.reject(queue, body, str(exc))
            return
        await self.execute(message, queue=queue)

    async def receive_poison(self, body: bytes, *, queue: str | None = None) -> None:
        """Handle a message that the host moved to the poison queue.

        The row decides: a running job keeps its lease, a waiting one is woken again, and one whose messages are
        poisoned repeatedly ends as aborted. Copies and forged messages do not count, nor does a second call for a send.
        Raises `StoreUnavailable`.
        """
        await self.repository.reject(f"{queue or self.queue}-poison", body, "The host gave up on this message.")
        try:
            message = JobMessage.decode(body, key_type=self.repository.key_type)
        except RejectedMessage as exc:
            self.logger.warning("rejected a poison message: %s", exc)
            return
        job = await self.repository.poisoned(message, queues=self.queues_of_kind())
        if job is not None:
            _executor.schedule_update(self, job)
            if job.status.is_final:
                await _executor.wake(self, job)
