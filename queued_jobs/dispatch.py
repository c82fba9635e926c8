"""Sends the messages of stored jobs to their queues, and wakes the jobs that waited for others."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from queued_jobs.announcements import announce
from queued_jobs.errors import SendFailed, StoreUnavailable
from queued_jobs.message import Due, JobMessage
from queued_jobs.model import QueuedJob
from queued_jobs.notifier import Notifier
from queued_jobs.queues import MAX_DELAY, QueueMissing, Queues
from queued_jobs.repository import Repository

logger = logging.getLogger(__name__)

_CONCURRENT_SENDS = 8
#: Consecutive failed sends after which a queue is skipped: as many as run concurrently.
_MAX_FAILURES = _CONCURRENT_SENDS
#: Seconds after which no further send is started: a queue may be slow without ever failing.
_PATIENCE = 30.0
#: Messages marked together. A crash in between causes at most this many to be sent again.
_CHUNK = 500


class Dispatcher:
    """Sends the messages of one action, in one batch or in several, and skips queues that do not respond.

    For any number of messages, a queue that hangs costs one send timeout, and a slow queue at most half a minute plus
    one timeout. Messages that were not sent are still due in their rows, so the sweeper sends them.

    Attributes
    ----------
    patience
        Seconds during which sends are started, in total.
    """

    def __init__(self, repository: Repository, queues: Queues) -> None:
        self.repository = repository
        self._queues = queues
        self._failures: Counter[str] = Counter()
        self.patience = _PATIENCE

    async def send(self, due: Sequence[Due]) -> frozenset[JobMessage]:
        """Send these messages, mark the messages that were sent, and return them.

        Never raises if a queue or the database is unavailable: the sweeper sends what was not sent, and sends again
        what was not marked. Messages due beyond the queue's maximum delay are left for the sweeper too.
        """
        near = [one for one in due if one.delay <= MAX_DELAY]
        clock = asyncio.get_running_loop().time
        until = clock() + self.patience
        sent: set[JobMessage] = set()
        tried = 0
        slots = asyncio.Semaphore(_CONCURRENT_SENDS)

        async def send_one(one: Due) -> None:
            nonlocal tried
            async with slots:
                if self._failures[one.queue] >= _MAX_FAILURES or clock() >= until:
                    return
                tried += 1
                if await self._sends(one):
                    sent.add(one.message)

        for start in range(0, len(near), _CHUNK):
            chunk = near[start : start + _CHUNK]
            await asyncio.gather(*map(send_one, chunk))
            await self._mark([one.message for one in chunk if one.message in sent])
        self.patience = until - clock()
        if tried < len(near):
            left = len(near) - tried
            logger.warning("leaving %d messages to the sweeper because their queues respond too slowly", left)
        return frozenset(sent)

    async def _sends(self, one: Due) -> bool:
        try:
            await self._send(one)
        except SendFailed as exc:
            self._failures[one.queue] += 1
            logger.warning("job %s: could not send the message (%s); the sweeper will send it", one.message.id, exc)
            return False
        self._failures[one.queue] = 0
        return True

    async def _send(self, one: Due) -> None:
        try:
            await self._queues.send(one.queue, one.message, delay=one.delay)
        except QueueMissing:
            logger.warning("the queue %s is missing, and is created again", one.queue)
            await self._queues.ensure(one.queue)
            await self._queues.send(one.queue, one.message, delay=one.delay)

    async def _mark(self, sent: Sequence[JobMessage]) -> None:
        if not sent:
            return
        try:
            await self.repository.mark_sent(sent)
        except StoreUnavailable as exc:
            logger.warning("%d messages were sent but not marked, so they will be sent again: %s", len(sent), exc)


async def wake_successors(*jobs: QueuedJob, dispatcher: Dispatcher, notifier: Notifier) -> list[QueuedJob]:
    """Wake the jobs that may run because these have ended or freed their slots, and return them.

    Never raises if the store, a queue or the hub is unavailable, and a crash loses nothing: the sweeper releases
    follow-ups, and jobs in line are sent again after half a minute or more.
    """
    waited_for = {(job.kind, job.concurrency_key, job.batch_id): job for job in jobs}
    woken: dict[object, QueuedJob] = {}
    try:
        for job in waited_for.values():
            if job.concurrency_key is not None or job.batch_id is not None:
                woken |= {next_job.id: next_job for next_job in await dispatcher.repository.wake_next(job)}
    except StoreUnavailable as exc:
        logger.warning("could not wake the jobs waiting for %d ended jobs; the sweeper will: %s", len(jobs), exc)
    found = list(woken.values())
    if found:
        due = [Due(message=JobMessage.of(job), queue=job.queue, delay=timedelta()) for job in found]
        await dispatcher.send(due)
        await announce(notifier, *found)
    return found
