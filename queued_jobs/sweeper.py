"""Recovers from lost messages and lost workers, and removes old data: the duties of the timer."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any

from queued_jobs import telemetry
from queued_jobs._arguments import check_page, check_span
from queued_jobs.announcements import announce
from queued_jobs.backend import Backend
from queued_jobs.duties import Batch, Duty, Rounds, running_by_itself
from queued_jobs.expiry import Expiry
from queued_jobs.kind_queues import KindQueues
from queued_jobs.periodic import Occurrences
from queued_jobs.repository import HOLD, Line
from queued_jobs.runner import JobRunner

logger = logging.getLogger(__name__)

#: Seconds for which a slow queue may delay a round.
_PATIENCE = 8.0
#: A run looks for lost workers this often, whatever else it does.
_RESCUE_EVERY = timedelta(seconds=3)
#: Waits of at least this long are logged as warnings.
_LONG_WAIT = timedelta(minutes=5)
MAX_KEPT, MAX_SWEEP = timedelta(days=36_500), timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """How many jobs each duty processed.

    Attributes
    ----------
    behind
        The duties that ran out of time.
    """

    rescued: int
    resent: int
    sent: int
    pruned: int
    tallied: int = 0
    expired: int = 0
    followed_up: int = 0
    woken: int = 0
    resumed: int = 0
    scheduled: int = 0
    ended: int = 0
    behind: tuple[str, ...] = ()


class Sweeper:
    """Call `run_once` from a timer. Concurrent sweepers share the work: each takes rows that no other one holds.

    Parameters
    ----------
    limit
        Maximum number of jobs per statement.
    time
        Maximum duration of a run; choose it a little shorter than the timer's interval. Meanwhile it looks for lost
        workers every few seconds.
    keep
        How long an ended job stays in the database, unless its kind declares `keep`.
    runners
        The kinds whose `concurrency`, `keep`, `keep_result`, `schedule` and `on_result_expired` apply. Jobs of other
        kinds are ended if no worker has known them for a day.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        limit: int = 500,
        time: timedelta = timedelta(seconds=40),
        keep: timedelta = timedelta(days=30),
        runners: Iterable[JobRunner[Any, Any]] = (),
    ) -> None:
        self._backend = backend
        self._repository = backend.repository
        self._notifier = backend.notifier
        check_page(limit)
        check_span("time", time, least=timedelta(), most=MAX_SWEEP)
        check_span("keep", keep, least=timedelta(), most=MAX_KEPT)
        self._limit = limit
        self._time = time
        self._keep = keep
        self._runners = {runner.kind: runner for runner in runners}
        self._occurrences = Occurrences(backend, map(type, self._runners.values()))
        self._kind_queues = KindQueues({kind: runner.queues_of_kind() for kind, runner in self._runners.items()})
        self._line: Line | None = None
        # remembered to report a queue as empty when jobs no longer wait there
        self._queues_seen = {queue for runner in self._runners.values() for queue in runner.queues_of_kind()}

    async def run_once(self) -> SweepReport:
        """Rescue jobs of lost workers, wake waiting jobs, send messages, update statistics, delete old data.

        The duties take turns, so a duty that fails, or has more to do than there is time for, does not delay the
        others. Duties that ran out of time are named in the report, in the log and in the telemetry. An error of a
        duty, such as `StoreUnavailable`, is raised after the others have run; the next run catches up. A crash in
        between leaves nothing half done.
        """
        dispatcher = self._backend.dispatcher()
        expiry = Expiry(self._repository, self._notifier, self._runners, keep=self._keep, limit=self._limit)

        async def send() -> Batch:
            dispatcher.patience = _PATIENCE
            asked_at = monotonic()
            due = await self._repository.unsent(limit=self._limit, queues=self._kind_queues)
            reserved_for = HOLD - timedelta(seconds=monotonic() - asked_at)
            sent = await dispatcher.send(due, reserved_for=reserved_for)
            return Batch(done=len(sent), more=len(due) >= self._limit)

        sending = Duty("send", send)
        rescue = Duty("rescue", self._rescue, feeds=sending)
        follow_up = Duty("follow up", self._follow_up, feeds=sending)
        wake = Duty("wake lines", self._wake_lines, feeds=sending)
        resume = Duty("resume", self._resume, feeds=sending)
        scheduled = Duty("start scheduled", self._occurrences.step)
        resend = Duty("resend", self._resend, feeds=sending)
        # tallied before pruning, so that every job is counted
        tally, expire, prune = Duty("tally", self._tally), Duty("expire", expiry.step), Duty("prune", self._prune)
        rest = [Duty("measure", self._measure), tally, expire, prune]
        unknown = Duty("end unknown", self._end_unknown)
        rest += [unknown, Duty("prune notes", self._prune_notes), Duty("fold statistics", self._fold)]
        urgent = [follow_up, wake, resume, scheduled, resend]
        duties = [rescue, *urgent, sending, *rest]
        try:
            async with running_by_itself(rescue, every=_RESCUE_EVERY):
                await Rounds(urgent=urgent, beside=sending, rest=rest, by_itself=rescue).run(self._time)
                behind = tuple(duty.name for duty in duties if duty.more)
                expire.done += await expiry.finish()
            if rescue.error is not None:
                raise rescue.error
        finally:
            expiry.cancel()
        report = SweepReport(
            rescued=rescue.done,
            resent=resend.done,
            sent=sending.done,
            pruned=prune.done,
            tallied=tally.done,
            expired=expire.done,
            followed_up=follow_up.done,
            woken=wake.done,
            resumed=resume.done,
            scheduled=scheduled.done,
            ended=unknown.done,
            behind=behind,
        )
        if report != SweepReport(rescued=0, resent=0, sent=0, pruned=0):
            logger.info("%s", report)
        telemetry.swept([duty.name for duty in duties], behind)
        if behind:
            logger.warning(
                "these duties did not finish within the %g s sweep: %s; sweep more often or allow more time per sweep",
                self._time.total_seconds(),
                ", ".join(behind),
            )
        return report

    async def _rescue(self) -> Batch:
        rescued = await self._repository.rescue(limit=self._limit)
        for job in rescued:
            logger.warning("job %s (%s) attempt %d was rescued: %s", job.id, job.kind, job.attempt, job.status)
        # before they are sent, so that a worker's own push rarely comes first
        await announce(self._notifier, *rescued)
        return Batch.of(len(rescued), self._limit)

    async def _follow_up(self) -> Batch:
        followed_up = await self._repository.follow_ups(limit=self._limit)
        await announce(self._notifier, *followed_up)
        return Batch.of(len(followed_up), self._limit)

    async def _wake_lines(self) -> Batch:
        """Check the lines, from where the last sweep stopped."""
        max_concurrent = {kind: runner.concurrency for kind, runner in self._runners.items()}
        seen = await self._repository.wake_lines(max_concurrent=max_concurrent, after=self._line, limit=self._limit)
        self._line = seen.last
        return Batch(done=seen.woken, more=seen.last is not None)

    async def _resume(self) -> Batch:
        """Send the jobs of kinds that are no longer paused."""
        resumed = await self._repository.wake_paused(limit=self._limit)
        await announce(self._notifier, *resumed)
        return Batch.of(len(resumed), self._limit)

    async def _end_unknown(self) -> Batch:
        """End the jobs of kinds that were removed; a sweeper without kinds cannot know which."""
        if not self._runners:
            return Batch(done=0, more=False)
        ended = await self._repository.end_unknown(self._runners, limit=self._limit)
        for job in ended:
            logger.warning("job %s: no worker knew its kind %s for a day, so it was aborted", job.id, job.kind)
        await announce(self._notifier, *ended)
        return Batch.of(len(ended), self._limit)

    async def _resend(self) -> Batch:
        return Batch.of(await self._repository.resend_silent(limit=self._limit), self._limit)

    async def _measure(self) -> Batch:
        """Record how long jobs wait on each queue, and log long waits."""
        ages = await self._repository.queue_ages()
        for queue in {*self._queues_seen, *ages}:
            age = ages.get(queue, timedelta())
            telemetry.queue_age(queue, age)
            if age >= _LONG_WAIT:
                logger.warning("queue %s: its oldest job has waited for %d s", queue, age.total_seconds())
        self._queues_seen |= ages.keys()
        return Batch(done=0, more=False)

    async def _tally(self) -> Batch:
        tallied = await self._repository.tally(limit=self._limit)
        return Batch(done=tallied.attempts, more=tallied.more)

    async def _fold(self) -> Batch:
        return Batch.of(await self._repository.fold_tallies(limit=self._limit), self._limit)

    async def _prune(self) -> Batch:
        keep = {kind: runner.keep for kind, runner in self._runners.items() if runner.keep is not None}
        pruned = await self._repository.prune(older_than=self._keep, kinds=keep, limit=self._limit)
        return Batch(done=pruned, more=pruned > 0)  # a batch may be small because of its jobs' output

    async def _prune_notes(self) -> Batch:
        return Batch.of(await self._repository.prune_notes(older_than=self._keep, limit=self._limit), self._limit)
