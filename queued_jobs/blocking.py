"""Jobs for code without an event loop: one thread with one loop serves all calls of all threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from pydantic import BaseModel

from queued_jobs._portal import Portal
from queued_jobs.announcements import flush_pushes
from queued_jobs.batch import FollowUp
from queued_jobs.handle import JobHandle
from queued_jobs.model import JobKey, QueuedJob
from queued_jobs.runner import JobRunner

if TYPE_CHECKING:
    from queued_jobs.manager import QueueManager


class BlockingHandle[Result: BaseModel | None]:
    """`JobHandle` for code without an event loop.

    Attributes
    ----------
    job
        The row as it was stored, or the existing job returned in its place.
    duplicate
        True if the idempotency or unique key was taken by the existing job: nothing new was stored.
    sent
        False if the message still has to be sent: by the sweeper, or when the job that it waits for ends.
    """

    def __init__(self, jobs: BlockingJobs, handle: JobHandle[Result]) -> None:
        self._jobs = jobs
        self._handle = handle
        self.job: QueuedJob = handle.job
        self.duplicate: bool = handle.duplicate
        self.sent: bool = handle.sent

    @property
    def id(self) -> JobKey:
        return self.job.id

    def result(self, *, timeout: timedelta) -> Result:
        """Wait until the job has ended, and return its result. Raises as `JobHandle.result` does."""
        return self._jobs.call(self._handle.result, timeout=timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockingBatch[Result: BaseModel | None]:
    """`Batch` for code without an event loop."""

    id: UUID
    handles: Sequence[BlockingHandle[Result]]
    follow_up: BlockingHandle[Any] | None


class BlockingJobs:
    """The result of `QueueManager.blocking`: the manager's methods as plain functions, usable from any thread.

    Each call blocks its thread, and returns or raises as the awaited call would. An interrupt, such as Ctrl-C, cancels
    it. Use it as a context manager, or call `close`; otherwise the interpreter closes it on exit. Afterwards, and in a
    process that was forked after the first call, each call raises `RuntimeError`.
    """

    def __init__(self, manager: QueueManager, *, start: Callable[[], None]) -> None:
        self._manager = manager
        self._portal = Portal(start, flush_pushes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for running calls and pushes, and close their connections. May be called twice."""
        self._portal.close()

    def queue_job[Request: BaseModel, Result: BaseModel | None](
        self,
        runner: type[JobRunner[Request, Result]],
        request: Request,
        *,
        user_id: str,
        user_name: str | None = None,
        delay: timedelta = timedelta(),
        priority: str | None = None,
        idempotency_key: str | None = None,
        unique_key: str | None = None,
        parent_id: JobKey | None = None,
    ) -> BlockingHandle[Result]:
        """Store a job for a user and wake a worker for it, as `QueueManager.queue_job` does.

        It is committed when the call returns: inside your own transaction, call it after the commit.
        """
        handle = self.call(
            self._manager.queue_job,
            runner,
            request,
            user_id=user_id,
            user_name=user_name,
            delay=delay,
            priority=priority,
            idempotency_key=idempotency_key,
            unique_key=unique_key,
            parent_id=parent_id,
        )
        return BlockingHandle(self, handle)

    def queue_jobs[Request: BaseModel, Result: BaseModel | None](
        self,
        runner: type[JobRunner[Request, Result]],
        requests: Sequence[Request],
        *,
        user_id: str,
        user_name: str | None = None,
        delay: timedelta = timedelta(),
        priority: str | None = None,
        idempotency_key: str | None = None,
        parent_id: JobKey | None = None,
        follow_up: FollowUp[Any] | None = None,
    ) -> BlockingBatch[Result]:
        """Store many jobs of one kind for a user, all or none, as `QueueManager.queue_jobs` does."""
        batch = self.call(
            self._manager.queue_jobs,
            runner,
            requests,
            user_id=user_id,
            user_name=user_name,
            delay=delay,
            priority=priority,
            idempotency_key=idempotency_key,
            parent_id=parent_id,
            follow_up=follow_up,
        )
        return BlockingBatch(
            id=batch.id,
            handles=[BlockingHandle(self, handle) for handle in batch.handles],
            follow_up=None if batch.follow_up is None else BlockingHandle(self, batch.follow_up),
        )

    def call[**P, T](self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call any other coroutine of the manager: `jobs.call(manager.tracker.for_user, "ann", limit=20)`."""
        return self._portal.call(function, *args, **kwargs)
