"""Puts the HTTP API together: routes, error answers, headers."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from api import client, health, jobs, problems, session, uploads
from api.headers import SecureHeaders, content_security_policy, with_websocket
from api.identity import check_policies
from services import Services
from storage import origin


def create_api(services: Services, *, web: Path) -> ASGIApp:
    """Return the ASGI application. Raises `TypeError` for a route without a policy."""
    app = FastAPI(
        title="queued-jobs",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    problems.install(app)
    app.add_middleware(problems.ProblemOn500)
    for routes in (
        session.routes,
        jobs.start_routes(services.registry),
        jobs.routes,
        uploads.routes,
        health.routes,
        client.router(web, blob_origin=origin()),
    ):
        check_policies(routes)
        app.include_router(routes)
    policy = content_security_policy([*with_websocket(services.notifier.endpoint), origin()])
    return _AnswerLifespan(SecureHeaders(app, policy=policy))


class _AnswerLifespan:
    """Answers the lifespan protocol itself: the bridge to the host starts it on the first request, several times over.

    So nothing may live in it; pools and clients open on first use instead.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await self._app(scope, receive, send)
