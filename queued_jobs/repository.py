"""What a store of jobs must be able to do for runners, the sweeper and `queue_job`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol
from uuid import UUID

from psycopg import AsyncConnection

from queued_jobs.errors import KeyReused
from queued_jobs.message import Due, JobMessage
from queued_jobs.model import Added, JobError, JobKey, NewJob, QueuedJob

NO_KINDS: Final[Mapping[str, timedelta]] = MappingProxyType({})


NO_LIMITS: Final[Mapping[str, int]] = MappingProxyType({})

#: A kind and a concurrency key.
type Line = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesSeen:
    """How many jobs were woken, and which line was looked into last; None if no further one is left."""

    woken: int
    last: Line | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallied:
    """How many ended attempts were added to the statistics, and whether more attempts or jobs wait for that."""

    attempts: int
    more: bool


def check_whole(jobs: Sequence[NewJob], added: Sequence[Added]) -> None:
    """Raise `KeyReused` if of a batch and its follow-up some were stored before and some are new.

    The new ones would be a batch of their own, whose follow-up does not wait for the others.
    """
    of_batches = [
        one.duplicate
        for job, one in zip(jobs, added, strict=True)
        if job.idempotency_key is not None and (job.batch_id or job.after_batch)
    ]
    if any(of_batches) and not all(of_batches):
        raise KeyReused


class Repository(Protocol):
    """The write side of the store. Each method is one guarded state change, decided by the store's own clock.

    None means "you lost": the job has ended, another attempt owns it, or the message is old. That is never an error
    and never worth a second try. Every method raises `StoreUnavailable` when the store does not answer, and
    `StoreRefused` for a value that it cannot keep.
    """

    #: What its keys are.
    key_type: type[UUID] | type[int]

    async def new_keys(self, count: int, *, conn: AsyncConnection[Any] | None = None) -> list[JobKey]:
        """Make keys for so many new jobs. Those that are not used are lost, which is harmless."""

    async def add(self, *jobs: NewJob, conn: AsyncConnection[Any] | None = None) -> list[Added]:
        """Store new jobs in one statement, inside the caller's transaction when `conn` is given.

        Answers in their order. In place of a job whose idempotency key (of this user and kind) or unique key (of this
        kind, while not ended) is taken stands the one that has it, and no second one is stored. Raises `KeyReused` when
        that idempotency key came with another request, or those of a batch in part, and `JobConflict` when the unique
        key is held by another user's job: then none of them is stored, unless the caller commits.
        """

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """Lend a body a connection for one transaction: committed at the end of the block, rolled back by an exception.

        Bodies wait for each other where too many want one, so that heartbeats still find a connection.
        """

    async def ended(self, job_id: JobKey) -> QueuedJob | None:
        """Return the row of a job that has ended, None while it has not. Raises `JobNotFound` if there is no such row.

        Cheap enough to be asked again and again.
        """

    async def batch(self, batch_id: UUID) -> list[QueuedJob]:
        """Return the jobs of a batch, in the order in which they were queued."""

    async def mark_sent(self, messages: Sequence[JobMessage]) -> None:
        """Record that these very messages were sent. Messages of older generations change nothing."""

    async def claim(
        self,
        message: JobMessage,
        *,
        kind: str,
        schema_version: int,
        lease: timedelta,
        timeout: timedelta,
        max_concurrent: int = 1,
    ) -> QueuedJob | None:
        """Start one attempt and take the lease. Each generation of a job can be claimed once.

        Of the jobs with the same concurrency key at most `max_concurrent` run at a time, the oldest first.
        """

    async def wait_in_line(
        self, message: JobMessage, *, kind: str, schema_version: int, max_concurrent: int = 1
    ) -> bool | None:
        """After a lost claim: put the job in line if others with its concurrency key come first.

        Returns None if that is not why, and True if its turn has come meanwhile: then claim again.
        """

    async def wake_next(self, job: QueuedJob) -> list[QueuedJob]:
        """Take the messages of jobs that may run because this one has ended or given up its place.

        These are the oldest one in line for its concurrency key, and the follow-up of its batch when that has ended.
        Each stays taken for 15 seconds.
        """

    async def wake_lines(
        self, *, max_concurrent: Mapping[str, int] = NO_LIMITS, after: Line | None = None, limit: int
    ) -> LinesSeen:
        """Have those in line sent for whom there is a place, should nobody have woken them.

        Looks into at most `limit` lines, from the one after `after`. `max_concurrent` says how many jobs of a line may
        run, by kind; of others one. What is woken is owed its message from now on.
        """

    async def follow_ups(self, *, limit: int) -> list[QueuedJob]:
        """Let those jobs run whose batch has ended without anybody waking them. They are owed their message."""

    async def defer(
        self, message: JobMessage, *, kind: str, schema_version: int, queues: Sequence[str] | None = None
    ) -> QueuedJob | None:
        """After a lost claim: have the message sent again if it came too early, or if this worker cannot run the job.

        Returns the row if the worker lacks the handler, which after about a day ends the job as aborted. A job of none
        of these queues is left alone: the message was forged or moved, and its own worker gets its own one. None stands
        for any queue.
        """

    async def heartbeat(
        self, job: QueuedJob, *, lease: timedelta, progress: float | None, message: str | None
    ) -> QueuedJob | None:
        """Extend the lease and store progress; None in either keeps what is stored."""

    async def succeed(
        self, job: QueuedJob, result: Mapping[str, Any] | None, *, conn: AsyncConnection[Any] | None = None
    ) -> QueuedJob | None:
        """Store the one result and end the job."""

    async def fail(self, job: QueuedJob, error: JobError, *, retry_in: timedelta | None) -> QueuedJob | None:
        """End the attempt: retrying with a new generation, or failed if `retry_in` is None or attempts are used up.

        A job with a cancel request becomes cancelled instead.
        """

    async def finish_cancelled(self, job: QueuedJob) -> QueuedJob | None:
        """End the job as cancelled, if a cancel was asked for."""

    async def release(self, job: QueuedJob) -> QueuedJob | None:
        """Give the job back at once, without counting the attempt. For shutdowns. The next one has another number."""

    async def outcome(self, job: QueuedJob) -> QueuedJob | None:
        """Return the row if this very attempt ended it or ended itself: for a finish whose reply was lost."""

    async def poisoned(self, message: JobMessage, *, queues: Sequence[str] | None = None) -> QueuedJob | None:
        """The host gave up on this message: send it again later, or abort the job after that was tried five times.

        Returns the row if that counted. Each send counts once, at least 30 seconds after the one before and then 10
        minutes doubling, so copies and forged messages change nothing, and no number of them aborts a job within two
        hours. A job of none of these queues is left alone; None stands for any.
        """

    async def reject(self, queue: str, body: bytes, reason: str) -> None:
        """Keep the first bytes of a message that names no job. Copies on the same queue are counted, not kept."""

    async def unsent(self, *, limit: int) -> list[Due]:
        """Take messages that have yet to be sent. Each stays taken for 15 seconds, in case the sender dies."""

    async def rescue(self, *, limit: int) -> list[QueuedJob]:
        """Take back jobs whose lease or deadline is over."""

    async def resend_silent(self, *, limit: int) -> int:
        """Have those messages sent again that went out long ago and were never claimed. Returns how many."""

    async def expiring(
        self, *, older_than: timedelta, kinds: Mapping[str, timedelta] = NO_KINDS, limit: int
    ) -> list[QueuedJob]:
        """Take jobs that succeeded longer ago than this, or than their kind's own time, and still have their result.

        Each stays taken for an hour. Jobs of a batch are left until the follow-up that reads them has ended.
        """

    async def expire(self, ids: Sequence[JobKey]) -> list[QueuedJob]:
        """Drop the results of these jobs. Those without one are left out."""

    async def prune(self, *, older_than: timedelta, kinds: Mapping[str, timedelta] = NO_KINDS, limit: int) -> int:
        """Delete jobs that ended longer ago than this, or than their kind's own time. Returns how many.

        Jobs whose result has not expired stay, those of a batch until its follow-up has ended, and those with attempts
        that are not in the statistics yet: call `tally` first.
        """

    async def prune_notes(self, *, older_than: timedelta, limit: int) -> int:
        """Delete messages that named no job and came longer ago than this, and uses that no limit counts any more.

        Returns how many of those of which there are more.
        """

    async def queue_ages(self) -> dict[str, timedelta]:
        """Return how long the oldest job of each queue has waited since it was due; queues without any are left out."""

    async def tally(self, *, limit: int) -> Tallied:
        """Add new jobs and ended attempts to the statistics, each once, in steps of about `limit` of each."""

    async def fold_tallies(self, *, limit: int) -> int:
        """Sum up old statistics in longer spans, and delete the oldest. Returns how many sums, up to `limit`."""
