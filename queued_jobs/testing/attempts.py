"""What a worker does to the store in memory during one attempt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from psycopg import AsyncConnection

from queued_jobs.chunks import NewChunk, Segment, segment_of
from queued_jobs.message import JobMessage
from queued_jobs.model import HELD, Attempt, JobError, JobStatus, QueuedJob
from queued_jobs.repository import HOLD
from queued_jobs.testing.rows import Rows, SavedCursor, StoredStream, check


class Attempts(Rows):
    """The `Repository` methods that claim a job, renew its lease and end the attempt."""

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
        job = self._runnable(message, kind, schema_version)
        now = self.clock()
        if job is not None and kind in self.paused:
            return self._set(
                job,
                paused_at=job.paused_at or now,
                parked_at=now,
                sent_gen=job.dispatch_gen - 1,
                next_send_at=HELD,
                version=job.version + (job.paused_at is None),
            )
        if job is None or job.cancel_requested or self._ahead(job) >= max_concurrent:
            return None
        token = uuid4()
        self._tokens[token] = (job.id, job.dispatch_gen)
        claimed = self._changed(
            job,
            status=JobStatus.RUNNING,
            attempt=job.attempt + 1,
            lease_token=token,
            worker_id="memory",
            lease_until=now + lease,
            deadline_at=now + timeout,
            started_at=now,
            progress=job.progress if job.id in self.cursors else None,
            progress_message=None,
            parked_at=None,
            paused_at=None,
            next_send_at=job.next_send_at if job.paused_at is None else now,
            sent_gen=max(job.sent_gen, message.gen),
            resend_count=0,
        )
        self.attempts.setdefault(job.id, []).append(
            Attempt(
                attempt=claimed.attempt,
                gen=job.dispatch_gen,
                worker_id="memory",
                due_at=job.available_at,
                started_at=now,
                ended_at=None,
                outcome=None,
                error=None,
            )
        )
        saved = self.cursors.get(job.id)
        return claimed if saved is None else dataclasses.replace(claimed, saved=saved.value)

    async def heartbeat(
        self, job: QueuedJob, *, lease: timedelta, progress: float | None, message: str | None
    ) -> QueuedJob | None:
        held = self._held(job)
        if held is None:
            return None
        news = (
            held.progress if progress is None else progress,
            held.progress_message if message is None else message,
        )
        version = held.version + (news != (held.progress, held.progress_message))
        until = self.clock() + lease
        return self._set(held, lease_until=until, progress=news[0], progress_message=news[1], version=version)

    async def succeed(
        self, job: QueuedJob, result: Mapping[str, Any] | None, *, conn: AsyncConnection[Any] | None = None
    ) -> QueuedJob | None:
        check(result)
        held = self._held(job)
        if held is None:
            return None
        self._note(conn, job.id)
        return self._ended(held, JobStatus.SUCCEEDED, "succeeded", result=result, error=None, progress=1.0)

    async def save(
        self, job: QueuedJob, saved: Mapping[str, Any], *, max_resumes: int, conn: AsyncConnection[Any] | None = None
    ) -> bool:
        check(saved)
        held = self._held(job)
        if held is None:
            return False
        before = self.cursors.get(job.id)
        self._note_in(self.cursors, conn, job.id)
        self.cursors[job.id] = SavedCursor(
            gen=before.gen if before is not None and before.value == saved else held.dispatch_gen,
            value=saved,
            resumes=0 if before is None else before.resumes,
            max_resumes=max_resumes,
        )
        if self.on_save is not None:
            await self.on_save()
        return True

    async def append(
        self,
        job: QueuedJob,
        chunks: Sequence[NewChunk],
        *,
        written: int,
        max_size: int,
        conn: AsyncConnection[Any] | None = None,
    ) -> Segment | None:
        for chunk in chunks:
            check(chunk.text)
        held = self._held(job)
        if held is None:
            return None
        stream = self.streams.get(job.id, StoredStream())
        if (stream.written if stream.gen == held.dispatch_gen else 0) != written:
            return segment_of(job.id, chunks, last=stream.last_seq, emitted_at=None)
        self._note_in(self.streams, conn, job.id)
        added = segment_of(job.id, chunks, last=stream.last_seq + len(chunks), emitted_at=self.clock())
        kept, ends_at = list(stream.chunks), stream.ends_at
        for row in added.chunks:
            kept.append((ends_at, row))
            ends_at += row.size
        self.streams[job.id] = StoredStream(
            gen=held.dispatch_gen,
            written=written + len(chunks),
            last_seq=added.last,
            ends_at=ends_at,
            chunks=tuple((at, chunk) for at, chunk in kept if at >= ends_at - max_size or chunk.seq > stream.last_seq),
        )
        return added

    async def fail(
        self, job: QueuedJob, error: JobError, *, retry_in: timedelta | None, resume: bool = False
    ) -> QueuedJob | None:
        held = self._held(job)
        if held is None:
            return None
        if resume and retry_in is not None and self._resumes(held):
            held = self._uncounted(held)
        status = JobStatus.RETRYING
        if retry_in is None or held.attempt >= held.max_attempts:
            status = JobStatus.FAILED
        if held.cancel_requested:
            status = JobStatus.CANCELLED
        return self._again(held, status, "failed", error=error, delay=retry_in or timedelta(), grace=HOLD)

    async def finish_cancelled(self, job: QueuedJob) -> QueuedJob | None:
        held = self._held(job)
        if held is None or not held.cancel_requested:
            return None
        return self._ended(held, JobStatus.CANCELLED, "cancelled")

    async def release(self, job: QueuedJob) -> QueuedJob | None:
        held = self._held(job)
        if held is None:
            return None
        status = JobStatus.RETRYING if held.tries > 1 else JobStatus.PENDING
        if held.cancel_requested:
            status = JobStatus.CANCELLED
        return self._again(self._uncounted(held), status, "released", grace=HOLD)

    async def outcome(self, job: QueuedJob) -> QueuedJob | None:
        if job.lease_token is None or job.lease_token not in self._tokens:
            return None
        key, gen = self._tokens[job.lease_token]
        ended = any(
            attempt.gen == gen and attempt.outcome in ("succeeded", "failed", "cancelled")
            for attempt in self.attempts[key]
        )
        return self.jobs[key] if ended else None
