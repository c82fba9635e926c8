"""The application's queues in Azure Storage."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Protocol, Self

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from queued_jobs._per_loop import PerLoop
from queued_jobs.errors import SendFailed
from queued_jobs.identity import AZURE_ERRORS, Keyless
from queued_jobs.message import JobMessage

logger = logging.getLogger(__name__)

#: Time limit of an operation, so that a request completes in time; the sweeper takes over a failed send. The
#: client's own timeouts apply to each read and each try only.
SEND_TIMEOUT = timedelta(seconds=5)
#: The service allows 7 days; messages due later are sent by the sweeper when their time comes near.
MAX_DELAY = timedelta(minutes=10)

_POISON = "-poison"
_FORBIDDEN = (401, 403)
_CLIENT_OPTIONS: dict[str, Any] = {
    "retry_total": 1,
    # retry after one second: the default of about 18 is longer than a request may take
    "initial_backoff": 0,
    "increment_base": 1,
    "random_jitter_range": 0,
    "connection_timeout": 3,
    "read_timeout": 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """Approximate number of messages on a queue and on its poison queue."""

    queue: str
    messages: int
    poison: int


class QueueMissing(SendFailed):
    """The queue does not exist: nothing was sent."""


class Queues(Protocol):
    """The queue operations that the library needs."""

    async def ensure(self, *queues: str) -> None:
        """Create these queues and their poison queues if they are missing. Raises `SendFailed`.

        Called for a queue for which `send` has raised `QueueMissing`.
        """

    async def send(self, queue: str, message: JobMessage, *, delay: timedelta = timedelta()) -> None:
        """Put a message on a queue, invisible for `delay`. Raises `SendFailed`; the message may have been stored."""


class StorageQueues:
    """Azure Storage queues by name: `manager["zip-builder"]`.

    Clients are created on first use, with one service connection per event loop. Use it as an async context manager,
    or call `close`.

    Parameters
    ----------
    account
        Connection string of the storage account or of Azurite, or the queue service's URL with an identity.
    """

    def __init__(self, account: str | Keyless) -> None:
        self._account = account
        self._services = PerLoop(self._make_service, close=QueueServiceClient.close)

    def __getitem__(self, queue: str) -> QueueClient:
        # the host expects base64, but the SDK defaults to plain text, and the host poisons a mismatch silently
        return self._services.get().get_queue_client(queue, message_encode_policy=TextBase64EncodePolicy())

    async def send(self, queue: str, message: JobMessage, *, delay: timedelta = timedelta()) -> None:
        """Put a message on a queue, invisible for `delay`. Raises `SendFailed`; the message may have been stored."""
        # the host expects base64, and poisons a message in plain text silently
        await self.put(queue, base64.b64encode(message.encode().encode()).decode(), delay=delay)

    async def put(self, queue: str, content: str, *, delay: timedelta = timedelta()) -> None:
        """Put a text on a queue unchanged; otherwise like `send`."""
        client = self._services.get().get_queue_client(queue)
        try:
            async with failing_with(f"The queue {queue} did not accept a message"):
                await client.send_message(
                    content,
                    visibility_timeout=int(delay.total_seconds()),
                    time_to_live=-1,  # the default of 7 days would lose the end of a long backlog
                )
        except SendFailed as exc:
            if isinstance(exc.__cause__, ResourceNotFoundError):
                raise QueueMissing(f"The queue {queue} does not exist.") from exc
            raise

    async def ensure(self, *queues: str) -> None:
        """Create these queues and their poison queues if they are missing. In the cloud the deployment creates them.

        Raises `SendFailed` if the service does not respond, or if the account does not permit it.
        """
        for name in _with_poison(queues):
            async with failing_with(f"The queue {name} was not created"):
                try:
                    await self[name].create_queue()
                    logger.info("created the queue %s", name)
                except ResourceExistsError:
                    pass
                except HttpResponseError as exc:
                    if exc.status_code not in _FORBIDDEN:
                        raise
                    raise SendFailed(
                        f"The queue {name} is missing, and this account is not allowed to create it: deploy again, "
                        f"or grant it the role Storage Queue Data Contributor."
                    ) from exc

    async def depths(self, *queues: str) -> list[QueueDepth]:
        """Return the approximate number of messages on these queues and their poison queues; missing queues count as 0.

        Raises `SendFailed` if the service does not respond.
        """
        counts = await asyncio.gather(*map(self._count, _with_poison(queues)))
        return [
            QueueDepth(queue=queue, messages=messages, poison=poison)
            for queue, messages, poison in zip(queues, counts[::2], counts[1::2], strict=True)
        ]

    async def redrive(self, queue: str, *, limit: int = 1_000) -> int:
        """Move up to `limit` messages back from the poison queue, unchanged. Returns how many were moved.

        A crash may duplicate a message, which is harmless, and never loses one. Raises `SendFailed` if the service does
        not respond; messages moved before that stay moved.
        """
        # at most as many as are there now: unreadable messages return to the poison queue immediately
        limit = min(limit, await self._count(f"{queue}{_POISON}"))
        if limit == 0:
            return 0
        service = self._services.get()
        poison, main = service.get_queue_client(f"{queue}{_POISON}"), service.get_queue_client(queue)
        messages = aiter(
            poison.receive_messages(messages_per_page=min(32, limit), visibility_timeout=60, max_messages=limit)
        )
        for moved in range(limit):
            async with failing_with(f"Only {moved} messages of the poison queue of {queue} were moved back"):
                message = await anext(messages, None)
                if message is None:
                    return moved
                await main.send_message(message.content, time_to_live=-1)
                await poison.delete_message(message)
        return limit

    async def _count(self, queue: str) -> int:
        async with failing_with(f"The queue {queue} did not respond"):
            try:
                return (await self[queue].get_queue_properties()).approximate_message_count or 0
            except ResourceNotFoundError:
                return 0

    async def ping(self, *queues: str) -> None:
        """Raise `SendFailed` unless all of these queues exist and respond."""
        for queue in queues:
            async with failing_with(f"The queue {queue} did not respond"):
                await self[queue].get_queue_properties()

    async def close(self) -> None:
        await self._services.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _make_service(self) -> QueueServiceClient:
        if isinstance(self._account, Keyless):
            credential = self._account.identity.credential()
            return QueueServiceClient(self._account.endpoint, credential=credential, **_CLIENT_OPTIONS)
        return QueueServiceClient.from_connection_string(self._account, **_CLIENT_OPTIONS)


@asynccontextmanager
async def failing_with(otherwise: str) -> AsyncIterator[None]:
    """Raise `SendFailed` with this prefix if the service fails or does not respond in time."""
    try:
        async with asyncio.timeout(SEND_TIMEOUT.total_seconds()):
            yield
    except TimeoutError as exc:
        raise SendFailed(f"{otherwise}: no response within {SEND_TIMEOUT.total_seconds():g} seconds.") from exc
    except AZURE_ERRORS as exc:
        raise SendFailed(f"{otherwise}: {exc}") from exc


def _with_poison(queues: Iterable[str]) -> list[str]:
    return [name for queue in queues for name in (queue, f"{queue}{_POISON}")]
