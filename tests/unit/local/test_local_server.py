"""What the local host and the emulator of SignalR require of each request, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import uvicorn

from tests.support.waiting import PATIENCE_SECONDS
from tools.functions_host.host import server_config
from tools.functions_host.http import HttpFrontEnd
from tools.local_server import PatientProtocol
from tools.signalr_emulator.connections import Timings
from tools.signalr_emulator.server import SignalRServer
from tools.signalr_emulator.tokens import PUBLIC_KEY, AccessKey

MakeServer = Callable[[], uvicorn.Server]


def make_host() -> uvicorn.Server:
    front_end = HttpFrontEnd([], route_prefix="api", invoker=cast(Any, None))
    config = server_config(front_end, is_local=True)
    config.port = 0
    return uvicorn.Server(config)


def make_emulator() -> uvicorn.Server:
    key = AccessKey(PUBLIC_KEY)
    return SignalRServer(port=0, callers=key, key=key, timings=Timings())


BOTH = pytest.mark.parametrize("make", [make_host, make_emulator])
WEBSOCKET = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@asynccontextmanager
async def listening(make: MakeServer) -> AsyncIterator[int]:
    """Run a server, and yield its port."""
    server = make()
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not server.started:
                assert not serving.done(), serving
                await asyncio.sleep(0)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def answer_of(port: int, sent: bytes) -> bytes:
    """Send this, and return all that comes until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await reader.read()
    finally:
        writer.close()


def request(*hosts: bytes, more: bytes = b"Connection: close\r\n") -> bytes:
    return (
        b"GET /client/?hub=jobs HTTP/1.1\r\n" + b"".join(b"Host: " + host + b"\r\n" for host in hosts) + more + b"\r\n"
    )


@BOTH
async def test_a_request_under_a_name_that_is_not_of_this_machine_is_refused(make: MakeServer) -> None:
    """A page whose name resolves to 127.0.0.1 would read the responses."""
    async with listening(make) as port:
        here = b":%d" % port
        for own in (b"127.0.0.1" + here, b"localhost" + here, b"LOCALHOST", b"jobs.localhost" + here, b"[::1]" + here):
            assert not (await answer_of(port, request(own))).startswith(b"HTTP/1.1 400"), own
        for foreign in (
            *(b"evil.example", b"evil.example" + here, b"127.0.0.1.evil.example" + here, b"localhost.evil.example"),
            *(b"evil-localhost", b"localhost@evil.example", b"169.254.169.254", b"10.0.0.1" + here, b"0.0.0.0", b""),
        ):
            assert (await answer_of(port, request(foreign))).startswith(b"HTTP/1.1 400"), foreign
        assert (await answer_of(port, request(b"localhost", b"evil.example"))).startswith(b"HTTP/1.1 400")


async def test_a_websocket_under_another_name_is_refused() -> None:
    async with listening(make_emulator) as port:
        own, foreign = [
            await answer_of(port, request(host, more=WEBSOCKET)) for host in (b"localhost", b"evil.example")
        ]
        assert (own.split()[1], foreign.split()[1]) == (b"401", b"403")


@BOTH
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST",
        b"POST /api/hubs/jobs/:send HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /api/hubs/jobs/:send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf",
    ],
)
async def test_a_client_that_does_not_complete_its_request_loses_its_connection(
    make: MakeServer, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatientProtocol, "request_timeout", 0.05)
    async with listening(make) as port:
        await answer_of(port, sent)  # returns when the server has closed the connection
