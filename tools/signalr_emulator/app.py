"""The emulator as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from tools.local_server import LoopbackNames
from tools.signalr_emulator.client import ClientEndpoint
from tools.signalr_emulator.connections import Timings
from tools.signalr_emulator.control import ControlEndpoint
from tools.signalr_emulator.errors import Refused, answer_refusal
from tools.signalr_emulator.faults import Faults
from tools.signalr_emulator.hubs import Hubs
from tools.signalr_emulator.limits import HeaderLimit
from tools.signalr_emulator.pushes import Pushes
from tools.signalr_emulator.rest import RestEndpoint
from tools.signalr_emulator.tokens import AccessKey, RestCallers


def create_app(*, callers: RestCallers, key: AccessKey, hubs: Hubs, timings: Timings) -> Starlette:
    """Create the application for these hubs."""
    faults = Faults()
    pushes = Pushes(hubs, faults)
    routes = [
        *ClientEndpoint(key=key, hubs=hubs, faults=faults, timings=timings).routes(),
        *RestEndpoint(callers=callers, key=key, hubs=hubs, pushes=pushes, faults=faults).routes(),
        *ControlEndpoint(hubs=hubs, pushes=pushes, faults=faults).routes(),
    ]

    @contextlib.asynccontextmanager
    async def watch_hubs(_app: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(hubs.watch())
        yield
        watching.cancel()

    # The client sends credentials by default, with which browsers refuse the origin "*": the caller's is echoed.
    cors = Middleware(
        CORSMiddleware, allow_origin_regex=".*", allow_methods=["*"], allow_headers=["*"], allow_credentials=True
    )
    app = Starlette(
        routes=routes,
        middleware=[Middleware(LoopbackNames), cors, Middleware(HeaderLimit)],
        exception_handlers={Refused: answer_refusal},
        lifespan=watch_hubs,
    )
    app.router.redirect_slashes = False
    return app
