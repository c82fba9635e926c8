"""Keeps the promise when messages or workers are lost: the timer's duties."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from queued_jobs.dispatch import dispatch
from queued_jobs.notifier import Notifier, announce
from queued_jobs.queues import Queues
from queued_jobs.repository import Repository

logger = logging.getLogger(__name__)

_MOST_TALLIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """How many jobs each duty touched."""

    rescued: int
    resent: int
    sent: int
    pruned: int
    tallied: int = 0


class Sweeper:
    """Call `run_once` from a timer. Two at the same time share the work: each takes rows that nobody else holds.

    Parameters
    ----------
    limit
        The most jobs that one duty touches in one run.
    keep
        How long an ended job stays in the database.
    """

    def __init__(
        self,
        repository: Repository,
        queues: Queues,
        notifier: Notifier,
        *,
        limit: int = 500,
        keep: timedelta = timedelta(days=30),
    ) -> None:
        self._repository = repository
        self._queues = queues
        self._notifier = notifier
        self._limit = limit
        self._keep = keep

    async def run_once(self) -> SweepReport:
        """Rescue jobs of lost workers, send what is owed, keep the statistics, and delete what is old.

        Raises `StoreUnavailable` if Postgres does not answer; the next run makes up for it. A crash in between leaves
        nothing half done.
        """
        rescued = await self._repository.rescue(limit=self._limit)
        for job in rescued:
            logger.warning("job %s (%s) attempt %d was rescued: %s", job.id, job.kind, job.attempt, job.status)
        resent = await self._repository.resend_silent(limit=self._limit)
        due = await self._repository.unsent(limit=self._limit)
        sent = await dispatch(due, repository=self._repository, queues=self._queues)
        if rescued:
            await announce(self._notifier.job_changed(*rescued), f"rescue of {len(rescued)} jobs")
        tallied = await self._tally()  # before the pruning, so that no job goes uncounted
        pruned = await self._repository.prune(older_than=self._keep, limit=self._limit)
        report = SweepReport(rescued=len(rescued), resent=resent, sent=sent, pruned=pruned, tallied=tallied)
        if report != SweepReport(rescued=0, resent=0, sent=0, pruned=0):
            logger.info("%s", report)
        return report

    async def _tally(self) -> int:
        """Count what has ended since, in several batches if it is much, as after a time without a sweeper."""
        tallied = 0
        for _ in range(_MOST_TALLIES):
            batch = await self._repository.tally(limit=self._limit)
            tallied += batch
            if batch < self._limit:
                break
        return tallied
