from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue.aio import QueueServiceClient

from tests.integration.local.host.harness import (
    Body,
    BrokenService,
    HostProcess,
    Listening,
    Queue,
    queue_name,
    wait_until,
)
from tools.functions_host import queues
from tools.functions_host.settings import QueueSettings
from tools.functions_host.waiting import is_set_within
from tools.local_stack.azurite import AzuriteServer

MakeQueue = Callable[..., Awaitable[Queue]]
Listen = Callable[..., Listening]
StartHost = Callable[..., HostProcess]


@pytest.fixture
def storage(azurite: AzuriteServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The connection string of a running Azurite, which the host finds under its setting."""
    monkeypatch.setenv("QueuesConn", azurite.connection_string)
    return azurite.connection_string


@pytest.fixture
async def service(storage: str) -> AsyncIterator[QueueServiceClient]:
    async with QueueServiceClient.from_connection_string(storage) as client:
        yield client


@pytest.fixture
async def queue(service: QueueServiceClient) -> Queue:
    """An empty queue of this test."""
    return await Queue(service, queue_name()).create()


@pytest.fixture
def poison(service: QueueServiceClient, queue: Queue) -> Queue:
    """The poison queue of `queue`; it does not exist yet."""
    return Queue(service, f"{queue.name}-poison")


@pytest.fixture
async def broken_service(storage: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BrokenService]:
    """A service that closes every connection, which the host finds instead of Azurite."""
    service = BrokenService()
    await service.start()
    monkeypatch.setenv("QueuesConn", service.connection_string)
    yield service
    await service.stop()


@pytest.fixture
async def listen(storage: str, tmp_path: Path) -> AsyncIterator[Listen]:
    """Starts a listener on a queue; settings are those of host.json, with short intervals."""
    started: list[Listening] = []

    def start(queue: Queue, body: Body, *, lease: float = 3_600, **changes: Any) -> Listening:
        settings: dict[str, Any] = {
            "batch_size": 4,
            "new_batch_threshold": 2,
            "max_polling_interval": timedelta(milliseconds=200),
            "visibility_timeout": timedelta(),
            "max_dequeue_count": 5,
            "base64": True,
            **changes,
        }
        listening = Listening(
            tmp_path, queue.name, body, lease=timedelta(seconds=lease), settings=QueueSettings(**settings)
        )
        started.append(listening)
        return listening

    yield start
    for listening in started:
        await listening.stop()


class Pauses:
    """Every wait of listeners and leases in this process: how long each was to be, and how many are under way."""

    def __init__(self) -> None:
        self.delays: list[timedelta] = []
        self.under_way = 0

    async def is_set_within(self, event: asyncio.Event, delay: timedelta) -> bool:
        self.delays.append(delay)
        self.under_way += 1
        try:
            return await is_set_within(event, delay)
        finally:
            self.under_way -= 1

    async def some_more(self) -> None:
        """Return after several further polls."""
        wanted = len(self.delays) + 3
        await wait_until(lambda: len(self.delays) >= wanted, "three more waits")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    pauses = Pauses()
    monkeypatch.setattr(queues, "is_set_within", pauses.is_set_within)
    return pauses


@pytest.fixture
def start_host(storage: str) -> Iterator[StartHost]:
    """Starts the host as a process; what still runs at the end of the test is killed."""
    started: list[HostProcess] = []

    def start(app_dir: Path, *options: str, **environment: str) -> HostProcess:
        process = HostProcess.of(app_dir, *options, **environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
