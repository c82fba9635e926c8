"""Polls that wait, end, cross and break off, at the ASGI interface."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from starlette.applications import Starlette

from tools.signalr_emulator.app import create_app
from tools.signalr_emulator.connections import Connection, Timings
from tools.signalr_emulator.hubs import Hubs
from tools.signalr_emulator.tokens import PUBLIC_KEY, AccessKey, ClientIdentity

TIMINGS = Timings(poll=timedelta(milliseconds=50))
CLIENT_URL = "http://localhost/client/?hub=jobs"


class PollingClient:
    """A minimal client, ready to poll."""

    def __init__(self, app: Starlette, connection: Connection) -> None:
        self.app = app
        self.connection = connection
        self.token = jwt.encode({"aud": CLIENT_URL, "exp": time.time() + 60, "nameid": "ada"}, PUBLIC_KEY, "HS256")
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), headers={"Authorization": f"Bearer {self.token}"}
        )
        self.url = f"{CLIENT_URL}&id={connection.token}"

    async def poll(self) -> tuple[int, str]:
        response = await self.http.get(self.url)
        return response.status_code, response.text


@pytest.fixture
def timings() -> Timings:
    return Timings()


@pytest.fixture
async def client(timings: Timings) -> AsyncIterator[PollingClient]:
    hubs = Hubs(timings=timings, abort_socket=lambda _peer: None)
    key = AccessKey(PUBLIC_KEY)
    app = create_app(callers=key, key=key, hubs=hubs, timings=timings)
    polling = PollingClient(app, hubs.negotiate("jobs", ClientIdentity(user="ada", closes_at=None)))
    async with polling.http:
        assert await polling.poll() == (200, "")
        await polling.http.post(polling.url, content='{"protocol":"json","version":1}\x1e')
        assert await polling.poll() == (200, "{}\x1e")
        yield polling


async def started(what: Callable[[], Awaitable[Any]]) -> asyncio.Task[Any]:
    """A request that is under way and waits."""
    task = asyncio.ensure_future(what())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    assert isinstance(task, asyncio.Task)
    return task


@pytest.mark.parametrize("timings", [TIMINGS])
async def test_a_poll_that_nothing_comes_for_is_answered_with_nothing(client: PollingClient) -> None:
    assert await client.poll() == (200, "")


async def test_a_waiting_poll_brings_a_push_at_once(client: PollingClient) -> None:
    poll = await started(client.poll)
    client.connection.push("push\x1e")
    assert await poll == (200, "push\x1e")


async def test_a_new_poll_ends_the_one_that_waits(client: PollingClient) -> None:
    first = await started(client.poll)
    second = await started(client.poll)
    assert await first == (204, "")
    client.connection.push("push\x1e")
    assert await second == (200, "push\x1e")


async def test_a_closed_connection_sends_its_last_frames_then_ends(client: PollingClient) -> None:
    client.connection.close("bye")
    assert await client.poll() == (200, '{"type":7,"error":"bye"}\x1e')
    assert await client.poll() == (204, "")
    assert (await client.poll())[0] == 404


async def test_delete_ends_the_poll_that_waits(client: PollingClient) -> None:
    poll = await started(client.poll)
    assert (await client.http.delete(client.url)).status_code == 202
    assert (await poll)[0] == 200, "the close record"
    assert (await client.poll())[0] == 404


async def test_a_poll_whose_client_has_gone_takes_no_push_with_it(client: PollingClient) -> None:
    disconnect: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    disconnect.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    answers: list[Any] = []

    async def answer(message: Any) -> None:
        answers.append(message)

    async def abandoned() -> None:
        query = client.url.partition("?")[2].encode()
        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {client.token}".encode())]
        scope = {"type": "http", "method": "GET", "path": "/client/", "raw_path": b"/client/", "query_string": query}
        await client.app({**scope, "headers": headers}, disconnect.get, answer)

    poll = await started(abandoned)
    disconnect.put_nowait({"type": "http.disconnect"})
    await asyncio.wait_for(poll, 5)
    assert answers[0]["status"] == 204
    client.connection.push("push\x1e")
    assert await client.poll() == (200, "push\x1e")


async def test_what_a_client_sends_is_limited(client: PollingClient) -> None:
    assert (await client.http.post(client.url, content="x" * 32_769)).status_code == 413
