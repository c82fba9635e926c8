"""The stand-in as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from scripts.local.signalr.client import ClientEndpoint
from scripts.local.signalr.connections import Timings
from scripts.local.signalr.control import ControlEndpoint
from scripts.local.signalr.errors import Refused, answer_refusal
from scripts.local.signalr.faults import Faults
from scripts.local.signalr.hubs import Hubs
from scripts.local.signalr.limits import HeaderLimit
from scripts.local.signalr.pushes import Pushes
from scripts.local.signalr.rest import RestEndpoint
from scripts.local.signalr.tokens import AccessKey, RestCallers


def create_app(*, callers: RestCallers, key: AccessKey, hubs: Hubs, timings: Timings) -> Starlette:
    """Put the endpoints together around these hubs."""
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
        middleware=[cors, Middleware(HeaderLimit)],
        exception_handlers={Refused: answer_refusal},
        lifespan=watch_hubs,
    )
    app.router.redirect_slashes = False
    return app
