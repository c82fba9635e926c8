"""Starts the jobs of kinds with a schedule, by the database's clock."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from queued_jobs._own_code import call_contained
from queued_jobs.backend import Backend
from queued_jobs.duties import Batch
from queued_jobs.enqueue import check_runner, queue_job
from queued_jobs.errors import StoreUnavailable
from queued_jobs.handle import JobHandle
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.repository import OCCURRENCE
from queued_jobs.runner import JobRunner

logger = logging.getLogger(__name__)

#: How early a timer may fire and still count for the next occurrence.
_EARLY = timedelta(seconds=5)
#: Each missed occurrence is made up for during this time, but no more of a kind than these, the newest.
EACH_WITHIN, MAX_MISSED = timedelta(hours=1), 60
#: If there is none, the latest one is made up for during this time.
LATEST_WITHIN = timedelta(days=1)


async def queue_due[Request: BaseModel, Result: BaseModel | None](
    backend: Backend,
    runner: type[JobRunner[Request, Result]],
    *,
    now: datetime | None = None,
) -> JobHandle[Result]:
    """See `QueueManager.queue_due`."""
    check_runner(runner)
    schedule = _schedule_of(runner)
    # never this machine's clock, which may be wrong
    now = now or await backend.repository.now()
    ahead = schedule.next(now)
    return await start_occurrence(backend, runner, ahead if ahead - now <= _EARLY else schedule.latest(now))


def missed(schedule: Ncrontab, *, after: datetime, now: datetime) -> list[datetime]:
    """Return the occurrences after one time, up to another, that a sweeper makes up for, oldest first."""
    found = []
    due = schedule.next(max(after, now - EACH_WITHIN))
    while due <= now:
        found.append(due)
        due = schedule.next(due)
    if not found and (latest := schedule.latest(now)) > max(after, now - LATEST_WITHIN):
        found = [latest]
    return found[-MAX_MISSED:]


class Occurrences:
    """Starts the jobs of occurrences that no timer has started: a duty of the sweeper.

    An occurrence is missed if the app or the database was unavailable when it was due. Occurrences before the
    first job of the schedule, or before the first call if there is none, are skipped.
    """

    def __init__(self, backend: Backend, runners: Iterable[type[JobRunner[Any, Any]]]) -> None:
        self._backend = backend
        self._runners = [runner for runner in runners if runner.schedule is not None]
        #: Until when the occurrences of a kind have been started.
        self._until: dict[str, datetime] = {}

    async def step(self) -> Batch:
        if not self._runners:
            return Batch(done=0, more=False)
        now = await self._backend.repository.now()
        done = 0
        for runner in self._runners:
            try:
                done += await self._catch_up(runner, now)
            except StoreUnavailable:
                raise
            except Exception:
                logger.exception("%s: could not start its scheduled job", runner.kind)
        return Batch(done=done, more=False)

    async def _catch_up(self, runner: type[JobRunner[Any, Any]], now: datetime) -> int:
        until = self._until.get(runner.kind) or await last_occurrence(self._backend, runner) or now
        new = 0
        for due in missed(_schedule_of(runner), after=until, now=now):
            handle = await start_occurrence(self._backend, runner, due)
            new += not handle.duplicate
        self._until[runner.kind] = now
        return new


async def last_occurrence(backend: Backend, runner: type[JobRunner[Any, Any]]) -> datetime | None:
    """Return when the latest started job of a schedule was due; None if there is none."""
    key = await backend.repository.latest_key(kind=runner.kind, user_id=runner.schedule_user, prefix=OCCURRENCE)
    return None if key is None else datetime.fromisoformat(key.removeprefix(OCCURRENCE))


def _schedule_of(runner: type[JobRunner[Any, Any]]) -> Ncrontab:
    if runner.schedule is None:
        raise ValueError(f"{runner.kind} has no schedule.")
    return Ncrontab(runner.schedule)


async def start_occurrence[Request: BaseModel, Result: BaseModel | None](
    backend: Backend, runner: type[JobRunner[Request, Result]], due: datetime, *, key: str | None = None
) -> JobHandle[Result]:
    """Start the job of one occurrence, once; with another idempotency key, once for that key."""
    return await queue_job(
        backend,
        runner,
        call_contained(runner.scheduled_request, due),
        user_id=runner.schedule_user,
        idempotency_key=key or f"{OCCURRENCE}{due.isoformat()}",
    )
