"""A proxy in front of Postgres that counts round trips and statements."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tools.local_stack import ports

_SYNC, _QUERY, _EXECUTE = b"S", b"Q", b"E"


class Wire:
    """Counts the messages of all clients that connect to `url` within the block.

    Attributes
    ----------
    round_trips
        How often a client waited for the server: its Sync and Query messages. Opening a connection does not count.
    statements
        Statements that were run, one by one or several in one round trip.
    """

    def __init__(self, url: str) -> None:
        address = conninfo_to_dict(url)
        self._host, self._port = str(address["host"]), int(address["port"] or 0)
        (port,) = ports.choose_ports(1)
        self._own_port = port
        self.url = make_conninfo(url, host=ports.LOOPBACK, port=port, sslmode="disable", gssencmode="disable")
        self.round_trips = 0
        self.statements = 0
        self._links: set[asyncio.Future[tuple[None, None]]] = set()

    def reset(self) -> None:
        self.round_trips = self.statements = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, ports.LOOPBACK, self._own_port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for link in list(self._links):
            link.cancel()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
        carrying = asyncio.gather(self._carry_requests(reader, up_writer), _carry(up_reader, writer))
        self._links.add(carrying)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                await carrying
        finally:
            self._links.discard(carrying)
            for one in (writer, up_writer):
                one.close()
                with contextlib.suppress(OSError):
                    await one.wait_closed()

    async def _carry_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on whole messages: the startup message has no type, all others have one byte for it."""
        length = await reader.readexactly(4)
        writer.write(length + await reader.readexactly(int.from_bytes(length) - 4))
        while True:
            head = await reader.readexactly(5)
            writer.write(head + await reader.readexactly(int.from_bytes(head[1:]) - 4))
            self._count(head[:1])

    def _count(self, kind: bytes) -> None:
        self.round_trips += kind in (_SYNC, _QUERY)
        self.statements += kind in (_EXECUTE, _QUERY)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()
