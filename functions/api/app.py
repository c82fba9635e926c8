"""Assembles the HTTP API: routes, error responses, headers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api import health, jobs, static_files, uploads
from api.admin import audit_records, erasure, pauses, requests, schedules, workers
from api.admin import routes as admin
from api.audit import check_audits
from api.http import openapi, problems
from api.http.headers import SecureHeaders, content_security_policy, with_origins, with_websocket
from api.http.time_limit import TimeLimit
from api.sign_in import session
from api.sign_in.identity import check_policies
from api.sign_in.invite import InviteAuthenticator
from api.sign_in.oidc import OidcAuthenticator
from services import Services
from storage import origin


def create_api(services: Services, *, web: Path) -> ASGIApp:
    """Return the ASGI application. Raises `NoPolicy` for a route without a policy."""
    app = FastAPI(
        title="HTTP API of the jobs",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    problems.install(app)
    app.add_middleware(problems.ProblemOn500)
    app.add_middleware(TimeLimit)
    connect = [*with_websocket(services.notifier.endpoint), origin()]
    known: list[APIRoute] = []
    for routes in _routers(services, web, connect):
        known += check_policies(routes)
        check_audits(routes)
        app.include_router(routes)
    app.state.all_routes = known
    openapi.install(app, known)
    open_to_others = with_origins(app, services.settings.allowed_origins)
    secure = SecureHeaders(
        open_to_others,
        policy=content_security_policy(connect),
        only_tls=services.settings.environment != "local",
    )
    return _AnswerLifespan(secure)


def _routers(services: Services, web: Path, connect: Sequence[str]) -> list[APIRouter]:
    authenticator = services.authenticator

    async def page_policy() -> str:
        signing_in = await authenticator.origins() if isinstance(authenticator, OidcAuthenticator) else []
        return content_security_policy([*connect, *signing_in])

    return [
        *([session.invite_routes(authenticator)] if isinstance(authenticator, InviteAuthenticator) else []),
        session.routes,
        jobs.start_routes(services.manager.registry),
        jobs.routes,
        uploads.routes,
        admin.routes,
        pauses.routes,
        schedules.routes,
        requests.routes,
        erasure.routes,
        workers.routes,
        audit_records.routes,
        health.routes,
        static_files.router(web, blob_origin=origin(), sign_in=services.settings.sign_in, policy=page_policy),
    ]


class _AnswerLifespan:
    """Handles the lifespan protocol: the bridge to the host starts it on the first request, possibly several times.

    So no resource may depend on it; pools and clients open on first use instead.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await self._app(scope, receive, send)
