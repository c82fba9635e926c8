"""The queue trigger: polls one queue and settles each message as the storage extension of the real host does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from datetime import timedelta
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from tools.functions_host.errors import InvocationError
from tools.functions_host.functions import Function
from tools.functions_host.invoke import Invoker
from tools.functions_host.settings import QueueSettings, resolve_placeholders
from tools.functions_host.storage import QueueStorage, StorageConnection, describe, send_creating
from tools.functions_host.trigger_data import from_message
from tools.functions_host.waiting import PollingDelay, is_set_within

log = logging.getLogger("host.queues")

#: How long a received message stays invisible unless renewed; fixed in the real host.
LEASE = timedelta(minutes=10)
LONGEST_DELAY_IN_OUTAGE = timedelta(seconds=2)
POISON_SUFFIX = "-poison"
LONGEST_QUEUE_NAME = 63
# pop receipt mismatch, message or queue deleted, queue being deleted: the lease is lost
_NOT_OURS = (400, 404, 409)


class MessageLease:
    """Keeps a message invisible while its function runs; `pop_receipt` is the newest, needed to settle it."""

    def __init__(
        self, queue: QueueClient, message: QueueMessage, *, duration: timedelta, connection: StorageConnection
    ) -> None:
        self.pop_receipt = message.pop_receipt
        self._queue = queue
        self._message_id = message.id
        self._duration = duration
        self._connection = connection
        self._over = asyncio.Event()

    async def __aenter__(self) -> MessageLease:
        """Start renewing the lease."""
        self._renewal = asyncio.create_task(self._renew())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop renewing; a request in flight is awaited, because it changes the pop receipt."""
        self._over.set()
        await self._renewal

    async def _renew(self) -> None:
        normal = self._duration / 2
        interval = normal
        while not await is_set_within(self._over, interval):
            try:
                renewed = await self._queue.update_message(
                    self._message_id, self.pop_receipt, visibility_timeout=int(self._duration.total_seconds())
                )
            except AzureError as error:
                if getattr(error, "status_code", None) in _NOT_OURS:
                    log.warning(
                        "the lease of message %s was lost (%s) while its function was running",
                        self._message_id,
                        describe(error),
                    )
                    return
                self._connection.went_away(error)
                interval = max(interval / 2, self._duration / 10)  # of ten minutes: 2.5, 1.25, 1, 1 ..
            else:
                self._connection.answered()
                self.pop_receipt = renewed.pop_receipt
                interval = normal


class QueueListener:
    """Receives the messages of one function's queue, `batch_size + new_batch_threshold` in parallel at most."""

    def __init__(
        self,
        function: Function,
        *,
        storage: QueueStorage,
        settings: QueueSettings,
        invoker: Invoker,
        lease: timedelta = LEASE,
    ) -> None:
        self.name = resolve_placeholders(function.trigger["queueName"])
        self._function = function
        self._storage = storage
        self._settings = settings
        self._invoker = invoker
        self._lease = lease
        self._connection = storage.connection(function.trigger.get("connection"))
        self._queue = self._connection.queue(self.name)
        poison_name = self.name + POISON_SUFFIX
        has_poison = not self.name.endswith(POISON_SUFFIX) and len(poison_name) <= LONGEST_QUEUE_NAME
        self._poison = self._connection.queue(poison_name) if has_poison else None
        self._processing: set[asyncio.Task[None]] = set()
        self._is_missing = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Poll until `stopping` is set, then wait for the running invocations; survives outages of the storage."""
        delay = PollingDelay(self._settings.max_polling_interval)
        found_message = False
        while not stopping.is_set():
            messages = await self._receive()
            if stopping.is_set():
                for message in messages:
                    self._start(self._settle(message, self._release(message, message.pop_receipt, timedelta())))
            elif messages:
                found_message = True
                for message in messages:
                    self._start(self._process(message))
                while len(self._processing) > self._settings.new_batch_threshold and not stopping.is_set():
                    await self._wait_for_one(stopping)
            else:
                pause = delay.next(found_message=found_message)
                found_message = False
                await is_set_within(
                    stopping, min(pause, LONGEST_DELAY_IN_OUTAGE) if self._connection.is_away else pause
                )
        if self._processing:
            await asyncio.wait(self._processing)

    async def _receive(self) -> list[QueueMessage]:
        size = self._settings.batch_size
        pages = self._queue.receive_messages(
            messages_per_page=size, max_messages=size, visibility_timeout=int(self._lease.total_seconds())
        ).by_page()
        messages: list[QueueMessage] = []
        try:
            async for page in pages:
                messages = [message async for message in page]
                break  # the next page would be a second request
        except ResourceNotFoundError:
            self._connection.answered()
            if not self._is_missing:
                log.warning("queue %s does not exist; waiting until it is created", self.name)
            self._is_missing = True
            return []
        except AzureError as error:
            self._connection.went_away(error)
            return []
        self._connection.answered()
        if self._is_missing:
            log.info("queue %s exists now", self.name)
        self._is_missing = False
        return messages

    async def _wait_for_one(self, stopping: asyncio.Event) -> None:
        stopped = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({*self._processing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._processing.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._processing.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("queue %s: a message could not be processed", self.name, exc_info=error)

    async def _process(self, message: QueueMessage) -> None:
        try:
            body = self._storage.decode(message.content or "")
        except ValueError as error:
            # the real host does the same without logging it
            log.error("queue %s: message %s never reaches its function: %s", self.name, message.id, error)
            await self._settle(message, self._move_to_poison(message, message.pop_receipt))
            return
        if (message.dequeue_count or 0) > self._settings.max_dequeue_count:
            await self._settle(message, self._move_to_poison(message, message.pop_receipt))
            return
        lease = MessageLease(self._queue, message, duration=self._lease, connection=self._connection)
        async with lease:
            succeeded = await self._invoke(message, body)
        await self._settle(message, self._finish(message, lease.pop_receipt, succeeded=succeeded))

    async def _invoke(self, message: QueueMessage, body: bytes) -> bool:
        data = from_message(self._function, message, body)
        detail = f"message {message.id}, dequeue count {message.dequeue_count}"
        try:
            await self._invoker.invoke(self._function, data, detail=detail)
        except InvocationError:  # logged there; here it only decides what happens to the message
            return False
        return True

    async def _finish(self, message: QueueMessage, pop_receipt: str | None, *, succeeded: bool) -> None:
        if succeeded:
            await self._queue.delete_message(message.id, pop_receipt)
        elif self._poison is None or (message.dequeue_count or 0) >= self._settings.max_dequeue_count:
            await self._move_to_poison(message, pop_receipt)
        else:
            await self._release(message, pop_receipt, self._settings.visibility_timeout)

    async def _release(self, message: QueueMessage, pop_receipt: str | None, delay: timedelta) -> None:
        await self._queue.update_message(message.id, pop_receipt, visibility_timeout=int(delay.total_seconds()))

    async def _move_to_poison(self, message: QueueMessage, pop_receipt: str | None) -> None:
        if self._poison is None:
            log.warning(
                "queue %s has no poison queue: message %s stays invisible until its lease ends", self.name, message.id
            )
            return
        log.warning(
            "Message has reached MaxDequeueCount of %d. Moving message to queue '%s'.",
            self._settings.max_dequeue_count,
            self._poison.queue_name,
        )
        await send_creating(self._poison, message.content or "")
        await self._queue.delete_message(message.id, pop_receipt)

    async def _settle(self, message: QueueMessage, step: Awaitable[None]) -> None:
        try:
            await step
        except AzureError as error:
            if getattr(error, "status_code", None) in _NOT_OURS:
                log.info("queue %s: message %s was received by another host", self.name, message.id)
                return
            self._connection.went_away(error)
            log.warning("queue %s: message %s was not settled and reappears when its lease ends", self.name, message.id)
