"""The sweeper's operations on the store in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from queued_jobs._upkeep import MAX_LOST, STALE, UNKNOWN
from queued_jobs.kind_queues import KindQueues
from queued_jobs.message import Reserved
from queued_jobs.model import JobError, JobKey, JobStatus, Pause, QueuedJob
from queued_jobs.repository import HOLD, NO_KINDS, NO_LIMITS, NO_QUEUES, OCCURRENCE, Line, LinesSeen, Tallied
from queued_jobs.testing.rows import LOOKED_AT, Rows


class Upkeep(Rows):
    """The part of `Repository` that only the sweeper and operators call."""

    async def now(self) -> datetime:
        return self.clock()

    async def wake_lines(
        self, *, max_concurrent: Mapping[str, int] = NO_LIMITS, after: Line | None = None, limit: int
    ) -> LinesSeen:
        now = self.clock()
        lines = {(job.kind, job.concurrency_key): job for job in self._all_waiting() if job.parked_at}
        found = sorted((kind, key) for kind, key in lines if key is not None and (kind, key) > (after or ("", "")))[
            :limit
        ]
        woken = 0
        for line in found:
            sharing = [job for job in self._sharing(lines[line])[:LOOKED_AT] if job.available_at <= now]
            for job in sharing[: max(0, max_concurrent.get(line[0], 1) - len(self._running(lines[line])))]:
                if job.parked_at and not job.paused_at and job.next_send_at > now and not self._pauses(job):
                    self._set(job, next_send_at=now)
                    woken += 1
        return LinesSeen(woken=woken, last=found[-1] if len(found) == limit else None)

    async def follow_ups(self, *, limit: int) -> list[QueuedJob]:
        return self._follow_up(lambda held: True, self.clock())

    async def unsent(self, *, limit: int, queues: KindQueues = NO_QUEUES) -> list[Reserved]:
        now = self.clock()
        owed = [job for job in self._all_waiting() if job.sent_gen < job.dispatch_gen and job.next_send_at <= now]
        taken = [
            self._set(job, next_send_at=now + HOLD, parked_at=None, queue=queues.current(job.kind, job.queue))
            for job in owed[:limit]
        ]
        return [Reserved.of(job, delay=max(timedelta(), job.available_at - now)) for job in taken]

    async def pause(self, kind: str, *, subject: str) -> Pause:
        return self.paused.setdefault(kind, Pause(kind=kind, since=self.clock(), subject=subject))

    async def resume(self, kind: str) -> Pause | None:
        return self.paused.pop(kind, None)

    async def pauses(self) -> list[Pause]:
        return [self.paused[kind] for kind in sorted(self.paused)]

    async def wake_paused(self, *, limit: int, hold: timedelta = timedelta()) -> list[QueuedJob]:
        held = [job for job in self._all_waiting() if job.paused_at is not None and job.kind not in self.paused]
        held.sort(key=lambda job: (job.created_at, str(job.id)))
        due_at = self.clock() + hold
        return [
            self._changed(job, paused_at=None, parked_at=None, next_send_at=due_at - behind * timedelta(microseconds=1))
            for behind, job in zip(range(len(held[:limit]) - 1, -1, -1), held, strict=False)
        ]

    async def rescue(self, *, limit: int) -> list[QueuedJob]:
        now = self.clock()
        rescued: list[QueuedJob] = []
        for job in [job for job in self.jobs.values() if job.status is JobStatus.RUNNING]:
            lost = job.lease_until is not None and job.lease_until < now
            late = job.deadline_at is not None and job.deadline_at < now
            if (lost or late) and len(rescued) < limit:
                rescued.append(self._rescued(job, worker_lost=lost))
        return rescued

    async def end_unknown(self, kinds: Collection[str], *, limit: int) -> list[QueuedJob]:
        since = self.clock() - UNKNOWN
        has_run = (JobStatus.SUCCEEDED, JobStatus.FAILED)
        known = {
            job.kind
            for job in self.jobs.values()
            if job.lease_token or (job.finished_at and job.finished_at > since and job.status in has_run)
        }
        unknown = [
            job
            for job in self._all_waiting()
            if job.kind not in {*kinds, *known, *self.paused} and max(job.created_at, job.available_at) < since
        ]
        return [
            self._changed(
                job,
                status=JobStatus.ABORTED,
                finished_at=self.clock(),
                error=JobError(type="no-handler", message=f"No worker knew the kind {job.kind} for a day."),
            )
            for job in unknown[:limit]
        ]

    async def latest_key(self, *, kind: str, user_id: str, prefix: str) -> str | None:
        keys = [
            job.idempotency_key
            for job in self.jobs.values()
            if (job.kind, job.user_id) == (kind, user_id) and (job.idempotency_key or "").startswith(prefix)
        ]
        return max(filter(None, keys), default=None)

    async def resend_silent(self, *, limit: int) -> int:
        now = self.clock()
        silent = [
            job
            for job in self._all_waiting()
            if job.sent_gen >= job.dispatch_gen
            and max(job.available_at, job.next_send_at) < now - STALE * 2 ** min(job.resend_count, 6)
        ]
        for job in silent[:limit]:
            self._set(job, sent_gen=job.dispatch_gen - 1, resend_count=job.resend_count + 1, next_send_at=now)
        return len(silent[:limit])

    async def expiring(
        self, *, older_than: timedelta, kinds: Mapping[str, timedelta] = NO_KINDS, limit: int
    ) -> list[QueuedJob]:
        now = self.clock()
        old = [
            job
            for job in self.jobs.values()
            if job.result is not None and job.next_send_at < now and self._is_kept_no_longer(job, older_than, kinds)
        ]
        return [self._set(job, next_send_at=now + timedelta(hours=1)) for job in old[:limit]]

    async def expire(self, ids: Sequence[JobKey]) -> list[QueuedJob]:
        found = [job for key in ids if (job := self.jobs.get(key)) is not None and job.result is not None]
        return [self._changed(job, result=None, expired_at=self.clock()) for job in found]

    async def prune(self, *, older_than: timedelta, kinds: Mapping[str, timedelta] = NO_KINDS, limit: int) -> int:
        old = [
            job.id
            for job in self.jobs.values()
            if job.result is None
            and self._is_kept_no_longer(job, older_than, kinds)
            and not await self._is_latest_occurrence(job)
        ]
        for key in old[:limit]:
            del self.jobs[key]
            self.cursors.pop(key, None)
            self.streams.pop(key, None)
            self.attempts.pop(key, None)
        return len(old[:limit])

    async def prune_notes(self, *, older_than: timedelta, limit: int) -> int:
        """Do nothing: tests may inspect rejected messages, and uses are not stored here."""
        return 0

    async def queue_ages(self) -> dict[str, timedelta]:
        now = self.clock()
        oldest: dict[str, datetime] = {}
        for job in self._all_waiting():
            if job.available_at <= now and job.parked_at is None:
                oldest[job.queue] = min(job.available_at, oldest.get(job.queue, now))
        return {queue: now - since for queue, since in oldest.items()}

    async def tally(self, *, limit: int) -> Tallied:
        """Do nothing: statistics exist only in Postgres."""
        return Tallied(attempts=0, more=False)

    async def fold_tallies(self, *, limit: int) -> int:
        """Do nothing, like `tally`."""
        return 0

    async def _is_latest_occurrence(self, job: QueuedJob) -> bool:
        latest = await self.latest_key(kind=job.kind, user_id=job.user_id, prefix=OCCURRENCE)
        return latest is not None and job.idempotency_key == latest

    def _rescued(self, job: QueuedJob, *, worker_lost: bool) -> QueuedJob:
        resumes = worker_lost and self._resumes(job)
        if resumes:
            job = self._uncounted(job)
        lost_count = job.lost_count + (worker_lost and not resumes)
        exhausted = job.attempt >= job.max_attempts
        status = JobStatus.RETRYING
        if worker_lost and not resumes and (lost_count >= MAX_LOST or exhausted):
            status = JobStatus.ABORTED
        elif exhausted:
            status = JobStatus.FAILED
        if job.cancel_requested:
            status = JobStatus.CANCELLED
        if worker_lost:
            text = f"The worker stopped responding during attempt {job.attempt}."
            error, outcome = JobError(type="worker-lost", message=text), "lost"
        else:
            text = f"Attempt {job.attempt} exceeded its timeout."
            error, outcome = JobError(type="timeout", message=text), "timeout"
        self._close_attempt(job, outcome, None)
        return self._again(job, status, None, error=error, lost_count=lost_count)
