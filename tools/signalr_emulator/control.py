"""Endpoints of the emulator for tests: inject faults, and inspect the state. No token is required."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tools.signalr_emulator.connections import Connection
from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.faults import Faults, Mode
from tools.signalr_emulator.hubs import Hubs
from tools.signalr_emulator.pushes import Pushes

REFUSALS = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
Endpoint = Callable[[Request], Awaitable[Response]]


class ControlEndpoint:
    """Below /_control. POST of a mode starts it, `?count=` limits it; the response has the state of all modes."""

    def __init__(self, *, hubs: Hubs, pushes: Pushes, faults: Faults) -> None:
        self._hubs = hubs
        self._pushes = pushes
        self._faults = faults

    def routes(self) -> list[BaseRoute]:
        """All control endpoints."""
        actions: dict[str, Endpoint] = {
            "drop": self.drop,
            "pause": self._starter(self._faults.discard),
            "resume": self.resume,
            "duplicate": self._starter(self._faults.duplicate),
            "reorder": self._starter(self._faults.reorder),
            "refuse": self.refuse,
            "reset": self.reset,
        }
        views: dict[str, Endpoint] = {"log": self.log, "connections": self.connections}
        return [
            *(Route(f"/_control/{name}", endpoint, methods=["POST"]) for name, endpoint in actions.items()),
            *(Route(f"/_control/{name}", endpoint, methods=["GET"]) for name, endpoint in views.items()),
        ]

    async def drop(self, request: Request) -> Response:
        """Cut all connections, or those of ?user=, without a close frame, as a broken network does."""
        options = _options(request, "user")
        dropped = [
            connection
            for connection in self._hubs.connections()
            if "user" not in options or connection.user == options["user"]
        ]
        for connection in dropped:
            connection.abort()
            self._hubs.remove(connection)
        return JSONResponse({"dropped": len(dropped)})

    async def resume(self, request: Request) -> Response:
        """End a pause."""
        _options(request)
        self._faults.discard.stop()
        return self._state()

    async def refuse(self, request: Request) -> Response:
        """Reject REST and negotiate with ?status=503 (default) or 429; connections are kept."""
        options = _options(request, "status", "count")
        status = options.get("status", str(REFUSALS[0].value))
        if status not in {str(refusal.value) for refusal in REFUSALS}:
            raise Refused(HTTPStatus.BAD_REQUEST, "status must be 503 or 429.")
        self._faults.refusal = HTTPStatus(int(status))
        self._faults.refuse.start(_count(options))
        return self._state()

    async def reset(self, request: Request) -> Response:
        """Turn off all modes, deliver held messages, and clear the log. Connections and groups are kept."""
        _options(request)
        self._pushes.reset()
        return self._state()

    async def log(self, request: Request) -> Response:
        """What REST accepted, oldest first: time, hub, receiver, target, arguments."""
        _options(request)
        return JSONResponse({"pushes": self._pushes.log()})

    async def connections(self, request: Request) -> Response:
        """The connections, oldest first."""
        _options(request)
        return JSONResponse({"connections": [self._describe(each) for each in self._hubs.connections()]})

    def _starter(self, mode: Mode) -> Endpoint:
        async def start(request: Request) -> Response:
            mode.start(_count(_options(request, "count")))
            return self._state()

        return start

    def _state(self) -> Response:
        return JSONResponse({"modes": self._faults.describe()})

    def _describe(self, connection: Connection) -> dict[str, Any]:
        return {
            "id": connection.id,
            "hub": connection.hub,
            "user": connection.user,
            "groups": sorted(self._hubs.groups_of(connection)),
            "transport": connection.transport,
            "waitsInPoll": connection.waits_in_a_poll,
            "connectedAt": connection.connected_at.isoformat(),
        }


def _options(request: Request, *known: str) -> dict[str, str]:
    """The query. Rejects unknown options: a misspelt ?user= must not drop all connections."""
    if "origin" in request.headers:
        raise Refused(HTTPStatus.FORBIDDEN, "Control endpoints are for programs: a web page may not call them.")
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        raise Refused(HTTPStatus.BAD_REQUEST, f"Unknown option {unknown[0]}; known: {', '.join(known) or 'none'}.")
    return dict(request.query_params)


def _count(options: dict[str, str]) -> int | None:
    count = options.get("count")
    if count is None:
        return None
    if not count.isdecimal() or int(count) == 0:
        raise Refused(HTTPStatus.BAD_REQUEST, "count must be a whole number, at least 1.")
    return int(count)
