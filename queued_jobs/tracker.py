"""The read side of jobs, and the actions of users and admins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection

from queued_jobs._arguments import check_key, check_keys, check_moment, check_page, check_type, check_whole
from queued_jobs.announcements import announce, announce_removed
from queued_jobs.backend import Backend
from queued_jobs.chunks import StreamPage
from queued_jobs.dashboard.bulk import BulkActions, BulkReport
from queued_jobs.dashboard.failures import Failures, read_failures
from queued_jobs.dashboard.labels import read_labels
from queued_jobs.dashboard.search import START, JobCount, JobQuery, JobSummary, Page, count_jobs, find_jobs
from queued_jobs.dashboard.search import Cursor as Cursor
from queued_jobs.dashboard.stats import Stats, read_stats
from queued_jobs.dashboard.status_counts import StatusCount, count_statuses
from queued_jobs.dashboard.workers import Workers, read_workers
from queued_jobs.database import Database, Row
from queued_jobs.dispatch import wake_successors
from queued_jobs.errors import JobConflict, JobNotFound
from queued_jobs.message import Reserved
from queued_jobs.model import Attempt, Changed, JobKey, JobStatus, QueuedJob
from queued_jobs.registry import JobRegistry
from queued_jobs.repository import HOLD

#: How many restored jobs are in memory at once, with their requests and results.
_AT_ONCE = 500
#: Bytes of what a job has emitted, in one page.
_MAX_PAGE = 1024 * 1024
#: Of a chunk: the largest of the database's numbers.
_MAX_NUMBER = 2**63 - 1


class _AnyUser:
    """The admin's view over all users' jobs."""

    def __repr__(self) -> str:
        return "ANY_USER"


#: Pass it as the user if the caller is an admin, who may access any owner's job.
ANY_USER: Final = _AnyUser()


@dataclass(frozen=True, slots=True, kw_only=True)
class BellPage:
    """The content of a user's bell, as one consistent snapshot.

    Attributes
    ----------
    jobs
        Uncleared jobs, newest first.
    more
        Whether there are older jobs.
    unseen, running
        Counts over all of the user's uncleared jobs: ended but unseen; unfinished.
    now
        The database's clock.
    """

    jobs: tuple[QueuedJob, ...]
    more: bool
    unseen: int
    running: int
    now: datetime


class JobTracker:
    """Serves the user's bell and the admin's dashboard.

    Each statement checks the owner: another user's job raises `JobNotFound`. `search` and the methods after it are for
    admins only and cover the jobs of all users. Each action pushes its changes after the commit. A page has at most
    10,000 rows: a `limit` beyond that, or less than 1, raises ValueError.
    """

    def __init__(self, database: Database, backend: Backend, registry: JobRegistry) -> None:
        self._database = database
        self._backend = backend
        self._notifier = backend.notifier
        self._registry = registry
        self._queues = registry.kind_queues
        self._bulk = BulkActions(database, backend, self._queues)

    async def get(self, job_id: JobKey, *, user_id: str | _AnyUser) -> QueuedJob:
        """Return one job. Raises `JobNotFound` if it does not exist or belongs to another user."""
        row = await self._database.row("get", self._whose(job_id, user_id))
        if row is None:
            raise JobNotFound
        return QueuedJob.from_row(row)

    async def attempts(self, job_id: JobKey, *, user_id: str | _AnyUser) -> list[Attempt]:
        """Return the attempts of a job, oldest first; empty for another user's job."""
        return [Attempt.from_row(row) for row in await self._database.rows("attempts", self._whose(job_id, user_id))]

    async def stream(
        self, job_id: JobKey, *, user_id: str | _AnyUser, topic: str | None = None, after: int = 0, limit: int = 500
    ) -> StreamPage:
        """Return what a job has emitted after the chunk with this number, of one topic or of all, oldest first.

        At most `limit` chunks, and about 1 MiB. Raises `JobNotFound` as `get` does.
        """
        check_page(limit)
        if topic is not None:
            check_type("topic", topic, str)
        check_whole("after", after, least=-_MAX_NUMBER - 1, most=_MAX_NUMBER)
        params = {"topic": topic, "after": after, "n": limit, "max_size": _MAX_PAGE}
        rows = await self._database.rows("stream", self._whose(job_id, user_id) | params)
        if not rows:
            raise JobNotFound
        return StreamPage.from_rows(rows, after=after)

    async def for_user(self, user_id: str, *, before: Cursor | None = None, limit: int = 50) -> BellPage:
        """Return a page of the user's uncleared jobs, newest first, older than `before`."""
        check_type("user_id", user_id, str)
        check_page(limit)
        if before is not None:
            check_type("before", before, Cursor)
            check_key("before", before.id, self._database.tables.key_type)
        rows = await self._database.rows(
            "bell",
            {
                "user_id": user_id,
                "before_created": before.created_at if before else START,
                "before_id": before.id if before else self._database.tables.last_key,
                "limit": limit + 1,
            },
        )
        jobs = [QueuedJob.from_row(row) for row in rows if row["id"] is not None]
        return BellPage(
            jobs=tuple(jobs[:limit]),
            more=len(jobs) > limit,
            unseen=rows[0]["bell_unseen"],
            running=rows[0]["bell_running"],
            now=rows[0]["bell_now"],
        )

    async def mark_seen(self, user_id: str, ids: Sequence[JobKey]) -> list[Changed]:
        """Mark ended jobs as seen. Skips jobs of other users, unfinished jobs and jobs that were seen before."""
        check_type("user_id", user_id, str)
        check_keys("ids", ids, self._database.tables.key_type)
        return await self._shown("mark_seen", {"user_id": user_id, "ids": list(ids)})

    async def clear(self, user_id: str, job_id: JobKey) -> None:
        """Remove an ended job from the bell; idempotent. Raises `JobConflict` if it has not ended."""
        check_type("user_id", user_id, str)
        check_key("job_id", job_id, self._database.tables.key_type)
        rows = await self._database.rows("clear", {"user_id": user_id, "ids": [job_id]})
        if not rows and not (await self.get(job_id, user_id=user_id)).status.is_final:
            raise JobConflict("The job has not ended; cancel it first, or wait.")
        await self._removed(user_id, rows)

    async def clear_finished(self, user_id: str) -> tuple[list[Changed], datetime]:
        """Remove all ended jobs from the bell. Returns them, and the time to pass to `undo_clear`."""
        check_type("user_id", user_id, str)
        rows = await self._database.rows("clear_finished", {"user_id": user_id})
        if not rows:
            return [], (await self._database.rows("now", {}))[0]["now"]
        return await self._removed(user_id, rows), rows[0]["cleared_at"]

    async def undo_clear(self, user_id: str, ids: Sequence[JobKey] | None, *, since: datetime) -> list[Changed]:
        """Restore the jobs among these that were cleared at `since` or later; None: all cleared exactly then.

        A crash may leave a part of them restored; the same call restores the rest.
        """
        check_type("user_id", user_id, str)
        check_moment("since", since)
        if ids is None:
            rows = await self._database.rows("cleared_at", {"user_id": user_id, "since": since})
            ids = [row["id"] for row in rows]
        check_keys("ids", ids, self._database.tables.key_type)
        restored: list[Changed] = []
        for some in batched(ids, _AT_ONCE, strict=False):
            restored += await self._shown("undo_clear", {"user_id": user_id, "ids": list(some), "since": since})
        return restored

    async def cancel(self, job_id: JobKey, *, user_id: str | _AnyUser) -> QueuedJob:
        """Cancel a waiting job now; ask a running one to stop at its next checkpoint, if it has one.

        Idempotent. Raises `JobConflict` if the job has ended.
        """
        row = await self._database.row("cancel", self._whose(job_id, user_id))
        if row is None:
            job = await self.get(job_id, user_id=user_id)
            if job.status.is_final:
                raise JobConflict(f"The job has already ended: it is {job.status}.")
            return job
        job = QueuedJob.from_row(row)
        await announce(self._notifier, job)
        if job.status.is_final:
            await wake_successors(job, dispatcher=self._backend.dispatcher(), notifier=self._notifier)
        return job

    async def retry(
        self,
        job_id: JobKey,
        *,
        user_id: str | _AnyUser,
        from_start: bool = False,
        transaction: AbstractAsyncContextManager[AsyncConnection[Any] | None] | None = None,
    ) -> QueuedJob:
        """Run a failed, aborted or cancelled job again, with all its attempts; its history stays.

        It resumes at what it has saved, see `JobContext.save`; with `from_start` that is deleted. If the queue of its
        kind was renamed, the job moves to the new queue. `transaction` is entered for the change, and committed before
        any push: for conditions that must hold at that moment, such as a quota. Raises `JobConflict` in any other
        state, or if another job has taken its unique key.
        """
        try:
            async with transaction or nullcontext() as conn:
                params = self._whose(job_id, user_id) | self._queues.parameters()
                params |= {"hold": HOLD.total_seconds(), "from_start": from_start}
                row = await self._database.row("requeue", params, conn=conn)
        except psycopg.errors.UniqueViolation as exc:
            raise JobConflict("Another job with the same unique key is unfinished.") from exc
        if row is None:
            status = (await self.get(job_id, user_id=user_id)).status
            raise JobConflict(f"Only failed, aborted and cancelled jobs can be retried; this one is {status}.")
        job = QueuedJob.from_row(row)
        if not job.is_held:
            await self._backend.dispatcher().send([Reserved.of(job)])
        await announce(self._notifier, job)
        return job

    async def search(
        self, query: JobQuery, *, before: Cursor | None = None, limit: int = 50, traces: bool = True
    ) -> Page:
        """Return a page of matching jobs, newest first. `before` is the `Page.next` of the previous page.

        Pass `traces=False` for a caller who must not read tracebacks: then a text is not looked for in them either.
        """
        return await find_jobs(self._database, query, before=before, limit=limit, traces=traces)

    async def labels(self, jobs: Sequence[JobSummary]) -> Mapping[JobKey, str]:
        """Return the label of each of these jobs, as its owner sees it, made in a thread from the request.

        It is the kind for a job that is gone, and for a request that takes more than 1 MiB in the database.
        """
        return await read_labels(self._database, self._registry, jobs)

    async def count(self, query: JobQuery, *, traces: bool = True) -> JobCount:
        """Count the matching jobs, up to 10,000. `JobCount.exact` says whether the count is complete.

        To count the jobs that a bulk action would change, pass `query.retryable()` or `query.cancellable()`. `traces`
        is as in `search`.
        """
        return await count_jobs(self._database, query, traces=traces)

    async def count_statuses(self, query: JobQuery, *, traces: bool = True) -> Mapping[JobStatus, StatusCount]:
        """Count the jobs of each status that match the other filters, each up to 1,000. `traces` is as in `search`."""
        return await count_statuses(self._database, query, traces=traces)

    async def retry_all(
        self, query: JobQuery, *, as_of: datetime | None = None, before: Cursor | None = None, limit: int = 1_000
    ) -> BulkReport:
        """Run the matching failed, aborted and cancelled jobs again, as `retry` does; at most `limit` of them.

        Jobs that were created or ended at `as_of` or later are skipped (None: now). So no job is retried twice, however
        often and by however many admins the same action is requested.
        """
        return await self._bulk.retry(query, as_of=as_of, before=before, limit=limit)

    async def cancel_all(
        self, query: JobQuery, *, as_of: datetime | None = None, before: Cursor | None = None, limit: int = 1_000
    ) -> BulkReport:
        """Cancel the matching unfinished jobs, as `cancel` does; at most `limit` of them.

        Jobs that were created at `as_of` or later are skipped (None: now).
        """
        return await self._bulk.cancel(query, as_of=as_of, before=before, limit=limit)

    async def stats(self, *, window: timedelta, bucket: timedelta) -> Stats:
        """Count and measure the last `window`, in buckets that are aligned in UTC. Up to 500 buckets, of

        - minutes that divide a day, for windows of up to two days,
        - hours that divide a day, for up to seven days,
        - days, for up to 400 days.

        Raises `InvalidRequest` for others.
        """
        return await read_stats(self._database, window, bucket)

    async def failures(self, *, window: timedelta) -> Failures:
        """Group the jobs that failed in the last `window` (up to 400 days) by error."""
        return await read_failures(self._database, window)

    async def workers(self) -> Workers:
        """Return what workers run now, and until when their leases last."""
        return await read_workers(self._database)

    async def _shown(self, name: str, params: dict[str, Any]) -> list[Changed]:
        jobs = [QueuedJob.from_row(row) for row in await self._database.rows(name, params)]
        if jobs:
            await announce(self._notifier, *jobs)
        return [Changed(id=job.id, version=job.version) for job in jobs]

    async def _removed(self, user_id: str, rows: Sequence[Row]) -> list[Changed]:
        changes = [Changed(id=row["id"], version=row["version"]) for row in rows]
        if changes:
            await announce_removed(self._notifier, user_id, changes)
        return changes

    def _whose(self, job_id: JobKey, user_id: str | _AnyUser) -> dict[str, object]:
        check_key("job_id", job_id, self._database.tables.key_type)
        any_user = isinstance(user_id, _AnyUser)
        if not any_user:
            check_type("user_id", user_id, str)
        return {"id": job_id, "any_user": any_user, "user_id": None if any_user else user_id}
