"""The long polling transport: GET waits for frames, POST brings the client's, DELETE ends the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tools.signalr_emulator.connections import Connection, Stage, Timings, Transport, address_of
from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.hubs import Hubs
from tools.signalr_emulator.limits import body_up_to
from tools.signalr_emulator.protocol import LONGEST_MESSAGE


class LongPolling:
    """The transport for networks that block WebSockets. `find` checks the token and returns the connection."""

    def __init__(self, *, hubs: Hubs, timings: Timings, find: Callable[[HTTPConnection], Connection]) -> None:
        self._hubs = hubs
        self._timings = timings
        self._find = find

    def routes(self, path: str) -> list[BaseRoute]:
        """The transport's three methods at this path."""
        return [
            Route(path, self.poll, methods=["GET"]),
            Route(path, self.receive, methods=["POST"]),
            Route(path, self.end, methods=["DELETE"]),
        ]

    async def poll(self, request: Request) -> Response:
        """The first poll opens the connection; a later one returns frames, nothing after a while, or 204.

        204 is the end. A poll whose client has gone does not lose frames.
        """
        connection = self._find(request)
        if connection.stage is Stage.NEGOTIATED:
            connection.attach(Transport.LONG_POLLING, address_of(request))
            return Response()
        self._check_transport(connection)
        frames = asyncio.ensure_future(connection.outbox.take(self._timings.poll))
        client_has_gone = asyncio.ensure_future(_wait_for_disconnect(request))
        connection.polls_with(frames, address_of(request))
        try:
            await asyncio.wait((frames, client_has_gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            frames.cancel()
            client_has_gone.cancel()
        await asyncio.gather(frames, client_has_gone, return_exceptions=True)
        if frames.cancelled():  # the client has disconnected, or polls again
            return Response(status_code=HTTPStatus.NO_CONTENT)
        text = frames.result()
        if text is None:
            self._hubs.remove(connection)
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return Response(text, media_type="text/plain", headers={"Cache-Control": "no-store"})

    async def receive(self, request: Request) -> Response:
        """Process frames of the client."""
        connection = self._find(request)
        self._check_transport(connection)
        connection.receive((await body_up_to(LONGEST_MESSAGE, request)).decode("utf-8", "replace"))
        return Response(media_type="text/plain")

    async def end(self, request: Request) -> Response:
        """End the connection; the waiting poll returns 204."""
        connection = self._find(request)
        self._check_transport(connection)
        connection.close()
        self._hubs.remove(connection)
        return Response(status_code=HTTPStatus.ACCEPTED)

    def _check_transport(self, connection: Connection) -> None:
        if connection.transport is not Transport.LONG_POLLING:
            raise Refused(HTTPStatus.BAD_REQUEST, "The connection does not use long polling.")


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
