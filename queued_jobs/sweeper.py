"""Keeps the promise when messages or workers are lost: the timer's duties."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from queued_jobs import telemetry
from queued_jobs.announcements import announce
from queued_jobs.dispatch import Dispatcher
from queued_jobs.errors import InvalidResult
from queued_jobs.model import JobKey, QueuedJob
from queued_jobs.notifier import Notifier
from queued_jobs.queues import Queues
from queued_jobs.repository import Repository
from queued_jobs.runner import JobRunner
from queued_jobs.succession import wake_successors

logger = logging.getLogger(__name__)

#: Of what piles up while the sweeper or a queue is away, one run takes so many batches.
_MOST_BATCHES = 20
#: A storage that hangs must not keep the next sweep from rescuing and sending.
_EXPIRY_TIME = 30.0
#: From here on a wait is worth a word in the log.
_LONG_WAIT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """How many jobs each duty touched."""

    rescued: int
    resent: int
    sent: int
    pruned: int
    tallied: int = 0
    expired: int = 0
    followed_up: int = 0


class Sweeper:
    """Call `run_once` from a timer. Two at the same time share the work: each takes rows that nobody else holds.

    Parameters
    ----------
    limit
        The most jobs that one statement touches. Sending and counting go through up to twenty such batches in one run.
    keep
        How long an ended job stays in the database, unless its kind says otherwise.
    runners
        The kinds whose `keep`, `keep_result` and `on_result_expired` are to be heeded.
    """

    def __init__(
        self,
        repository: Repository,
        queues: Queues,
        notifier: Notifier,
        *,
        limit: int = 500,
        keep: timedelta = timedelta(days=30),
        runners: Iterable[JobRunner[Any, Any]] = (),
    ) -> None:
        self._repository = repository
        self._queues = queues
        self._notifier = notifier
        self._limit = limit
        self._keep = keep
        self._runners = {runner.kind: runner for runner in runners}
        # told as empty when they are, also where nobody waits any more
        self._queues_seen = {queue for runner in self._runners.values() for queue in runner.queues_of_kind()}

    async def run_once(self) -> SweepReport:
        """Rescue jobs of lost workers, send what is owed, keep the statistics, drop results and jobs that are old.

        Raises `StoreUnavailable` if Postgres does not answer; the next run makes up for it. A crash in between leaves
        nothing half done.
        """
        rescued = await self._repository.rescue(limit=self._limit)
        for job in rescued:
            logger.warning("job %s (%s) attempt %d was rescued: %s", job.id, job.kind, job.attempt, job.status)
        followed_up = await self._repository.follow_ups(limit=self._limit)
        resent = await self._repository.resend_silent(limit=self._limit)
        dispatcher = Dispatcher(self._repository, self._queues)
        # side by side, so that a worker's own push seldom comes first, and pushes that take long delay no job
        sent, _ = await asyncio.gather(self._send(dispatcher), self._tell([*rescued, *followed_up]))
        await wake_successors(*rescued, dispatcher=dispatcher, notifier=self._notifier)
        await self._measure()
        tallied = await self._tally()  # before the pruning, so that no job goes uncounted
        expired = await self._expire()
        keep = {kind: runner.keep for kind, runner in self._runners.items() if runner.keep is not None}
        pruned = await self._repository.prune(older_than=self._keep, kinds=keep, limit=self._limit)
        report = SweepReport(
            rescued=len(rescued),
            resent=resent,
            sent=sent,
            pruned=pruned,
            tallied=tallied,
            expired=expired,
            followed_up=len(followed_up),
        )
        if report != SweepReport(rescued=0, resent=0, sent=0, pruned=0):
            logger.info("%s", report)
        return report

    async def _send(self, dispatcher: Dispatcher) -> int:
        """Send what is owed. What a queue that is away does not take keeps none waiting that is for another."""
        sent = 0
        for _ in range(_MOST_BATCHES):
            due = await self._repository.unsent(limit=self._limit)
            sent += len(await dispatcher.send(due))
            if len(due) < self._limit:
                break
        return sent

    async def _tell(self, changed: Sequence[QueuedJob]) -> None:
        if changed:
            await announce(self._notifier, *changed)

    async def _measure(self) -> None:
        """Record how long the queues keep their jobs waiting, and say so where it is long."""
        ages = await self._repository.queue_ages()
        for queue in {*self._queues_seen, *ages}:
            age = ages.get(queue, timedelta())
            telemetry.queue_age(queue, age)
            if age >= _LONG_WAIT:
                logger.warning("queue %s: its oldest job has waited for %d s", queue, age.total_seconds())
        self._queues_seen |= ages.keys()

    async def _expire(self) -> int:
        """Drop results that are old, after what they refer to."""
        keep = {
            kind: min(times)
            for kind, runner in self._runners.items()
            if (times := [time for time in (runner.keep_result, runner.keep or self._keep) if time is not None])
        }
        due = await self._repository.expiring(older_than=self._keep, kinds=keep, limit=self._limit)
        removed: list[JobKey] = []
        try:
            async with asyncio.timeout(_EXPIRY_TIME):
                for job in due:
                    if await self._remove_what_it_refers_to(job):
                        removed.append(job.id)
        except TimeoutError:
            late = len(due) - len(removed)
            logger.warning("%d of %d old results were not removed in time, so they are tried later", late, len(due))
        if not removed:
            return 0
        expired = await self._repository.expire(removed)
        await announce(self._notifier, *expired)
        return len(expired)

    async def _remove_what_it_refers_to(self, job: QueuedJob) -> bool:
        runner = self._runners.get(job.kind)
        if runner is None or runner.result_type is None:
            return True
        try:
            await runner.on_result_expired(job, runner.read_result(job))
        except InvalidResult as exc:
            # it never will be of this type again, so its own leftovers have to expire by themselves
            logger.warning("job %s (%s): its old result is of another shape: %s", job.id, job.kind, exc)
            return True
        except Exception:
            # a storage account that is away must not keep other results from expiring
            logger.exception("job %s (%s): its old result could not be removed, so it is tried later", job.id, job.kind)
            return False
        return True

    async def _tally(self) -> int:
        """Count what has ended since, in several batches if it is much, as after a time without a sweeper."""
        tallied = 0
        for _ in range(_MOST_BATCHES):
            batch = await self._repository.tally(limit=self._limit)
            tallied += batch
            if batch < self._limit:
                break
        return tallied
