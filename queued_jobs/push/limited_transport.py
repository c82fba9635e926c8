"""An HTTP transport that reads only small responses: a notifier needs a status and at most a token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx

MAX_RESPONSE_BYTES = 65_536


class LimitedTransport(httpx.AsyncBaseTransport):
    """Sends requests through another transport. Raises `httpx.ReadError` for a response that is too large.

    A compressed response is refused too, since a small one can decompress to any size.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["accept-encoding"] = "identity"
        response = await self._transport.handle_async_request(request)
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError(f"a transport for async clients returned {type(response.stream).__name__}")
        response.stream = _LimitedStream(response.stream)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.stream.aclose()
            raise httpx.ReadError("the response is compressed, although compression was not accepted")
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


class _LimitedStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_RESPONSE_BYTES
        async for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise httpx.ReadError(f"the response is larger than {MAX_RESPONSE_BYTES:,} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
