"""Sends the messages of stored jobs to their queues, and wakes the jobs that waited for others."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import timedelta

from queued_jobs._deadlines import STATEMENT_TIME, total_time
from queued_jobs.announcements import announce
from queued_jobs.errors import SendFailed, StoreUnavailable
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import QueuedJob
from queued_jobs.notifier import Notifier
from queued_jobs.queues import MAX_DELAY, SEND_TIMEOUT, QueueMissing, Queues
from queued_jobs.repository import HOLD, Repository

logger = logging.getLogger(__name__)

_CONCURRENT_SENDS = 8
#: Consecutive failed sends after which a queue is skipped: as many as run concurrently.
_MAX_FAILURES = _CONCURRENT_SENDS
#: Seconds after which no further send is started: a queue may be slow without ever failing.
_PATIENCE = 30.0
#: Messages that are sent before they are marked, and seconds after which no further one of them is started. A crash in
#: between causes at most this many to be sent again.
_ROUND_SIZE, _ROUND_SECONDS = 100, 1.0
#: Seconds for which the messages of a round must be reserved: until the last one is sent and all are marked.
_ROUND_TAKES = _ROUND_SECONDS + (SEND_TIMEOUT + STATEMENT_TIME).total_seconds()


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

    async def send(self, due: Iterable[Reserved], *, reserved_for: timedelta = HOLD) -> frozenset[JobMessage]:
        """Send these messages, mark those that were sent, and return them.

        Never raises if a queue or the database is unavailable: the sweeper sends what was not sent, and sends again
        what was not marked. Messages due beyond the queue's maximum delay are left for the sweeper too.

        Parameters
        ----------
        reserved_for
            Minimum time from now during which no other sender takes these messages. Reservations are extended if
            necessary, and messages that another sender has taken since are skipped.
        """
        left = deque(one for one in due if one.delay <= MAX_DELAY)
        clock = asyncio.get_running_loop().time
        until, reserved_until = clock() + self.patience, clock() + reserved_for.total_seconds()
        sent: set[JobMessage] = set()
        open_ = len(left)
        while left and clock() < until:
            these = self._next_round(left)
            if not these:
                break
            if clock() + _ROUND_TAKES > reserved_until:
                kept = await self._keep_reserved(these)
                if kept is None:
                    break
                open_ -= len(these) - len(kept)
                these = deque(kept)
            tried, sent_now = await self._send_round(these, until)
            open_ -= tried
            left.extendleft(reversed(these))
            sent |= {one.message for one in sent_now}
            if not await self._mark(sent_now):
                break
        self.patience = until - clock()
        if open_:
            logger.warning("leaving %d messages to the sweeper because their queues respond too slowly", open_)
        return frozenset(sent)

    def _next_round(self, left: deque[Reserved]) -> deque[Reserved]:
        """Remove and return the next messages, without those for queues that have failed too often."""
        these: deque[Reserved] = deque()
        while left and len(these) < _ROUND_SIZE:
            one = left.popleft()
            if not self._is_given_up(one.queue):
                these.append(one)
        return these

    async def _send_round(self, these: deque[Reserved], until: float) -> tuple[int, list[Reserved]]:
        """Send messages, and leave the rest in the deque. Returns how many were tried, and those that were sent."""
        clock = asyncio.get_running_loop().time
        until = min(until, clock() + _ROUND_SECONDS)
        sent: list[Reserved] = []
        tried = 0

        async def work() -> None:
            nonlocal tried
            while these and clock() < until:
                one = these.popleft()
                if self._is_given_up(one.queue):
                    continue
                tried += 1
                if not await self._sends(one):
                    return  # if its queue hangs, the others know it when the round is over
                sent.append(one)

        await asyncio.gather(*(work() for _ in range(min(_CONCURRENT_SENDS, len(these)))))
        return tried, sent

    def _is_given_up(self, queue: str) -> bool:
        return self._failures[queue] >= _MAX_FAILURES

    async def _sends(self, one: Reserved) -> bool:
        try:
            await self._send(one)
        except SendFailed as exc:
            self._failures[one.queue] += 1
            logger.warning("job %s: could not send the message (%s); the sweeper will send it", one.message.id, exc)
            return False
        self._failures[one.queue] = 0
        return True

    async def _send(self, one: Reserved) -> None:
        try:
            await self._queues.send(one.queue, one.message, delay=one.delay)
        except QueueMissing:
            logger.info("creating the queue %s, which is missing", one.queue)
            await self._queues.ensure(one.queue)
            await self._queues.send(one.queue, one.message, delay=one.delay)

    async def _keep_reserved(self, these: Sequence[Reserved]) -> list[Reserved] | None:
        """Return the messages that may still be sent, or None if the database is unavailable."""
        try:
            with total_time(None):
                return await self.repository.keep_reserved(these)
        except StoreUnavailable as exc:
            logger.warning("did not send %d messages, since other processes may send them: %s", len(these), exc)
            return None

    async def _mark(self, sent: Sequence[Reserved]) -> bool:
        """Return whether the store answered: without marks, sending more would only send more twice."""
        if not sent:
            return True
        try:
            with total_time(None):  # the job is stored, so the caller's request succeeds in any case
                await self.repository.mark_sent(sent)
        except StoreUnavailable as exc:
            logger.warning("%d messages were sent but not marked, so they will be sent again: %s", len(sent), exc)
            return False
        return True


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
        await dispatcher.send(map(Reserved.of, found))
        await announce(notifier, *found)
    return found
