"""A network between a client and a server on this machine, whose faults can be switched on and off."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from types import TracebackType
from typing import Self

from tools.local_stack import ports

_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How bytes travel. What swallows bytes still acknowledges them, as a gateway does, so neither side notices.

    A connection that has lost bytes stays broken, even after the network recovers.
    """

    swallows_requests: bool = False
    swallows_answers: bool = False
    #: Falls silent, in both directions, with the request that holds these bytes.
    silent_from: bytes = b""
    #: Seconds that each piece takes longer, in either direction.
    delay: float = 0
    #: Resets a connection after this many bytes of answers, in the middle of one of them.
    cut_after: int | None = None


WELL = Network()
SILENT = Network(swallows_requests=True, swallows_answers=True)
DEAF = Network(swallows_requests=True)
MUTE = Network(swallows_answers=True)


class Proxy:
    """Passes connections to `port` on to a port of this machine. It runs in a thread, so any test may use it.

    Parameters
    ----------
    target
        The port of the server.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._network = WELL
        self._takes_connections = True
        self._links: set[_Link] = set()
        (self.port,) = ports.choose_ports(1)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name=f"proxy-{self.port}", daemon=True)

    def retarget(self, port: int) -> None:
        """Lead new connections to another server, as a name does after a failover."""
        self._target = port

    def set(self, network: Network, *, established: bool = True, new: bool = True) -> None:
        """Let established connections, new ones, or both be carried like this from now on."""

        def change() -> None:
            if new:
                self._network = network
            if established:
                for link in self._links:
                    link.network = network

        self._call(change)

    def refuse(self, refuse: bool = True) -> None:
        """Reset what tries to connect, or take connections again."""

        def change() -> None:
            self._takes_connections = not refuse

        self._call(change)

    def cut(self, *, reset: bool = False) -> None:
        """End all established connections, by FIN or by RST."""

        def change() -> None:
            for link in list(self._links):
                link.end(reset=reset)

        self._call(change)

    @property
    def connections(self) -> int:
        """How many connections clients hold open."""
        return self._call(lambda: sum(not link.is_over for link in self._links))

    @property
    def lost(self) -> int:
        """Of these, how many have lost bytes."""
        return self._call(lambda: sum(link.has_lost_bytes and not link.is_over for link in self._links))

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(lambda: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _call[T](self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, ports.LOOPBACK, self.port))
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for link in list(self._links):
                link.end(reset=True)
            self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))
            self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._takes_connections:
            _end(writer, reset=True)
            return
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(ports.LOOPBACK, self._target)
        except OSError:
            _end(writer, reset=True)
            return
        link = _Link(self._network, writer, upstream_writer)
        self._links.add(link)
        try:
            await asyncio.gather(
                link.carry(reader, upstream_writer, is_request=True),
                link.carry(upstream_reader, writer, is_request=False),
            )
        finally:
            self._links.discard(link)


class _Link:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, network: Network, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.network = network
        self.has_lost_bytes = False
        self.is_over = False
        self._answered = 0
        self._client = client
        self._server = server

    async def carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_request: bool) -> None:
        """Carry one direction until either side ends: then both have ended."""
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if self.network.delay:
                    await asyncio.sleep(self.network.delay)
                if is_request and self.network.silent_from and self.network.silent_from in data:
                    self.network = SILENT
                swallows = self.network.swallows_requests if is_request else self.network.swallows_answers
                self.has_lost_bytes |= swallows
                if not self.has_lost_bytes:
                    sink.write(data if is_request else self._before_the_cut(data))
                    await sink.drain()
                if not is_request and self._is_cut():
                    return self.end(reset=True)
        self.end(reset=False)

    def _before_the_cut(self, data: bytes) -> bytes:
        """Count an answer, and return as much of it as may pass."""
        allowed = self.network.cut_after
        passes = data if allowed is None else data[: max(0, allowed - self._answered)]
        self._answered += len(data) if allowed is not None else 0
        return passes

    def _is_cut(self) -> bool:
        return self.network.cut_after is not None and self._answered >= self.network.cut_after

    def end(self, *, reset: bool) -> None:
        self.is_over = True
        _end(self._client, reset=reset)
        _end(self._server, reset=reset)


def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset and not writer.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
    else:
        writer.close()
