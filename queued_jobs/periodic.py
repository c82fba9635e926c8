"""Starts the jobs of kinds that have a schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from queued_jobs.enqueue import JobHandle, queue_job
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.notifier import Notifier
from queued_jobs.queues import Queues
from queued_jobs.repository import Repository
from queued_jobs.runner import JobRunner

#: How much too early a timer may fire and still mean the occurrence ahead.
_EARLY = timedelta(seconds=5)


async def queue_due[Request: BaseModel, Result: BaseModel | None](
    runner: type[JobRunner[Request, Result]],
    *,
    repository: Repository,
    queues: Queues,
    notifier: Notifier | None = None,
    now: datetime | None = None,
) -> JobHandle[Result]:
    """Queue the job of the occurrence that is due now. Call it from a timer with the runner's own schedule.

    However often a timer fires for one occurrence, on however many machines, there is one job for it: its idempotency
    key is the due time. A timer that comes late starts the job of the last occurrence before. Raises `ValueError` for a
    runner without a schedule.
    """
    if runner.schedule is None:
        raise ValueError(f"{runner.kind} has no schedule.")
    schedule = Ncrontab(runner.schedule)
    now = now or datetime.now(UTC)
    ahead = schedule.next(now)
    due = ahead if ahead - now <= _EARLY else schedule.latest(now)
    return await queue_job(
        runner,
        runner.scheduled_request(due),
        user_id=runner.schedule_user,
        repository=repository,
        queues=queues,
        notifier=notifier,
        idempotency_key=f"schedule:{due.isoformat()}",
    )
