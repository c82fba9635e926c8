"""Starts the jobs of kinds with a schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from queued_jobs.backend import Backend
from queued_jobs.enqueue import queue_job
from queued_jobs.handle import JobHandle
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.runner import JobRunner

#: How early a timer may fire and still count for the next occurrence.
_EARLY = timedelta(seconds=5)


async def queue_due[Request: BaseModel, Result: BaseModel | None](
    backend: Backend,
    runner: type[JobRunner[Request, Result]],
    *,
    now: datetime | None = None,
) -> JobHandle[Result]:
    """See `QueueManager.queue_due`."""
    if runner.schedule is None:
        raise ValueError(f"{runner.kind} has no schedule.")
    schedule = Ncrontab(runner.schedule)
    now = now or datetime.now(UTC)
    ahead = schedule.next(now)
    due = ahead if ahead - now <= _EARLY else schedule.latest(now)
    return await queue_job(
        backend,
        runner,
        runner.scheduled_request(due),
        user_id=runner.schedule_user,
        idempotency_key=f"schedule:{due.isoformat()}",
    )
