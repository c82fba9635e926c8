"""The client endpoint: negotiate, and the WebSockets transport."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from tools.signalr_emulator import protocol
from tools.signalr_emulator.connections import Connection, Stage, Timings, Transport, address_of
from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.faults import Faults
from tools.signalr_emulator.hubs import Hubs, checked_hub_name
from tools.signalr_emulator.long_polling import LongPolling
from tools.signalr_emulator.tokens import AccessKey

CLIENT_PATHS = ("/client/", "/client")


class ClientEndpoint:
    """The endpoints for browsers. Every request carries the token from the app's own negotiate response."""

    def __init__(self, *, key: AccessKey, hubs: Hubs, faults: Faults, timings: Timings) -> None:
        self._key = key
        self._hubs = hubs
        self._faults = faults
        self._timings = timings

    def routes(self) -> list[BaseRoute]:
        """The routes of negotiate and of both transports."""
        routes: list[BaseRoute] = [Route("/client/negotiate", self.negotiate, methods=["POST"])]
        polling = LongPolling(hubs=self._hubs, timings=self._timings, find=self._find)
        for path in CLIENT_PATHS:
            routes.append(WebSocketRoute(path, self.web_socket))
            routes.extend(polling.routes(path))
        return routes

    async def negotiate(self, request: Request) -> Response:
        """A client's second negotiate request, after the app's: returns a connection to the hub of the URL."""
        if self._faults.refuse.strikes():
            raise Refused(self._faults.refusal, "Refused by /_control/refuse.")
        hub = checked_hub_name(request.query_params.get("hub", ""))
        connection = self._hubs.negotiate(hub, self._key.check_client(request))
        return JSONResponse(
            {
                "negotiateVersion": 1,
                "connectionId": connection.id,
                "connectionToken": connection.token,
                "availableTransports": [{"transport": name, "transferFormats": ["Text"]} for name in Transport],
            }
        )

    async def web_socket(self, socket: WebSocket) -> None:
        """Serve one WebSocket until either side ends it; rejected before it is accepted if the token is not valid."""
        connection = self._find(socket)
        connection.attach(Transport.WEB_SOCKETS, address_of(socket))
        try:
            await socket.accept()
            await self._exchange(socket, connection)
        finally:
            connection.close()
            self._hubs.remove(connection)

    def _find(self, request: HTTPConnection) -> Connection:
        hub = checked_hub_name(request.query_params.get("hub", ""))
        identity = self._key.check_client(request)
        token = request.query_params.get("id")
        if token:
            return self._hubs.find(token, hub, identity)
        if request.scope["type"] == "websocket":
            return self._hubs.negotiate(hub, identity)  # a client that skips negotiation
        raise Refused(HTTPStatus.BAD_REQUEST, "Connection ID required")

    async def _exchange(self, socket: WebSocket, connection: Connection) -> None:
        directions = [
            asyncio.create_task(self._send(socket, connection)),
            asyncio.create_task(self._receive(socket, connection)),
        ]
        try:
            ended, _ = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for direction in ended:
                direction.result()
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _send(self, socket: WebSocket, connection: Connection) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while (frames := await connection.outbox.take(self._timings.keepalive)) is not None:
                if frames:
                    await socket.send_text(frames)
                elif connection.stage is Stage.READY:
                    await socket.send_text(protocol.PING)
            await socket.close()

    async def _receive(self, socket: WebSocket, connection: Connection) -> None:
        while socket.client_state is WebSocketState.CONNECTED:
            message = await socket.receive()
            if message["type"] == "websocket.receive":
                connection.receive(message.get("text") or message.get("bytes", b"").decode("utf-8", "replace"))
