"""What the tests of the host drive it with: a listener in this process, and the whole host as a process of its own."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from azure.functions.queue import QueueMessage
from azure.storage.queue import QueueMessage as StoredMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from tests.support.hosted_app import host_body
from tests.support.waiting import PATIENCE_SECONDS
from tools.functions_host.invoke import Invoker
from tools.functions_host.queues import QueueListener
from tools.functions_host.settings import QueueSettings
from tools.functions_host.storage import QueueStorage
from tools.local_stack.azurite import ACCOUNT_KEY, ACCOUNT_NAME
from tools.local_stack.process import ChildProcess, Command

ROOT = Path(__file__).parents[4]
DEADLINE = timedelta(seconds=PATIENCE_SECONDS)

Body = Callable[[QueueMessage], Awaitable[Any]]

_numbers = itertools.count(1)


def queue_name() -> str:
    """A queue name that no other test uses."""
    return f"host-{os.getpid()}-{next(_numbers)}"


async def wait_until(condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait for the condition; fails with `what` when it does not hold within the deadline."""
    ends = time.monotonic() + DEADLINE.total_seconds()
    while time.monotonic() < ends:
        holds = condition()
        if holds is True or (not isinstance(holds, bool) and await holds):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {DEADLINE}: {what}")


class Queue:
    """One queue of the storage, seen from outside of the host."""

    def __init__(self, service: QueueServiceClient, name: str) -> None:
        self.name = name
        self._service = service
        self.client: QueueClient = service.get_queue_client(name)

    async def create(self) -> Queue:
        await self.client.create_queue()
        return self

    async def send(self, text: str) -> None:
        """Send as our senders do, in base64."""
        await self.client.send_message(base64.b64encode(text.encode()).decode(), time_to_live=-1)

    async def exists(self) -> bool:
        return self.name in [found.name async for found in self._service.list_queues(name_starts_with=self.name)]

    async def count(self) -> int:
        """How many messages there are, invisible ones included."""
        return (await self.client.get_queue_properties()).approximate_message_count or 0

    async def take(self) -> StoredMessage:
        """Receive one message as it is stored; it counts as dequeued."""
        message = await self.client.receive_message(visibility_timeout=30)
        assert message is not None
        return message

    async def bodies(self) -> list[str]:
        """The texts of the visible messages, as they are stored."""
        return [str(message.content) for message in await self.client.peek_messages(max_messages=32)]


class BrokenService:
    """A queue service that closes every connection; `requests` has the time of each request."""

    def __init__(self) -> None:
        self.requests: list[float] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._close, "127.0.0.1", 0)

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def connection_string(self) -> str:
        port = self._server.sockets[0].getsockname()[1]
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT_NAME};AccountKey={ACCOUNT_KEY};"
            f"QueueEndpoint=http://127.0.0.1:{port}/{ACCOUNT_NAME};"
        )

    async def _close(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time()
        if not self.requests or now - self.requests[-1] > 0.05:  # aiohttp repeats a request at once
            self.requests.append(now)
        writer.close()
        await writer.wait_closed()


class Listening:
    """A listener that calls `body`, with what it was called with and how many calls ran at once."""

    def __init__(self, folder: Path, name: str, body: Body, *, lease: timedelta, settings: QueueSettings) -> None:
        self.calls: list[QueueMessage] = []
        self.times: list[float] = []
        self.active = 0
        self.max_active = 0
        self._body = body
        self._stopping = asyncio.Event()
        self._cancel_running: Callable[[], object] = lambda: None
        self.task = asyncio.create_task(self._run(folder, name, lease, settings))

    async def _run(self, folder: Path, name: str, lease: timedelta, settings: QueueSettings) -> None:
        trigger = f"queue_trigger(arg_name='data', queue_name={name!r}, connection='QueuesConn')"
        worker, function = await host_body(folder, self._call, trigger=trigger, annotation="QueueMessage")
        storage = QueueStorage(base64_messages=settings.base64)
        invoker = Invoker(worker, timeout=None, write_output=storage.write_output)
        self._cancel_running = invoker.cancel_running
        listener = QueueListener(function, storage=storage, settings=settings, invoker=invoker, lease=lease)
        await listener.run(self._stopping)
        await storage.close()

    async def _call(self, message: QueueMessage) -> Any:
        self.calls.append(message)
        self.times.append(time.monotonic())
        self.active += 1
        self.max_active = max(self.max_active, self.active)
        try:
            return await self._body(message)
        finally:
            self.active -= 1

    @property
    def texts(self) -> list[str]:
        return [message.get_body().decode() for message in self.calls]

    @property
    def dequeue_counts(self) -> list[int]:
        return [message.dequeue_count for message in self.calls]

    def request_stop(self) -> None:
        self._stopping.set()

    async def stop(self) -> None:
        self.request_stop()
        self._cancel_running()
        await asyncio.wait_for(self.task, DEADLINE.total_seconds())


class HostProcess:
    """The host as its users run it; `lines` is its output so far."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._child = ChildProcess(
            "host",
            Command(arguments=[sys.executable, *arguments], environment={**os.environ, **environment}, folder=ROOT),
            emit=lambda _, line: self.lines.append(line),
        )

    @classmethod
    def of(cls, app_dir: Path, *options: str, **environment: str) -> HostProcess:
        return cls(["-m", "tools.functions_host", str(app_dir), "--port", "0", *options], environment)

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def pid(self) -> int:
        return self._child.pid

    async def ready(self) -> str:
        """Wait until it is ready; returns its URL."""
        await wait_until(lambda: self._ready_lines() != [] or self._child.exit_code is not None, "the host is ready")
        lines = self._ready_lines()
        assert lines, f"the host ended with {self._child.exit_code}:\n{self.output}"
        return lines[0]

    async def printed(self, text: str, times: int = 1) -> None:
        await wait_until(lambda: self.output.count(text) >= times, f"{text!r} in the log {times} times")

    def request_stop(self) -> None:
        self._child.request_stop()

    async def ended(self) -> int:
        """Wait for its end; returns the exit code, negative for a signal."""
        await wait_until(lambda: self._child.exit_code is not None, f"the host ends:\n{self.output}")
        return self._child.stop()

    def kill(self) -> None:
        self._child.kill()

    def _ready_lines(self) -> list[str]:
        return re.findall(r"host ready on (http://\S+), functions: ", self.output)
