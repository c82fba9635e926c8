"""One action on every job that matches a query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from queued_jobs._arguments import check_moment, check_type, check_whole
from queued_jobs._deadlines import total_time
from queued_jobs.announcements import announce
from queued_jobs.backend import Backend
from queued_jobs.dashboard.search import Cursor, JobQuery, find_jobs
from queued_jobs.database import Database, Row
from queued_jobs.dispatch import wake_successors
from queued_jobs.kind_queues import KindQueues
from queued_jobs.message import Reserved
from queued_jobs.model import JobKey, JobStatus, QueuedJob
from queued_jobs.repository import HOLD

_BATCH = 100
_MAX_CHANGED = 2**31 - 1
_MAX_REFUSALS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A matching job whose state did not allow the action."""

    id: JobKey
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkReport:
    """The outcome of a bulk action.

    Attributes
    ----------
    changed
        How many were retried, or cancelled or asked to stop.
    refused
        How many were skipped, by reason.
    refusals
        Up to 100 of these.
    as_of, next
        If `next` is not None the limit was reached: call again with both, `next` as `before`, for the rest.
    """

    changed: int
    refused: Mapping[str, int]
    refusals: tuple[Refusal, ...]
    as_of: datetime
    next: Cursor | None


class BulkActions:
    """Processes the matching jobs in batches, newest first. Each batch is a transaction that checks each job's state.

    A failure leaves complete batches, and repeating the call with the same `as_of` processes the rest. Messages that
    could not be sent are sent by the sweeper.
    """

    def __init__(self, database: Database, backend: Backend, queues: KindQueues) -> None:
        self._database = database
        self._backend = backend
        self._notifier = backend.notifier
        self._queues = queues

    async def retry(self, query: JobQuery, *, as_of: datetime | None, before: Cursor | None, limit: int) -> BulkReport:
        check_type("query", query, JobQuery)
        return await self._act("requeue_all", query.retryable(), as_of, before, limit)

    async def cancel(self, query: JobQuery, *, as_of: datetime | None, before: Cursor | None, limit: int) -> BulkReport:
        check_type("query", query, JobQuery)
        return await self._act("cancel_all", query.cancellable(), as_of, before, limit)

    async def _act(
        self, name: str, query: JobQuery, as_of: datetime | None, before: Cursor | None, limit: int
    ) -> BulkReport:
        check_whole("limit", limit, most=_MAX_CHANGED)
        if as_of is not None:
            check_moment("as_of", as_of)
        if as_of is None:
            as_of = (await self._database.rows("now", {}))[0]["now"]
        query = query.created_until(as_of)
        changed, left, place = 0, limit, before
        refusals: list[Refusal] = []
        dispatcher = self._backend.dispatcher()
        while left > 0:
            with total_time(None) if changed else nullcontext():  # an error would hide what has been changed
                page = await find_jobs(self._database, query, before=place, limit=min(_BATCH, left))
                jobs, refused = await self._change(name, [job.id for job in page.jobs], as_of)
            await dispatcher.send(map(Reserved.of, filter(_is_owed, jobs)))
            if jobs:
                await announce(self._notifier, *jobs)
                ended = [job for job in jobs if job.status.is_final]
                await wake_successors(*ended, dispatcher=dispatcher, notifier=self._notifier)
            changed += len(jobs)
            refusals += refused
            left -= len(page.jobs)
            place = page.next
            if place is None:
                break
        return BulkReport(
            changed=changed,
            refused=Counter(refusal.reason for refusal in refusals),
            refusals=tuple(refusals[:_MAX_REFUSALS]),
            as_of=as_of,
            next=place,
        )

    async def _change(self, name: str, ids: Sequence[JobKey], as_of: datetime) -> tuple[list[QueuedJob], list[Refusal]]:
        """Change the jobs among these whose state allows it, in one transaction if possible."""
        if not ids:
            return [], []
        try:
            params: dict[str, Any] = {"ids": list(ids), "as_of": as_of, "hold": HOLD.total_seconds()}
            params |= self._queues.parameters()
            rows = await self._database.rows(name, params)
        except psycopg.errors.UniqueViolation:
            if len(ids) == 1:
                return [], [Refusal(id=ids[0], reason="Another job with the same unique key is unfinished.")]
            # one of them conflicts and rolls back the whole transaction: find it by bisection
            middle = len(ids) // 2
            jobs, refused = await self._change(name, ids[:middle], as_of)
            more_jobs, more_refused = await self._change(name, ids[middle:], as_of)
            return jobs + more_jobs, refused + more_refused
        changed = {row["id"]: QueuedJob.from_row(row) for row in rows}
        return list(changed.values()), await self._reasons([key for key in ids if key not in changed])

    async def _reasons(self, ids: Sequence[JobKey]) -> list[Refusal]:
        if not ids:
            return []
        rows = {row["id"]: row for row in await self._database.rows("standing", {"ids": list(ids)})}
        return [Refusal(id=key, reason=_reason(rows.get(key))) for key in ids]


def _is_owed(job: QueuedJob) -> bool:
    """Whether the job is waiting for its message now."""
    return job.status is JobStatus.PENDING and not job.is_held


def _reason(row: Row | None) -> str:
    if row is None:
        return "The job has been deleted."
    if row["cancel_requested"] and row["status"] == JobStatus.RUNNING:
        return "The job has already been asked to stop."
    return f"The job is now {row['status']}."
