"""Size limits: 16 KB of headers, and a body limit set by the caller."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tools.signalr_emulator.errors import Refused

LARGEST_HEADERS = 16 * 1024


class HeaderLimit:
    """Middleware that returns 431 for a request whose headers are too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        size = sum(len(name) + len(value) + len(": \r\n") for name, value in scope.get("headers", ()))
        if size <= LARGEST_HEADERS:
            await self._app(scope, receive, send)
            return
        refused = Refused(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"The headers are {size} bytes; the limit is {LARGEST_HEADERS}.",
        )
        await refused.response()(scope, receive, send)


async def body_up_to(limit: int, request: Request) -> bytes:
    """The request's body. Raises Refused (413) as soon as it is larger than the limit, without reading the rest."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {limit} bytes.")
    return body
