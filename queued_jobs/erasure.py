"""Erases what is stored for one user: jobs with their requests, results, errors and output, and data of results."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any

from queued_jobs._arguments import check_span, check_user
from queued_jobs._upkeep import MAX_CHUNKS
from queued_jobs.dashboard.search import JobCount, JobQuery
from queued_jobs.errors import JobConflict
from queued_jobs.expiry import Expiry
from queued_jobs.hooks import HookCancelled, HookTooLate, call_hook_in_time
from queued_jobs.model import QueuedJob
from queued_jobs.notifier import Notifier
from queued_jobs.postgres import PostgresRepository
from queued_jobs.runner import JobRunner
from queued_jobs.tracker import JobTracker

logger = logging.getLogger(__name__)

_BATCH = 200
#: Of the time that a call of `erase` may take.
MAX_ERASE = timedelta(days=1)
#: Time limit of `on_erase`.
HOOK_TIME = timedelta(minutes=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What one call has erased.

    Attributes
    ----------
    stopped
        How many unfinished jobs were cancelled, or asked to stop.
    jobs
        How many jobs were deleted, those that were just cancelled among them.
    left
        The user's jobs that are still stored: running ones, which were asked to stop, those whose data could not be
        removed, and those for which there was no time.
    """

    stopped: int
    jobs: int
    left: JobCount

    @property
    def complete(self) -> bool:
        return self.left.exact and self.left.number == 0


class Erasure:
    """Forgets a user, for operators.

    Not erased: statistics, which name no user; the records of the audit, which hold ids; and logs. Nothing keeps the
    user from starting jobs again, so take away the right to sign in first.

    Parameters
    ----------
    runners
        The kinds whose `on_result_expired` removes the data of a result, by name.
    on_erase
        Removes what the application itself stores for a user id, such as uploads: `async def`, or a plain `def`, which
        runs in a thread. May be called again. If it takes longer than three minutes, or raises a cancellation that was
        not requested, `erase` raises `JobConflict`.
    """

    def __init__(
        self,
        repository: PostgresRepository,
        tracker: JobTracker,
        notifier: Notifier,
        runners: Mapping[str, JobRunner[Any, Any]],
        on_erase: Callable[[str], object] | None = None,
    ) -> None:
        self._repository = repository
        self._tracker = tracker
        self._notifier = notifier
        self._runners = runners
        self._on_erase = on_erase

    async def count(self, user_id: str) -> JobCount:
        """Count the jobs that `erase` would delete. Changes nothing."""
        check_user(user_id)  # None would be all users
        return await self._tracker.count(JobQuery(user_id=user_id))

    async def erase(self, user_id: str, *, within: timedelta = timedelta(seconds=10)) -> Erased:
        """Cancel the user's unfinished jobs, remove the data of the results, and delete the ended jobs.

        Begins no further batch after `within`. Call it again until it is `complete`: after a crash or an error too,
        since each call does what is left. Data that a hook could not remove is tried again a minute later. An error of
        `on_erase` is raised before any job is deleted.
        """
        check_user(user_id)
        check_span("within", within, least=timedelta(), most=MAX_ERASE)
        ends_at = monotonic() + within.total_seconds()
        stopped = await self._cancel(user_id, ends_at)
        if self._on_erase is not None:
            try:
                await call_hook_in_time(self._on_erase, user_id, within=HOOK_TIME)
            except (HookCancelled, HookTooLate) as exc:
                raise JobConflict(f"on_erase {exc}, so no job was deleted; call it again.") from exc
        await self._drop_results(user_id, ends_at)
        # so that the statistics have what is deleted
        while (await self._repository.tally(limit=_BATCH)).attempts and monotonic() < ends_at:
            pass
        deleted = 0
        while True:
            params = {"user_id": user_id, "n": _BATCH, "max_chunks": MAX_CHUNKS}
            batch = len(await self._repository.database.rows("erase", params))
            deleted += batch
            if not batch or monotonic() >= ends_at:
                break
        erased = Erased(stopped=stopped, jobs=deleted, left=await self.count(user_id))
        logger.info("a user is erased: %d jobs deleted, %d left", deleted, erased.left.number)
        return erased

    async def _cancel(self, user_id: str, ends_at: float) -> int:
        query, place, stopped = JobQuery(user_id=user_id).cancellable(), None, 0
        while monotonic() < ends_at:
            report = await self._tracker.cancel_all(query, before=place)
            stopped, place = stopped + report.changed, report.next
            if place is None:
                break
        return stopped

    async def _drop_results(self, user_id: str, ends_at: float) -> None:
        async def take(limit: int) -> list[QueuedJob]:
            rows = await self._repository.database.rows("erasing", {"user_id": user_id, "n": limit})
            return [QueuedJob.from_row(row) for row in rows]

        expiry = Expiry(self._repository, self._notifier, self._runners, take=take, limit=_BATCH)
        try:
            while (await expiry.step()).more and monotonic() < ends_at:
                pass
            await asyncio.wait_for(expiry.finish(), max(1.0, ends_at - monotonic()))
        except TimeoutError:
            logger.warning("the data of some results could not be removed in time")
        finally:
            expiry.cancel()
