"""The rows of the store in memory, and helpers shared by its state changes."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from psycopg import AsyncConnection

from queued_jobs.chunks import Chunk
from queued_jobs.errors import StoreRefused
from queued_jobs.message import JobMessage
from queued_jobs.model import Attempt, JobError, JobKey, JobStatus, Pause, QueuedJob
from queued_jobs.serialization import NotStorable, check_storable
from queued_jobs.testing.clock import database_time

NEAR = timedelta(minutes=10)
SLACK = timedelta(seconds=1)
#: Jobs of a line that are examined to find the one to wake.
LOOKED_AT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCursor:
    """A row of `queued_jobs.cursor`."""

    gen: int
    value: Mapping[str, Any]
    resumes: int
    max_resumes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStream:
    """A row of `queued_jobs.stream`, with its chunks and where each begins."""

    gen: int = 0
    written: int = 0
    last_seq: int = 0
    ends_at: int = 0
    chunks: tuple[tuple[int, Chunk], ...] = ()


class MemoryTransaction:
    """Takes the place of a connection in the library's own calls; it does not run SQL."""

    def __init__(self) -> None:
        self.undo: list[Callable[[], None]] = []

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(
            f"The in-memory store does not run SQL, so conn.{name} is not available; test this body against Postgres."
        )


class Rows:
    """Jobs and attempts in dictionaries."""

    key_type: type[UUID] | type[int] = UUID

    def __init__(self, clock: Callable[[], datetime] = database_time) -> None:
        self.clock = clock
        self.jobs: dict[JobKey, QueuedJob] = {}
        self.attempts: dict[JobKey, list[Attempt]] = {}
        self.rejected: list[tuple[str, bytes, str]] = []
        #: The paused kinds.
        self.paused: dict[str, Pause] = {}
        self.cursors: dict[JobKey, SavedCursor] = {}
        self.streams: dict[JobKey, StoredStream] = {}
        #: Called after each save of a cursor, before it returns.
        self.on_save: Callable[[], Awaitable[None]] | None = None
        self._tokens: dict[UUID, tuple[JobKey, int]] = {}
        self._asked: dict[JobKey, str | None] = {}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[Any]]:
        conn = MemoryTransaction()
        try:
            yield cast("AsyncConnection[Any]", conn)
        except BaseException:
            for undo in reversed(conn.undo):
                undo()
            raise

    def _note(self, conn: object, key: JobKey) -> None:
        """Record a job's current state for a rollback of this transaction."""
        if isinstance(conn, MemoryTransaction):
            conn.undo.append(partial(self._bring_back, key, self.jobs.get(key), list(self.attempts.get(key, ()))))

    def _note_in[T](self, rows: dict[JobKey, T], conn: object, key: JobKey) -> None:
        """Record the row of another table for a rollback of this transaction."""
        if isinstance(conn, MemoryTransaction):
            conn.undo.append(partial(_bring_back_in, rows, key, rows.get(key)))

    def _bring_back(self, key: JobKey, job: QueuedJob | None, attempts: list[Attempt]) -> None:
        if job is None:
            self.jobs.pop(key, None)
        else:
            self.jobs[key], self.attempts[key] = job, attempts

    def _is_kept_no_longer(self, job: QueuedJob, keep: timedelta, kinds: Mapping[str, timedelta]) -> bool:
        if job.finished_at is None or self.clock() - job.finished_at <= kinds.get(job.kind, keep):
            return False
        return not any(
            other.after_batch == job.batch_id and other.finished_at is None
            for other in self.jobs.values()
            if job.batch_id is not None
        )

    def _runnable(self, message: JobMessage, kind: str, schema_version: int) -> QueuedJob | None:
        job = self._waiting(message)
        if job is None or job.available_at > self.clock() + SLACK:
            return None
        return job if job.kind == kind and job.schema_version <= schema_version else None

    def _sharing(self, job: QueuedJob) -> list[QueuedJob]:
        """Return the waiting jobs with the job's concurrency key, oldest first."""
        shares = [other for other in self._all_waiting() if _key(other) == _key(job)]
        return sorted(shares, key=lambda other: (other.created_at, str(other.id)))

    def _ahead(self, job: QueuedJob) -> int:
        """Count the jobs with its concurrency key that run or come first."""
        if job.concurrency_key is None:
            return -1
        running = self._running(job)
        line = [other.id for other in self._sharing(job) if other is job or other.available_at <= self.clock()]
        return len(running) + line.index(job.id)

    def _running(self, job: QueuedJob) -> list[QueuedJob]:
        """Return the running jobs with the job's concurrency key."""
        return [other for other in self.jobs.values() if other.lease_token and _key(other) == _key(job)]

    def _pauses(self, job: QueuedJob) -> bool:
        """Whether the pause after a poisoned message still lasts."""
        until = job.poisoned_until if job.poisoned_gen == job.dispatch_gen else None
        return until is not None and until > self.clock()

    def _follow_up(self, is_meant: Callable[[QueuedJob], bool], until: datetime) -> list[QueuedJob]:
        unended = {job.batch_id for job in self.jobs.values() if job.finished_at is None}
        ready = [job for job in self.jobs.values() if job.is_held and is_meant(job) and job.after_batch not in unended]
        return [self._changed(job, available_at=self.clock(), next_send_at=until) for job in ready]

    def _resumes(self, job: QueuedJob) -> bool:
        """Count a resume if the attempt that ends has advanced and may be resumed."""
        saved = self.cursors.get(job.id)
        if saved is None or saved.gen != job.dispatch_gen or saved.resumes >= saved.max_resumes:
            return False
        self.cursors[job.id] = dataclasses.replace(saved, resumes=saved.resumes + 1)
        return True

    def _waiting(self, message: JobMessage) -> QueuedJob | None:
        job = self.jobs.get(message.id)
        waits = job is not None and job.status in (JobStatus.PENDING, JobStatus.RETRYING)
        return job if job is not None and waits and job.dispatch_gen == message.gen else None

    def _all_waiting(self) -> list[QueuedJob]:
        waiting = [job for job in self.jobs.values() if job.status in (JobStatus.PENDING, JobStatus.RETRYING)]
        return sorted(waiting, key=lambda job: job.next_send_at)

    def _held(self, job: QueuedJob) -> QueuedJob | None:
        now = self.jobs.get(job.id)
        if now is None or now.status is not JobStatus.RUNNING or now.lease_token != job.lease_token:
            return None
        return now

    def _again(
        self,
        job: QueuedJob,
        status: JobStatus,
        outcome: str | None,
        *,
        delay: timedelta = timedelta(),
        grace: timedelta = timedelta(),
        **changes: Any,
    ) -> QueuedJob:
        now = self.clock()
        return self._ended(
            job,
            status,
            outcome,
            dispatch_gen=job.dispatch_gen + 1,
            available_at=job.available_at if status.is_final else now + delay,
            next_send_at=now + max(grace, delay - NEAR),
            **changes,
        )

    def _ended(self, job: QueuedJob, status: JobStatus, outcome: str | None, **changes: Any) -> QueuedJob:
        if outcome is not None:
            self._close_attempt(job, outcome, changes.get("error"))
        ended_at = self.clock() if status.is_final else None
        no_lease = {"lease_token": None, "lease_until": None, "deadline_at": None}
        return self._changed(job, status=status, finished_at=ended_at, **no_lease, **changes)

    def _close_attempt(self, job: QueuedJob, outcome: str, error: JobError | None) -> None:
        attempts = self.attempts[job.id]
        attempts[-1] = dataclasses.replace(attempts[-1], ended_at=self.clock(), outcome=outcome, error=error)

    def _uncounted(self, job: QueuedJob) -> QueuedJob:
        return self._set(job, uncounted=job.uncounted + 1, max_attempts=job.max_attempts + 1)

    def _changed(self, job: QueuedJob, **changes: Any) -> QueuedJob:
        return self._set(job, version=job.version + 1, **changes)

    def _set(self, job: QueuedJob, **changes: Any) -> QueuedJob:
        self.jobs[job.id] = dataclasses.replace(job, **changes)
        return self.jobs[job.id]


def _key(job: QueuedJob) -> tuple[str, str | None]:
    return job.kind, job.concurrency_key


def _bring_back_in[T](rows: dict[JobKey, T], key: JobKey, row: T | None) -> None:
    if row is None:
        rows.pop(key, None)
    else:
        rows[key] = row


def check(value: object) -> None:
    """Raise `StoreRefused` for a value that jsonb rejects."""
    try:
        check_storable(value)
    except NotStorable as exc:
        raise StoreRefused(str(exc)) from exc
