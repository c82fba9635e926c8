"""Gets a stored job's message onto its queue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from queued_jobs.errors import SendFailed, StoreUnavailable
from queued_jobs.message import Due, JobMessage
from queued_jobs.queues import MAX_DELAY, Queues
from queued_jobs.repository import Repository

logger = logging.getLogger(__name__)

_CONCURRENT_SENDS = 8


async def dispatch(due: Sequence[Due], *, repository: Repository, queues: Queues) -> int:
    """Send these messages, and mark in one statement those that were sent. Returns how many.

    Never raises for a queue or a database that is away: what was not sent, or not marked, the sweeper sends (again).
    Messages that are due later than the queue should hide them are left to the sweeper too.
    """
    slots = asyncio.Semaphore(_CONCURRENT_SENDS)

    async def send(one: Due) -> JobMessage | None:
        async with slots:
            try:
                await queues.send(one.queue, one.message, delay=one.delay)
            except SendFailed as exc:
                logger.warning("job %s stays unsent for now: %s", one.message.id, exc)
                return None
            return one.message

    near = [one for one in due if one.delay <= MAX_DELAY]
    sent = [message for message in await asyncio.gather(*map(send, near)) if message is not None]
    if sent:
        try:
            await repository.mark_sent(sent)
        except StoreUnavailable as exc:
            logger.warning("%d messages were sent but not marked, so they will be sent again: %s", len(sent), exc)
    return len(sent)
