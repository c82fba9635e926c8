"""The store of jobs in Postgres."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import accumulate
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from queued_jobs._deadlines import LONG_STATEMENT_TIME, STATEMENT_TIME
from queued_jobs._per_loop import PerLoop
from queued_jobs._upkeep import PostgresUpkeep
from queued_jobs.chunks import CHUNK_OVERHEAD, NewChunk, Segment, segment_of
from queued_jobs.database import Database
from queued_jobs.errors import JobConflict, JobNotFound, KeyReused, StoreRefused
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import Added, JobError, JobKey, NewJob, QueuedJob
from queued_jobs.redact import to_storable_text
from queued_jobs.repository import HOLD, check_whole, hold_for

#: How often a poisoned message is sent again, after 30 seconds, then 10 minutes, doubling, before the job is aborted.
MAX_RESEND = 5
#: How often a job waits for a worker that can run it, for 30 seconds, doubling to 10 minutes: about a day in total.
GIVE_UP = 147


class PostgresRepository(PostgresUpkeep):
    """`Repository` over `queued_jobs.job`. Nearly every method is one statement, and one round trip."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        # one connection is reserved for heartbeats, however many bodies borrow
        self._lendable = PerLoop(lambda: asyncio.Semaphore(max(1, database.max_size - 1)))
        self.key_type = database.tables.key_type
        # for people who read the attempts; the lease is guarded by its random token, never by this name
        self._worker_id = f"{socket.gethostname()}:{os.getpid()}"

    async def new_keys(self, count: int, *, conn: AsyncConnection[Any] | None = None) -> list[JobKey]:
        if self.key_type is UUID:
            return [uuid7() for _ in range(count)]
        return [row["id"] for row in await self.database.rows("new_keys", {"count": count}, conn=conn)]

    async def add(self, *jobs: NewJob, conn: AsyncConnection[Any] | None = None) -> list[Added]:
        if conn is None and len(jobs) > 1:
            async with self.database.transaction() as own:
                return await self.add(*jobs, conn=own)
        added: dict[JobKey, Added] = {}
        missing = list(jobs)
        while missing:
            params = {"jobs": Jsonb([_to_record(job) for job in missing]), "grace": hold_for(len(jobs)).total_seconds()}
            for row in await self.database.rows("enqueue", params, conn=conn, within=_time_for(missing)):
                added[row["id"]] = Added(job=QueuedJob.from_row(row), duplicate=False)
            conflicting = [job for job in missing if job.id not in added]
            existing = await self._existing(conflicting, conn) if conflicting else {}
            added |= {key: Added(job=job, duplicate=True) for key, job in existing.items()}
            # still missing: the job that held its unique key ended between the two statements
            missing = [job for job in conflicting if job.id not in added]
            for job in missing:
                if job.unique_key is None and job.idempotency_key is None:
                    raise StoreRefused(f"Job {job.id} already exists, so the table's id sequence is behind its rows.")
        check_whole(jobs, stored := [added[job.id] for job in jobs])
        return stored

    async def _existing(self, jobs: Sequence[NewJob], conn: AsyncConnection[Any] | None) -> dict[JobKey, QueuedJob]:
        """Map the id of each of these jobs whose key is taken to the existing job."""
        params = {"jobs": Jsonb([_to_record(job) for job in jobs])}
        rows = await self.database.rows("find_existing", params, conn=conn, within=_time_for(jobs))
        found = {row["new_id"]: row for row in rows}
        for job in jobs:
            if (row := found.get(job.id)) is None:
                continue
            if row["same_key"]:
                if not row["same_request"]:
                    raise KeyReused
            elif not row["is_mine"]:
                raise JobConflict("Another job with the same unique key is unfinished.")
        return {key: QueuedJob.from_row(row) for key, row in found.items()}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[Any]]:
        async with self._lendable.get(), self.database.transaction() as conn:
            yield conn

    async def ended(self, job_id: JobKey) -> QueuedJob | None:
        row = await self.database.row("ended", {"id": job_id})
        if row is None:
            raise JobNotFound
        return None if row["id"] is None else QueuedJob.from_row(row)

    async def batch(self, batch_id: UUID) -> list[QueuedJob]:
        return await self._jobs("batch", batch_id=batch_id)

    async def keep_reserved(self, messages: Sequence[Reserved]) -> list[Reserved]:
        params = _reservations(messages) | {"hold": HOLD.total_seconds()}
        kept = {row["id"]: row["next_send_at"] for row in await self.database.rows("keep_reserved", params)}
        return [replace(one, until=kept[one.message.id]) for one in messages if one.message.id in kept]

    async def mark_sent(self, messages: Sequence[Reserved]) -> None:
        await self.database.rows("mark_sent", _reservations(messages))

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
        for _ in range(max_concurrent + 1):
            try:
                return await self._change(
                    "claim",
                    id=message.id,
                    gen=message.gen,
                    kind=kind,
                    schema_version=schema_version,
                    token=uuid4(),
                    worker_id=self._worker_id,
                    lease=lease.total_seconds(),
                    timeout=timeout.total_seconds(),
                    max_concurrent=max_concurrent,
                    first_key=self.database.tables.first_key,
                )
            except psycopg.errors.UniqueViolation as exc:
                if not (exc.diag.constraint_name or "").endswith("job_slot"):
                    raise
                # another job took the slot at the same moment, so there is one less now
        return None

    async def wait_in_line(
        self, message: JobMessage, *, kind: str, schema_version: int, max_concurrent: int = 1
    ) -> bool | None:
        row = await self.database.row(
            "wait_in_line",
            {
                "id": message.id,
                "gen": message.gen,
                "kind": kind,
                "schema_version": schema_version,
                "max_concurrent": max_concurrent,
                "first_key": self.database.tables.first_key,
            },
        )
        return None if row is None else bool(row["its_turn"])

    async def wake_next(self, job: QueuedJob) -> list[QueuedJob]:
        hold = HOLD.total_seconds()
        woken = []
        if job.concurrency_key is not None:
            line = {
                "kind": job.kind,
                "concurrency_key": job.concurrency_key,
                "first_key": self.database.tables.first_key,
            }
            woken += await self._jobs("next_in_line", hold=hold, **line)
        if job.batch_id is not None and job.status.is_final:
            woken += await self._jobs("follow_up", batch_id=job.batch_id, n=1, hold=hold)
        return woken

    async def defer(
        self, message: JobMessage, *, kind: str, schema_version: int, queues: Sequence[str] | None = None
    ) -> QueuedJob | None:
        params: dict[str, Any] = {
            "id": message.id,
            "gen": message.gen,
            "kind": kind,
            "schema_version": schema_version,
            "queues": None if queues is None else list(queues),
        }
        if await self.database.row("not_due", params) is not None:
            return None
        return await self._change("no_handler", give_up=GIVE_UP, **params)

    async def heartbeat(
        self, job: QueuedJob, *, lease: timedelta, progress: float | None, message: str | None
    ) -> QueuedJob | None:
        return await self._change(
            "heartbeat",
            id=job.id,
            token=job.lease_token,
            lease=lease.total_seconds(),
            progress=progress,
            message=message,
        )

    async def succeed(
        self, job: QueuedJob, result: Mapping[str, Any] | None, *, conn: AsyncConnection[Any] | None = None
    ) -> QueuedJob | None:
        stored = None if result is None else Jsonb(result)
        return await self._change("succeed", conn=conn, id=job.id, token=job.lease_token, result=stored)

    async def save(
        self, job: QueuedJob, saved: Mapping[str, Any], *, max_resumes: int, conn: AsyncConnection[Any] | None = None
    ) -> bool:
        params = {"id": job.id, "token": job.lease_token, "value": Jsonb(saved), "max_resumes": max_resumes}
        return await self.database.row("save", params, conn=conn) is not None

    async def append(
        self,
        job: QueuedJob,
        chunks: Sequence[NewChunk],
        *,
        written: int,
        max_size: int,
        conn: AsyncConnection[Any] | None = None,
    ) -> Segment | None:
        *starts, size = accumulate((chunk.size for chunk in chunks), initial=0)
        params = {
            **{"id": job.id, "token": job.lease_token, "n": len(chunks), "size": size, "written": written},
            "topics": [chunk.topic for chunk in chunks],
            "texts": [chunk.text for chunk in chunks],
            "skips": [chunk.skipped for chunk in chunks],
            "starts": starts,
            "max_size": max_size,
            "most": size // CHUNK_OVERHEAD + 1,
        }
        row = await self.database.row("append", params, conn=conn)
        return None if row is None else segment_of(job.id, chunks, last=row["last_seq"], emitted_at=row["emitted_at"])

    async def fail(
        self, job: QueuedJob, error: JobError, *, retry_in: timedelta | None, resume: bool = False
    ) -> QueuedJob | None:
        return await self._change(
            "fail",
            id=job.id,
            token=job.lease_token,
            error=Jsonb(error.to_json()),
            retryable=retry_in is not None,
            resume=resume,
            backoff=(retry_in or timedelta()).total_seconds(),
            grace=HOLD.total_seconds(),
        )

    async def finish_cancelled(self, job: QueuedJob) -> QueuedJob | None:
        return await self._change("finish_cancelled", id=job.id, token=job.lease_token)

    async def release(self, job: QueuedJob) -> QueuedJob | None:
        return await self._change("release", id=job.id, token=job.lease_token, hold=HOLD.total_seconds())

    async def outcome(self, job: QueuedJob) -> QueuedJob | None:
        return await self._change("outcome", id=job.id, token=job.lease_token)

    async def poisoned(self, message: JobMessage, *, queues: Sequence[str] | None = None) -> QueuedJob | None:
        params: dict[str, Any] = {
            "id": message.id,
            "gen": message.gen,
            "queues": None if queues is None else list(queues),
        }
        if await self.database.row("poisoned_unmarked", params) is not None:
            return None
        return await self._change("poisoned", max_resend=MAX_RESEND, **params)

    async def reject(self, queue: str, body: bytes, reason: str) -> None:
        await self.database.rows(
            "reject",
            {
                "queue": queue,
                "reason": to_storable_text(reason, 500),
                "body_sha256": hashlib.sha256(body).digest(),
                "body_start": to_storable_text(body[:1024].decode("utf-8", "replace"), 1024),
            },
        )


def _to_record(job: NewJob) -> dict[str, Any]:
    """Return a job as `enqueue.sql` reads it."""
    return {
        "id": job.id if isinstance(job.id, int) else str(job.id),
        "kind": job.kind,
        "schema_version": job.schema_version,
        "queue": job.queue,
        "user_id": job.user_id,
        "user_name": job.user_name,
        "idempotency_key": job.idempotency_key,
        "unique_key": job.unique_key,
        "concurrency_key": job.concurrency_key,
        "batch_id": None if job.batch_id is None else str(job.batch_id),
        "after_batch": None if job.after_batch is None else str(job.after_batch),
        "parent_id": None if job.parent_id is None else str(job.parent_id),
        "traceparent": job.traceparent,
        "request": job.request,
        "asked": job.asked,
        "max_attempts": job.max_attempts,
        "delay": job.delay.total_seconds(),
        "held": job.after_batch is not None,
    }


def _reservations(messages: Sequence[Reserved]) -> dict[str, Any]:
    return {
        "ids": [one.message.id for one in messages],
        "gens": [one.message.gen for one in messages],
        "untils": [one.until for one in messages],
    }


def _time_for(jobs: Sequence[NewJob]) -> timedelta:
    return STATEMENT_TIME if len(jobs) == 1 else LONG_STATEMENT_TIME
