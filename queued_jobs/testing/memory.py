"""A store of jobs in a dictionary, with the same rules as the store in Postgres."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from uuid_utils.compat import uuid7

from queued_jobs.errors import JobConflict, JobNotFound, JobsError, KeyReused
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import HELD, Added, JobError, JobKey, JobStatus, NewJob, QueuedJob
from queued_jobs.postgres import GIVE_UP, MAX_RESEND
from queued_jobs.repository import HOLD, check_whole, hold_for
from queued_jobs.testing.attempts import Attempts
from queued_jobs.testing.rows import LOOKED_AT, NEAR, SLACK, check
from queued_jobs.testing.upkeep import Upkeep


class InMemoryRepository(Attempts, Upkeep):
    """`Repository` for tests. It passes the same contract suite as the store in Postgres.

    Attributes
    ----------
    jobs, attempts, rejected
        What is stored now; replace a row to bring about a state.
    clock
        Stands for the database's clock.
    """

    async def new_keys(self, count: int, *, conn: AsyncConnection[Any] | None = None) -> list[JobKey]:
        return [uuid7() for _ in range(count)]

    async def add(self, *jobs: NewJob, conn: AsyncConnection[Any] | None = None) -> list[Added]:
        for job in jobs:
            check(job.request)
            self._note(conn, job.id)
        before = dict(self.jobs)
        try:
            check_whole(jobs, added := [self._add(job, hold_for(len(jobs))) for job in jobs])
            return added
        except JobsError:
            self.jobs.clear()
            self.jobs |= before
            raise

    async def ended(self, job_id: JobKey) -> QueuedJob | None:
        job = self.jobs.get(job_id)
        if job is None:
            raise JobNotFound
        return job if job.status.is_final else None

    async def batch(self, batch_id: UUID) -> list[QueuedJob]:
        return [job for job in self.jobs.values() if job.batch_id == batch_id]

    async def cancel(self, job_id: JobKey) -> QueuedJob:
        """Request a cancel, as `JobTracker.cancel` does. Raises `JobConflict` if the job has ended."""
        job = self.jobs[job_id]
        if job.status.is_final:
            raise JobConflict(f"Only unfinished jobs can be cancelled; this one is {job.status}.")
        if job.cancel_requested:
            return job
        if job.status is JobStatus.RUNNING:
            return self._changed(job, cancel_requested=True)
        return self._changed(job, cancel_requested=True, status=JobStatus.CANCELLED, finished_at=self.clock())

    def _add(self, job: NewJob, reserved_for: timedelta) -> Added:
        for other in self.jobs.values():
            same_kind = other.kind == job.kind
            same_key = other.user_id == job.user_id and other.idempotency_key == job.idempotency_key
            if same_kind and same_key and job.idempotency_key is not None:
                if other.request != job.request and (job.asked is None or self._asked.get(other.id) != job.asked):
                    raise KeyReused
                return Added(job=other, duplicate=True)
        for other in self.jobs.values():
            if other.kind == job.kind and other.unique_key == job.unique_key and not other.status.is_final:
                if job.unique_key is None:
                    continue
                if other.user_id != job.user_id:
                    raise JobConflict("Another job with the same unique key is unfinished.")
                return Added(job=other, duplicate=True)
        now = self.clock()
        self._asked[job.id] = job.asked
        self.jobs[job.id] = QueuedJob(
            id=job.id,
            kind=job.kind,
            schema_version=job.schema_version,
            queue=job.queue,
            user_id=job.user_id,
            user_name=job.user_name,
            idempotency_key=job.idempotency_key,
            unique_key=job.unique_key,
            concurrency_key=job.concurrency_key,
            parked_at=None,
            paused_at=None,
            batch_id=job.batch_id,
            after_batch=job.after_batch,
            parent_id=job.parent_id,
            traceparent=job.traceparent,
            request=job.request,
            status=JobStatus.PENDING,
            attempt=0,
            max_attempts=job.max_attempts,
            uncounted=0,
            lost_count=0,
            dispatch_gen=1,
            sent_gen=0,
            next_send_at=HELD if job.after_batch else now + max(reserved_for, job.delay - NEAR),
            resend_count=0,
            poisoned_gen=0,
            poisoned_count=0,
            poisoned_until=None,
            available_at=HELD if job.after_batch else now + job.delay,
            lease_token=None,
            lease_until=None,
            deadline_at=None,
            worker_id=None,
            cancel_requested=False,
            progress=None,
            progress_message=None,
            result=None,
            error=None,
            version=1,
            created_at=now,
            started_at=None,
            finished_at=None,
            expired_at=None,
            seen_at=None,
            cleared_at=None,
        )
        return Added(job=self.jobs[job.id], duplicate=False)

    async def keep_reserved(self, messages: Sequence[Reserved]) -> list[Reserved]:
        until = self.clock() + HOLD
        kept = []
        for one in messages:
            job = self._reserved(one)
            if job is not None and not job.status.is_final:
                self._set(job, next_send_at=until)
                kept.append(dataclasses.replace(one, until=until))
        return kept

    async def mark_sent(self, messages: Sequence[Reserved]) -> None:
        for one in messages:
            job = self._reserved(one)
            if job is not None:
                self._set(job, sent_gen=job.dispatch_gen, next_send_at=self.clock())

    def _reserved(self, one: Reserved) -> QueuedJob | None:
        """Return the job whose message is still reserved for this sender."""
        job, gen = self.jobs.get(one.message.id), one.message.gen
        is_reserved = job is not None and job.dispatch_gen == gen > job.sent_gen and job.next_send_at == one.until
        return job if is_reserved and job is not None and job.parked_at is None else None

    async def wait_in_line(
        self, message: JobMessage, *, kind: str, schema_version: int, max_concurrent: int = 1
    ) -> bool | None:
        job = self._runnable(message, kind, schema_version)
        if job is None or job.concurrency_key is None:
            return None
        ahead = self._ahead(job)
        now = self.clock()
        again_at = now + timedelta(seconds=0 if ahead < max_concurrent else min(600, 30 * ahead))
        if job.parked_at is not None:
            again_at = min(job.next_send_at, again_at)
        self._set(job, sent_gen=job.dispatch_gen - 1, next_send_at=again_at, parked_at=now)
        return ahead < max_concurrent

    async def wake_next(self, job: QueuedJob) -> list[QueuedJob]:
        until = self.clock() + HOLD
        woken = []
        if job.concurrency_key is not None:
            line = [other for other in self._sharing(job) if other.available_at <= self.clock()]
            parked = [
                other
                for other in line[:LOOKED_AT]
                if other.parked_at and not other.paused_at and not self._pauses(other)
            ]
            woken += [self._set(first, next_send_at=until, parked_at=None) for first in parked[:1]]
        if job.batch_id is not None and job.status.is_final:
            woken += self._follow_up(lambda held: held.after_batch == job.batch_id, until)
        return woken

    async def defer(
        self, message: JobMessage, *, kind: str, schema_version: int, queues: Sequence[str] | None = None
    ) -> QueuedJob | None:
        job = self._waiting(message)
        now = self.clock()
        if job is None or (queues is not None and job.queue not in queues):
            return None
        if job.available_at > now + SLACK:
            if not job.is_held and (job.sent_gen >= job.dispatch_gen or job.parked_at is None):
                near = max(now, job.available_at - NEAR)
                self._set(job, sent_gen=job.dispatch_gen - 1, next_send_at=near, parked_at=now)
            return None
        if job.paused_at is not None or (job.kind == kind and job.schema_version <= schema_version):
            return None
        gone = job.resend_count >= GIVE_UP
        text = f"No worker could run version {job.schema_version} of the kind {job.kind} for a day."
        return self._changed(
            job,
            status=JobStatus.ABORTED if gone else job.status,
            finished_at=now if gone else None,
            error=JobError(type="no-handler", message=text) if gone else job.error,
            available_at=now + timedelta(seconds=min(600, 30 * 2 ** min(job.resend_count, 5))),
            next_send_at=now,
            parked_at=now,
            sent_gen=job.dispatch_gen - 1,
            resend_count=job.resend_count + 1,
        )

    async def poisoned(self, message: JobMessage, *, queues: Sequence[str] | None = None) -> QueuedJob | None:
        job = self._waiting(message)
        now = self.clock()
        if job is None or (queues is not None and job.queue not in queues) or job.available_at > now + SLACK:
            return None
        if job.sent_gen < job.dispatch_gen:
            self._set(job, parked_at=job.parked_at or now)
            return None
        times = job.poisoned_count + 1 if job.poisoned_gen == job.dispatch_gen else 1
        if self._pauses(job):
            return None
        again_at = now + timedelta(seconds=30 if times == 1 else 600 * 2 ** (times - 2))
        gone = times > MAX_RESEND
        text = f"The message of this job was moved to the poison queue of {job.queue} too often."
        return self._changed(
            job,
            status=JobStatus.ABORTED if gone else job.status,
            finished_at=now if gone else None,
            error=JobError(type="poison", message=text) if gone else job.error,
            poisoned_gen=job.dispatch_gen,
            poisoned_count=times,
            poisoned_until=again_at,
            sent_gen=job.dispatch_gen - 1,
            next_send_at=again_at,
            parked_at=now,
        )

    async def reject(self, queue: str, body: bytes, reason: str) -> None:
        if (queue, body) not in [(kept_queue, kept) for kept_queue, kept, _ in self.rejected]:
            self.rejected.append((queue, body, reason))
