"""A server on this machine that answers every request badly, in one of many ways."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tools.local_stack import ports

#: What a connection sends, piece by piece: None resets it.
Answer = Callable[[], "itertools.chain[bytes | None]"]

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_FOREVER = 1_000_000_000
_PACKED = gzip.compress(b" " * 20_000_000)


def _once(*pieces: bytes | None) -> Answer:
    return lambda: itertools.chain(pieces)


def _endless(*start: bytes, then: bytes) -> Answer:
    return lambda: itertools.chain(start, itertools.repeat(then))


#: Those that end, or break off, at once.
PROMPT: dict[str, Answer] = {
    "nothing": _once(),
    "a reset": _once(None),
    "garbage": _once(b"\x00\xff\x16\x03 SSH-2.0 nothing here\r\n\r\n" * 40),
    "another protocol": _once(b"220 mail.example ESMTP\r\n"),
    "a status that is none": _once(b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
    "headers without an end": _once(_HEAD + b"x: y"),
    "a header that is none": _once(_HEAD + b"\x00\x01\x02\r\nContent-Length: 2\r\n\r\n{}"),
    "two lengths": _once(_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "a length that is none": _once(_HEAD + b"Content-Length: many\r\n\r\n{}"),
    "half a body": _once(_HEAD + b'Content-Length: 100\r\n\r\n{"a"'),
    "a reset in mid-body": _once(_HEAD + b'Content-Length: 100\r\n\r\n{"a"', None),
    "chunks that are none": _once(_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "a packed body that is none": _once(_HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
    "nested without an end": _once(_HEAD + b"Content-Length: 60000\r\n\r\n" + b"[" * 60_000),
    "a redirect to itself": _once(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"),
    "a redirect to nowhere": _once(b"HTTP/1.1 301 M\r\nLocation: http://[::\r\nContent-Length: 0\r\n\r\n"),
    "a large body": _once(_HEAD + b"Content-Length: 200000\r\n\r\n" + b" " * 200_000),
    "a body that unpacks to a large one": _once(
        _HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_PACKED) + _PACKED
    ),
    "a server error": _once(b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n<>"),
}
#: Those that go on for ever.
ENDLESS: dict[str, Answer] = {
    "silence": _endless(then=b""),
    "dripping headers": _endless(_HEAD + b"x-drops: ", then=b"x"),
    "a dripping body": _endless(_HEAD + b"Content-Length: %d\r\n\r\n" % _FOREVER, then=b" "),
    "a body without an end": _endless(_HEAD + b"\r\n", then=b" " * 65_536),
    "continues without an end": _endless(then=b"HTTP/1.1 100 Continue\r\n\r\n"),
}
#: To clients that begin with TLS: none of these handshakes ever ends well. Postgres agrees to it with an S.
TLS: dict[str, Answer] = {
    "a handshake without an answer": _endless(then=b""),
    "a handshake that is agreed to and never begins": _endless(b"S", then=b""),
    "a dripping handshake": _endless(b"\x16\x03\x03\x40\x00\x02", then=b"\x00"),
    "a dripping handshake with Postgres": _endless(b"S", b"\x16\x03\x03\x40\x00\x02", then=b"\x00"),
    "no TLS": _once(_HEAD + b"Content-Length: 2\r\n\r\n{}"),
    "an alert": _once(b"\x15\x03\x03\x00\x02\x02\x28"),
}


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[int]:
    """Serve this answer to whatever is asked, and return the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
            for piece in answer():
                if piece is None or writer.is_closing():
                    return
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.02)
            # what the client has still to say must not turn the end into a reset
            writer.write_eof()
            while await reader.read(65_536):
                pass
        except OSError:
            pass  # the client has enough

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not server.is_serving():  # it was accepted at the last moment
            writer.transport.abort()
            return
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        # not in the task, which may be cancelled before it starts
        task.add_done_callback(lambda _: writer.transport.abort())

    server = await asyncio.start_server(accept, ports.LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
