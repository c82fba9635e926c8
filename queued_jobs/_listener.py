"""Delivers the messages of one queue to the runner of its kind, as the Functions host does."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

from queued_jobs._inbox import Inbox, Received
from queued_jobs.outbox import log_failure
from queued_jobs.queues import StorageQueues
from queued_jobs.runner import JobRunner

logger = logging.getLogger(__name__)

#: Deliveries of a message before it is moved to the poison queue, and the time between them: those of the host.
MAX_DELIVERIES = 5
RETRY_AFTER = timedelta(seconds=30)
_FIRST_IDLE = timedelta(seconds=0.1)
#: A poison queue is polled this much more slowly.
_POISON_FACTOR = 5


class Listener:
    """Receives from a queue of a kind, or from its poison queue.

    Parameters
    ----------
    stopping
        Once it is set, nothing more is received.
    """

    def __init__(
        self,
        runner: JobRunner[Any, Any],
        queues: StorageQueues,
        queue: str,
        *,
        is_poison: bool,
        concurrency: int,
        visibility: timedelta,
        max_idle: timedelta,
        stopping: asyncio.Event,
    ) -> None:
        self._poison = None if is_poison else f"{queue}-poison"
        self.name = queue if self._poison else f"{queue}-poison"
        self._receive = partial(runner.receive_poison if is_poison else runner.receive, queue=queue)
        self._inbox = Inbox(queues, self.name, visibility=visibility)
        self._concurrency = concurrency
        self._max_idle = max_idle * (_POISON_FACTOR if is_poison else 1)
        self._idle = timedelta()
        self._stopping = stopping
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """The running deliveries."""
        return frozenset(self._tasks)

    async def step(self) -> timedelta:
        """Start the deliveries of a batch, or wait for a free place; return the pause before the next step.

        Raises `SendFailed` if the service does not respond.
        """
        free = self._concurrency - len(self._tasks)
        if free < 1:
            await self._wait_for_place()
            return timedelta()
        messages = await self._inbox.receive(free)
        for message in messages:
            self._start(self._inbox.release(message, timedelta()) if self._stopping.is_set() else self._handle(message))
        if messages:
            self._idle = timedelta()
        else:
            self._idle = min(max(2 * self._idle, _FIRST_IDLE), self._max_idle)
        return self._idle

    async def _wait_for_place(self) -> None:
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({stopped, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            logger.error("queue %s: a message was not handled", self.name, exc_info=exc)

    async def _handle(self, message: Received) -> None:
        body = _decode(message.content)
        if self._poison is not None and (body is None or message.dequeue_count > MAX_DELIVERIES):
            await self._move(message, self._poison)
            return
        try:
            async with self._inbox.hidden(message):
                await self._receive(message.content.encode("utf-8", "replace") if body is None else body)
        except asyncio.CancelledError:  # only before the attempt: it gives its job back itself
            await self._inbox.release(message, timedelta())
            raise
        except Exception as exc:  # noqa: BLE001 (any error: the message is delivered again)
            log_failure(exc, "queue %s: message %s was not handled", self.name, message.id)
            if self._poison is not None and message.dequeue_count >= MAX_DELIVERIES:
                await self._move(message, self._poison)
            else:
                await self._inbox.release(message, RETRY_AFTER)
        else:
            await self._inbox.delete(message)

    async def _move(self, message: Received, poison: str) -> None:
        logger.warning("queue %s: moving message %s to %s", self.name, message.id, poison)
        await self._inbox.move(message, poison)


def _decode(content: str) -> bytes | None:
    """Return the body of a message; None for a text that is not base64."""
    try:
        return base64.b64decode(content, validate=True)
    except ValueError:
        return None
