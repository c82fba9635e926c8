"""A listener on the hub that speaks the client protocol of SignalR, as the page's @microsoft/signalr does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

RECORD_END = "\x1e"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HANDSHAKE = {"protocol": "json", "version": 1}
INVOCATION, PING, CLOSE = 1, 6, 7


class HubClosed(Exception):
    """The hub refused the connection or ended it."""


class HubListener:
    """One connection. Messages come in the order in which the hub sent them."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._records: list[str] = []

    async def invocations(self) -> AsyncIterator[tuple[str, list[Any]]]:
        """Yield the name of each client method that the hub calls, with its arguments. Raises HubClosed at the end."""
        while True:
            message = json.loads(await self._next_record())
            kind = message.get("type")
            if kind == INVOCATION:
                yield message["target"], message["arguments"]
            elif kind == PING:
                await self._send({"type": PING})
            elif kind == CLOSE:
                raise HubClosed(f"the hub ended the connection: {message.get('error', 'without a reason')}")

    async def shake_hands(self) -> None:
        """Agree on the protocol. Raises HubClosed when the hub does not."""
        await self._send(HANDSHAKE)
        response = json.loads(await self._next_record())
        if response.get("error"):
            raise HubClosed(f"the hub refused the handshake: {response['error']}")

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send(json.dumps(message) + RECORD_END)

    async def _next_record(self) -> str:
        while not self._records:
            try:
                frame = await self._socket.recv()
            except ConnectionClosed as error:
                raise HubClosed(f"the connection to the hub ended: {error}") from error
            text = frame.decode() if isinstance(frame, bytes) else frame
            self._records = [record for record in text.split(RECORD_END) if record]
        return self._records.pop(0)


def is_loopback(url: str) -> bool:
    """Return whether the server of this URL is on this machine, where no proxy can reach it."""
    return urlsplit(url).hostname in LOOPBACK


@asynccontextmanager
async def listening(api: httpx.AsyncClient) -> AsyncIterator[HubListener]:
    """Negotiate twice (with the app, then with the hub), connect, and yield the listener.

    `api` is an HTTP client for the function app, authenticated with the caller's token. Raises httpx.HTTPError or
    HubClosed.
    """
    redirect = (await api.post("/api/negotiate", params={"negotiateVersion": 1})).raise_for_status().json()
    address = urlsplit(redirect["url"])
    negotiate = urlunsplit(address._replace(path=f"{address.path.rstrip('/')}/negotiate"))
    headers = {"Authorization": f"Bearer {redirect['accessToken']}"}
    url = httpx.URL(negotiate).copy_add_param("negotiateVersion", "1")
    offer = (await api.post(url, headers=headers)).raise_for_status().json()
    query = urlencode({"id": offer["connectionToken"], "access_token": redirect["accessToken"]})
    scheme = "wss" if address.scheme == "https" else "ws"
    target = urlunsplit(address._replace(scheme=scheme, query=f"{address.query}&{query}"))
    async with connect(target, proxy=None if is_loopback(target) else True) as socket:
        listener = HubListener(socket)
        await listener.shake_hands()
        yield listener
