"""One storage queue as a worker reads it: receives messages, keeps them hidden while they are handled, settles them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueMessage

from queued_jobs.errors import SendFailed
from queued_jobs.queues import QueueMissing, StorageQueues, failing_with

logger = logging.getLogger(__name__)

#: The service returns at most this many messages at once.
MAX_BATCH = 32
#: The receipt is outdated, or the message or its queue was deleted: another worker has received the message.
_NOT_OURS = (400, 404, 409)


@dataclass(slots=True, kw_only=True)
class Received:
    """A received message. Each renewal replaces `receipt`, which settles it."""

    id: str
    receipt: str
    content: str
    dequeue_count: int


class Inbox:
    """Receives the messages of one queue.

    Parameters
    ----------
    visibility
        How long a received message is hidden from other workers, unless `hidden` renews it.
    """

    def __init__(self, queues: StorageQueues, queue: str, *, visibility: timedelta) -> None:
        self.queue = queue
        self._queues = queues
        self._visibility = visibility

    async def receive(self, limit: int) -> list[Received]:
        """Return up to `limit` messages. Raises `SendFailed` if the service does not respond.

        A missing queue is created.
        """
        limit = min(limit, MAX_BATCH)
        found: list[QueueMessage] | None = None
        async with failing_with(f"The queue {self.queue} did not respond"):
            pages = self._queues[self.queue].receive_messages(
                messages_per_page=limit, max_messages=limit, visibility_timeout=_seconds(self._visibility)
            )
            with contextlib.suppress(ResourceNotFoundError):
                found = [message async for message in pages]
        if found is None:
            await self._queues.ensure(self.queue.removesuffix("-poison"))
            return []
        return [
            Received(
                id=message.id,
                receipt=message.pop_receipt or "",
                content=message.content or "",
                dequeue_count=message.dequeue_count or 0,
            )
            for message in found
        ]

    @asynccontextmanager
    async def hidden(self, message: Received) -> AsyncIterator[None]:
        """Keep the message hidden during the block, however long it takes."""
        is_over = asyncio.Event()
        renewal = asyncio.create_task(self._renew(message, is_over))
        try:
            yield
        finally:
            is_over.set()
            await renewal  # a request that is under way replaces the receipt

    async def delete(self, message: Received) -> None:
        """Acknowledge the message."""
        await self._settle(message, self._queues[self.queue].delete_message(message.id, message.receipt))

    async def release(self, message: Received, after: timedelta) -> None:
        """Make the message visible again after this time."""
        await self._settle(message, self._hide(message, after))

    async def move(self, message: Received, queue: str) -> None:
        """Move the message to another queue. A crash may duplicate it, and never loses it."""
        try:
            try:
                await self._queues.put(queue, message.content)
            except QueueMissing:
                await self._queues.ensure(self.queue)
                await self._queues.put(queue, message.content)
        except SendFailed as exc:
            logger.warning("queue %s: message %s was not moved to %s: %s", self.queue, message.id, queue, exc)
            return
        await self.delete(message)

    async def _renew(self, message: Received, is_over: asyncio.Event) -> None:
        every = self._visibility.total_seconds() / 3
        while not await is_set_within(is_over, every):
            try:
                async with failing_with(f"Message {message.id} of queue {self.queue} was not renewed"):
                    await self._hide(message, self._visibility)
            except SendFailed as exc:
                if is_lost(exc):
                    logger.warning("queue %s: message %s was also received by another worker", self.queue, message.id)
                    return
                logger.warning("%s", exc)

    async def _hide(self, message: Received, span: timedelta) -> None:
        renewed = await self._queues[self.queue].update_message(
            message.id, message.receipt, visibility_timeout=_seconds(span)
        )
        message.receipt = renewed.pop_receipt or message.receipt

    async def _settle(self, message: Received, step: Awaitable[None]) -> None:
        try:
            async with failing_with(f"Message {message.id} of queue {self.queue} was not settled and will reappear"):
                await step
        except SendFailed as exc:
            # harmless in both cases: the row decides what the next delivery does
            logger.log(logging.INFO if is_lost(exc) else logging.WARNING, "%s", exc)


def is_lost(exc: SendFailed) -> bool:
    """Return whether the service says that the message is no longer ours."""
    return isinstance(exc.__cause__, HttpResponseError) and exc.__cause__.status_code in _NOT_OURS


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, at most this long; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _seconds(span: timedelta) -> int:
    return round(span.total_seconds())
