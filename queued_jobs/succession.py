"""Wakes what waits for other jobs: the next in line for a concurrency key, and the follow-up of a batch."""

from __future__ import annotations

import logging
from datetime import timedelta

from queued_jobs.announcements import announce
from queued_jobs.dispatch import Dispatcher
from queued_jobs.errors import StoreUnavailable
from queued_jobs.message import Due, JobMessage
from queued_jobs.model import QueuedJob
from queued_jobs.notifier import Notifier

logger = logging.getLogger(__name__)


async def wake_successors(*jobs: QueuedJob, dispatcher: Dispatcher, notifier: Notifier) -> list[QueuedJob]:
    """Wake the jobs that may run because these have ended or given up their places, and return them.

    Never raises for a store, a queue or a hub that is away, and a crash before the end loses nothing: the sweeper lets
    follow-ups run, and those in line are sent again after half a minute and more.
    """
    waited_for = {(job.kind, job.concurrency_key, job.batch_id): job for job in jobs}
    woken: dict[object, QueuedJob] = {}
    try:
        for job in waited_for.values():
            if job.concurrency_key is not None or job.batch_id is not None:
                woken |= {next_job.id: next_job for next_job in await dispatcher.repository.wake_next(job)}
    except StoreUnavailable as exc:
        logger.warning("what waits for %d jobs is woken later: %s", len(jobs), exc)
    found = list(woken.values())
    if found:
        due = [Due(message=JobMessage.of(job), queue=job.queue, delay=timedelta()) for job in found]
        await dispatcher.send(due)
        await announce(notifier, *found)
    return found
