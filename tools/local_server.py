"""What both emulators require of their clients: the name of this machine, and requests that arrive in time."""

from __future__ import annotations

import asyncio
import re
from typing import Final

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds for the line and the headers of a request, and for its body.
REQUEST_TIMEOUT: Final = 60.0
BAD_REQUEST: Final = 400
_POLICY_VIOLATION: Final = 1008
_LOOPBACK = re.compile(
    r"(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?", re.I | re.ASCII
)


def names_this_machine(host: str) -> bool:
    """Return whether a `Host` header names this machine.

    To a browser, a page whose own name resolves to 127.0.0.1 has the same origin as a server there, and may read its
    responses. The header tells them apart.
    """
    return _LOOPBACK.fullmatch(host) is not None


class LoopbackNames:
    """Middleware that refuses requests with another name of the server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"]
        if scope["type"] == "lifespan" or (len(hosts) == 1 and names_this_machine(hosts[0])):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            await send({"type": "http.response.start", "status": BAD_REQUEST, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})


class PatientProtocol(H11Protocol):
    """Closes a connection whose request does not arrive in time."""

    request_timeout = REQUEST_TIMEOUT
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop()
        elif self._late is None:
            self._late = self.loop.call_later(self.request_timeout, self.transport.close)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
