"""The interface of a job store, for runners, the sweeper and `queue_job`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol
from uuid import UUID

from psycopg import AsyncConnection

from queued_jobs.chunks import NewChunk, Segment
from queued_jobs.errors import KeyReused
from queued_jobs.kind_queues import KindQueues
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import Added, JobError, JobKey, NewJob, Pause, QueuedJob

NO_KINDS: Final[Mapping[str, timedelta]] = MappingProxyType({})


NO_LIMITS: Final[Mapping[str, int]] = MappingProxyType({})

NO_QUEUES: Final = KindQueues()

#: Begins the idempotency key of a job that a schedule started; its time follows. See also prune.sql.
OCCURRENCE: Final = "schedule:"
#: How long a message is reserved for its sender: longer than a send and its mark take.
HOLD = timedelta(seconds=15)
#: How much longer for each further job of a batch.
_HOLD_EACH = timedelta(milliseconds=10)

#: A kind and a concurrency key.
type Line = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesSeen:
    """How many jobs were woken, and the last line that was examined; None if no line is left."""

    woken: int
    last: Line | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallied:
    """How many ended attempts were added to the statistics, and whether attempts or jobs are left."""

    attempts: int
    more: bool


def hold_for(jobs: int) -> timedelta:
    """Return how long the messages of new jobs stay reserved for their enqueuer."""
    return HOLD + (jobs - 1) * _HOLD_EACH


def check_whole(jobs: Sequence[NewJob], added: Sequence[Added]) -> None:
    """Raise `KeyReused` if some jobs of a batch, including its follow-up, were stored before and others are new.

    The new jobs would form another batch, whose follow-up does not wait for the rest.
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

    None means that the caller lost a race: the job has ended, another attempt owns it, or the message is old. That is
    not an error and not worth a retry. Every method raises `StoreUnavailable` if the store does not respond, and
    `StoreRefused` for a value that it cannot store.
    """

    #: Type of the keys.
    key_type: type[UUID] | type[int]

    async def now(self) -> datetime:
        """Return the store's time, by which everything is due."""

    async def new_keys(self, count: int, *, conn: AsyncConnection[Any] | None = None) -> list[JobKey]:
        """Generate keys for `count` new jobs. Unused keys are lost, which is harmless."""

    async def add(self, *jobs: NewJob, conn: AsyncConnection[Any] | None = None) -> list[Added]:
        """Store new jobs in one statement, in the caller's transaction if `conn` is given.

        Returns them in order, with their messages reserved for the caller, see `hold_for`. If the idempotency key (of
        this user and kind) or the unique key (among unfinished jobs of this kind) of a job is taken, the existing job
        is returned instead and no second one is stored. Raises `KeyReused` if the idempotency key was used with another
        request, or by only a part of a batch, and `JobConflict` if another user's job holds the unique key: then no job
        is stored, unless the caller commits.
        """

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """Lend a body a connection for one transaction: committed at the end of the block, rolled back by an exception.

        Bodies wait for each other if too many need one, so that a connection remains for heartbeats.
        """

    async def ended(self, job_id: JobKey) -> QueuedJob | None:
        """Return the row of a job that has ended, None while it has not. Raises `JobNotFound` if there is no such row.

        Cheap enough for polling.
        """

    async def batch(self, batch_id: UUID) -> list[QueuedJob]:
        """Return the jobs of a batch, in the order in which they were queued."""

    async def keep_reserved(self, messages: Sequence[Reserved]) -> list[Reserved]:
        """Reserve messages for 15 seconds from now, and return those that were still reserved for this sender.

        The others have been taken by another sender, or no longer need a message: do not send them.
        """

    async def mark_sent(self, messages: Sequence[Reserved]) -> None:
        """Record that these messages were sent.

        Those of older generations, and those that another sender has taken since, have no effect.
        """

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

        Of the jobs with the same concurrency key at most `max_concurrent` run at a time, the oldest first. A job whose
        kind is paused does not start and is returned as it waits: `QueuedJob.is_paused`. Until its kind is
        resumed, it does not need a further message.
        """

    async def pause(self, kind: str, *, subject: str) -> Pause:
        """Let no further attempt of a kind start. Idempotent: the first pause stays as it is."""

    async def resume(self, kind: str) -> Pause | None:
        """End the pause of a kind, and return it. `wake_paused` then sends its jobs."""

    async def pauses(self) -> list[Pause]:
        """Return the paused kinds, in order."""

    async def wake_paused(self, *, limit: int, hold: timedelta = timedelta()) -> list[QueuedJob]:
        """Take jobs that were held while their kind was paused, and it no longer is: at most `limit`, the oldest first.

        Their messages are reserved for the caller for `hold`, and become due after that.
        """

    async def wait_in_line(
        self, message: JobMessage, *, kind: str, schema_version: int, max_concurrent: int = 1
    ) -> bool | None:
        """Queue the job behind earlier jobs with its concurrency key, after a failed claim.

        Returns True if its turn has come in the meantime (claim again), False if it must wait, and None if the claim
        failed for another reason.
        """

    async def wake_next(self, job: QueuedJob) -> list[QueuedJob]:
        """Take the messages of jobs that may run because this one has ended or freed its slot.

        These are the oldest one in line for its concurrency key, and the follow-up of its batch if the batch has ended.
        Each stays reserved for 15 seconds.
        """

    async def wake_lines(
        self, *, max_concurrent: Mapping[str, int] = NO_LIMITS, after: Line | None = None, limit: int
    ) -> LinesSeen:
        """Schedule the messages of jobs in line for which there is a free slot, in case they were not woken.

        Examines at most `limit` lines, starting after `after`. `max_concurrent` is the number of jobs of a line that
        may run, by kind; the default is one. The messages of the woken jobs become due.
        """

    async def follow_ups(self, *, limit: int) -> list[QueuedJob]:
        """Release the follow-ups of ended batches, in case they were not woken. Their messages become due."""

    async def defer(
        self, message: JobMessage, *, kind: str, schema_version: int, queues: Sequence[str] | None = None
    ) -> QueuedJob | None:
        """After a failed claim: schedule the message again if it came too early, or if this worker cannot run the job.

        Returns the row if the worker lacks the handler; after about a day this ends the job as aborted. A job of none
        of these queues is not changed: the message was forged or moved, and the job's own message is on its way. None
        means any queue.
        """

    async def heartbeat(
        self, job: QueuedJob, *, lease: timedelta, progress: float | None, message: str | None
    ) -> QueuedJob | None:
        """Extend the lease and store progress and message; None keeps the stored value."""

    async def succeed(
        self, job: QueuedJob, result: Mapping[str, Any] | None, *, conn: AsyncConnection[Any] | None = None
    ) -> QueuedJob | None:
        """Store the result and end the job."""

    async def save(
        self, job: QueuedJob, saved: Mapping[str, Any], *, max_resumes: int, conn: AsyncConnection[Any] | None = None
    ) -> bool:
        """Store what the next attempt gets as `QueuedJob.saved`; False if another attempt owns the job.

        An attempt that changes it has advanced: it does not count if its worker is lost, up to `max_resumes` times
        since the job was queued or retried by a person.
        """

    async def append(
        self,
        job: QueuedJob,
        chunks: Sequence[NewChunk],
        *,
        written: int,
        max_size: int,
        conn: AsyncConnection[Any] | None = None,
    ) -> Segment | None:
        """Append what the attempt emits, and return it as stored; None if another attempt owns the job.

        `written` is how many chunks of this attempt come before these: the same call again, after an unknown outcome,
        appends nothing, and returns a bare segment. The job's oldest chunks are deleted, so that no more than
        `max_size` bytes of them are kept.
        """

    async def fail(
        self, job: QueuedJob, error: JobError, *, retry_in: timedelta | None, resume: bool = False
    ) -> QueuedJob | None:
        """End the attempt: retrying with a new generation, or failed if `retry_in` is None or no attempts are left.

        A job with a cancel request becomes cancelled instead. With `resume`, an attempt that has advanced does not
        count, see `save`.
        """

    async def finish_cancelled(self, job: QueuedJob) -> QueuedJob | None:
        """End the job as cancelled, if a cancel was requested."""

    async def release(self, job: QueuedJob) -> QueuedJob | None:
        """Give the job back without counting the attempt, for shutdowns. The next attempt has a new number."""

    async def outcome(self, job: QueuedJob) -> QueuedJob | None:
        """Return the row if this attempt has already been finished: for a finish whose reply was lost."""

    async def poisoned(self, message: JobMessage, *, queues: Sequence[str] | None = None) -> QueuedJob | None:
        """Handle a poisoned message: schedule it again, or abort the job after five such tries.

        Returns the row if the message counted. Each send counts once, at least 30 seconds after the previous one, then
        10 minutes, doubling, so copies and forged messages have no effect, and no number of them aborts a job within
        two hours. A job of none of these queues is not changed; None means any queue.
        """

    async def reject(self, queue: str, body: bytes, reason: str) -> None:
        """Store the first bytes of a message that does not name a job. Copies on one queue are counted, not stored."""

    async def unsent(self, *, limit: int, queues: KindQueues = NO_QUEUES) -> list[Reserved]:
        """Take messages that have to be sent. Each stays reserved for 15 seconds, in case the sender crashes.

        Jobs whose queue was renamed are moved to the queue that their kind has now.
        """

    async def rescue(self, *, limit: int) -> list[QueuedJob]:
        """Reclaim jobs whose lease or timeout has expired."""

    async def end_unknown(self, kinds: Collection[str], *, limit: int) -> list[QueuedJob]:
        """Abort jobs that have been due for a day and that no worker knows, and return them.

        Their kind is none of these, no attempt of it is running, and none has ended during that day.
        """

    async def latest_key(self, *, kind: str, user_id: str, prefix: str) -> str | None:
        """Return the greatest idempotency key with this prefix of the user's jobs of a kind."""

    async def resend_silent(self, *, limit: int) -> int:
        """Schedule messages again that were sent long ago and never claimed. Returns how many."""

    async def expiring(
        self, *, older_than: timedelta, kinds: Mapping[str, timedelta] = NO_KINDS, limit: int
    ) -> list[QueuedJob]:
        """Take jobs whose result is older than this, or than their kind's own retention.

        Each stays reserved for an hour. Jobs of a batch are kept until the follow-up that reads them has ended.
        """

    async def expire(self, ids: Sequence[JobKey]) -> list[QueuedJob]:
        """Drop the results of these jobs, and return the jobs that had one."""

    async def prune(self, *, older_than: timedelta, kinds: Mapping[str, timedelta] = NO_KINDS, limit: int) -> int:
        """Delete jobs that ended longer ago than this, or than their kind's own retention. Returns how many.

        Jobs whose result has not expired stay, jobs of a batch until its follow-up has ended, the latest occurrence of
        a schedule, and jobs with attempts that are not in the statistics yet: call `tally` first.
        """

    async def prune_notes(self, *, older_than: timedelta, limit: int) -> int:
        """Delete rejected messages older than this, and recorded uses that no longer count for any limit.

        Returns the larger of the two counts.
        """

    async def queue_ages(self) -> dict[str, timedelta]:
        """Return how long the oldest job of each queue has been due. Queues without waiting jobs are omitted."""

    async def tally(self, *, limit: int) -> Tallied:
        """Add new jobs and ended attempts to the statistics, each once, in steps of about `limit` of each."""

    async def fold_tallies(self, *, limit: int) -> int:
        """Merge old statistics into longer spans, and delete the oldest. Returns how many rows, up to `limit`."""
