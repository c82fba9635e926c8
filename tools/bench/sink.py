"""A hub that accepts every push and counts it, in place of Azure SignalR Service: it costs next to nothing."""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import Self, cast

from tools.local_stack import ports

_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Sink:
    """Listens on loopback within the block.

    Attributes
    ----------
    posts, nudges
        Pushes to users, and notifications of admins, so far.
    """

    def __init__(self, port: int | None = None) -> None:
        self.port = port or ports.choose_ports(1)[0]
        self.posts = self.nudges = 0

    @property
    def connection_string(self) -> str:
        """The setting of a notifier that sends to this sink."""
        return f"Endpoint=http://{ports.LOOPBACK}:{self.port};AccessKey={'k' * 44};Version=1.0;"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Requests(self), ports.LOOPBACK, self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        self._server.close_clients()


class _Requests(asyncio.Protocol):
    """One connection of a client."""

    _transport: asyncio.Transport

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(_END)) >= 0:
            head = self._data[:end].lower()
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            whole = end + len(_END) + length
            if len(self._data) < whole:
                return
            self._data = self._data[whole:]
            is_nudge = b"/groups/" in head.split(b"\r\n", 1)[0]
            self._sink.nudges += is_nudge
            self._sink.posts += not is_nudge
            self._transport.write(_ACCEPTED)


async def _serve(port: int) -> None:
    """Listen until this process is told to stop, by the end of its input."""
    async with Sink(port):
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
