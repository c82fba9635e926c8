"""Queues, hub and webhooks behind a network, or of a server, that never answers in full."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterator
from urllib.parse import urlsplit

import pytest
from uuid_utils.compat import uuid7

from queued_jobs.errors import SendFailed
from queued_jobs.message import JobMessage
from queued_jobs.push.signalr import ConnectionString, PushFailed, SignalRNotifier
from queued_jobs.push.webhook import Webhook, WebhookFailed
from queued_jobs.queues import SEND_TIMEOUT, StorageQueues
from queued_jobs.registry import JobRegistry
from tests.integration.queued_jobs.conftest import Demo, Shop
from tests.support.hub import ControlledHub
from tools.local_stack import ports
from tools.local_stack.azurite import AzuriteServer
from tools.local_stack.proxy import MUTE, SILENT, WELL, Network, Proxy

NETWORKS = pytest.mark.parametrize("network", [SILENT, MUTE], ids=["silent", "mute"])
MESSAGE = JobMessage(id=uuid7(), gen=1)
ACCESS_KEY = "k" * 44


async def failures(*calls: Awaitable[object], within: float) -> set[type[BaseException] | None]:
    """Return how these calls fail, all at once; None for one that does not."""
    async with asyncio.timeout(within):
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    return {type(outcome) if isinstance(outcome, BaseException) else None for outcome in outcomes}


def calls_of(queues: StorageQueues, name: str) -> list[Awaitable[object]]:
    return [
        queues.send(name, MESSAGE),
        queues.ping(name),
        queues.depths(name),
        queues.ensure(name),
        queues.redrive(name),
    ]


@pytest.fixture
async def dripping() -> AsyncIterator[int]:
    """The port of a server whose answers go on until the client has enough of them, a byte at a time."""
    answers: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nx-drops: ")
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.2)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.add(asyncio.create_task(answer(reader, writer)))

    async with await asyncio.start_server(accept, ports.LOOPBACK, 0) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*answers)


class TestQueues:
    @pytest.fixture
    def proxy(self, azurite: AzuriteServer) -> Iterator[Proxy]:
        with Proxy(urlsplit(azurite.queue_endpoint).port or 0) as proxy:
            yield proxy

    def manager(self, azurite: AzuriteServer, port: int) -> StorageQueues:
        return StorageQueues(
            azurite.connection_string.replace(f":{urlsplit(azurite.queue_endpoint).port}/", f":{port}/")
        )

    @NETWORKS
    async def test_nothing_waits_for_a_network_that_swallows_answers(
        self, azurite: AzuriteServer, proxy: Proxy, network: Network
    ) -> None:
        async with self.manager(azurite, proxy.port) as queues:
            await queues.ensure("silent")
            proxy.set(network)
            limit = 2 * SEND_TIMEOUT.total_seconds()
            assert await failures(*calls_of(queues, "silent"), within=limit) == {SendFailed}
            proxy.set(WELL)
            await queues.send("silent", MESSAGE)

    async def test_nothing_waits_for_an_answer_without_an_end(self, azurite: AzuriteServer, dripping: int) -> None:
        async with self.manager(azurite, dripping) as queues:
            limit = 2 * SEND_TIMEOUT.total_seconds()
            assert await failures(*calls_of(queues, "dripping"), within=limit) == {SendFailed}


class TestHub:
    @pytest.fixture
    def proxy(self, hub: ControlledHub) -> Iterator[Proxy]:
        with Proxy(hub.ports[0]) as proxy:
            yield proxy

    def notifier(self, port: int, key: str = ACCESS_KEY) -> SignalRNotifier:
        connection = ConnectionString(endpoint=f"http://{ports.LOOPBACK}:{port}", access_key=key)
        return SignalRNotifier(connection, JobRegistry([Demo]))

    @NETWORKS
    async def test_no_push_waits_for_a_network_that_swallows_answers(
        self, shop: Shop, hub: ControlledHub, proxy: Proxy, network: Network
    ) -> None:
        job = (await shop.queue()).job
        notifier = self.notifier(proxy.port, ConnectionString.parse(hub.connection_string).access_key)
        await notifier.job_changed(job)
        proxy.set(network)
        assert await failures(notifier.job_changed(job), notifier.ping(), within=4) == {PushFailed}
        proxy.set(WELL)
        await notifier.job_changed(job)
        await notifier.close()

    async def test_no_push_waits_for_an_answer_without_an_end(self, shop: Shop, dripping: int) -> None:
        job = (await shop.queue()).job
        notifier = self.notifier(dripping)
        assert await failures(notifier.job_changed(job), notifier.ping(), within=4) == {PushFailed}
        await notifier.close()


class TestWebhook:
    async def test_no_post_waits_for_an_answer_without_an_end(self, shop: Shop, dripping: int) -> None:
        job = (await shop.queue()).job
        webhook = Webhook(f"http://{ports.LOOPBACK}:{dripping}/", b"s" * 32, JobRegistry([Demo]), tries=1)
        assert await failures(webhook.post(job), within=10) == {WebhookFailed}
        await webhook.close()
