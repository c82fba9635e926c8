"""Converts every error to `application/problem+json` (RFC 9457), without internal details."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from queued_jobs.errors import (
    InvalidRequest,
    JobConflict,
    JobNotFound,
    JobsError,
    KeyReused,
    StoreRefused,
    StoreUnavailable,
)
from queued_jobs.quotas import LimitReached, TooBusy

logger = logging.getLogger(__name__)

_STATUS: dict[type[JobsError], int] = {
    InvalidRequest: 422,
    StoreRefused: 422,
    KeyReused: 422,
    JobNotFound: 404,
    JobConflict: 409,
    LimitReached: 429,
    StoreUnavailable: 503,
    TooBusy: 503,
}
_RETRY_AFTER = "5"
#: For every path that names nothing, whatever the method.
NOTHING = "There is nothing here: no such address, and no such kind of job."
#: Maximum number of field errors in a response: a long list may have as many invalid values.
_MAX_ERRORS = 100
#: Maximum length of the first of them in the message for people.
_MAX_FIRST = 300


class Problem(HTTPException):
    """Raise it from a route or a dependency, with a message that tells the caller what to do."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, dict(headers or {}))


def install(app: FastAPI) -> None:
    """Install the error handlers."""

    @app.exception_handler(HTTPException)
    async def http(request: Request, exc: HTTPException) -> JSONResponse:
        headers = dict(exc.headers or {})
        if exc.status_code == HTTPStatus.NOT_FOUND and not isinstance(exc, Problem):
            return _response(request.scope, 404, NOTHING, headers=headers)
        if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(_allowed(request)))
        return _response(request.scope, exc.status_code, exc.detail, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> JSONResponse:
        errors = exc.errors()
        if any(error["loc"][0] == "path" for error in errors):
            return _response(request.scope, 404, NOTHING)
        # without the input, which may contain secrets
        fields = [
            {"field": ".".join(map(str, error["loc"][1:])), "message": error["msg"]} for error in errors[:_MAX_ERRORS]
        ]
        first = ": ".join(filter(None, fields[0].values()))
        return _response(request.scope, 422, f"The request is not valid. {first[:_MAX_FIRST]}", errors=fields)

    @app.exception_handler(JobsError)
    async def jobs(request: Request, exc: JobsError) -> JSONResponse:
        status = _STATUS.get(type(exc))
        if status is None:
            raise exc
        if isinstance(exc, (LimitReached, TooBusy)):
            return _response(request.scope, status, str(exc), headers={"Retry-After": seconds(exc.retry_after)})
        if isinstance(exc, StoreRefused):  # the message of Postgres may quote the value
            return _response(request.scope, status, "The request contains a value that cannot be stored.")
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            logger.error("%s", exc)
            detail = "The database is unavailable at the moment. Try again in a few seconds."
            return _response(request.scope, status, detail, headers={"Retry-After": _RETRY_AFTER})
        return _response(request.scope, status, str(exc))


def seconds(wait: timedelta) -> str:
    """Format a delay for the `Retry-After` header, in whole seconds, at least 1."""
    return str(max(1, math.ceil(wait.total_seconds())))


def _allowed(request: Request) -> set[str]:
    """Return the methods of all routes with this path; the framework returns only the methods of one route."""
    methods: set[str] = set()
    for route in request.app.state.all_routes:
        match, _ = route.matches({**request.scope, "method": ""})
        if match is not Match.NONE:
            methods |= route.methods or set()
    return methods


class ProblemOn500:
    """Returns 500 inside the framework's own handler, whose response the bridge to the host would drop."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            request_id = _request_id(scope)
            logger.exception("request %s failed", request_id)
            if started:
                raise
            await _response(scope, 500, f"Internal server error. Quote {request_id} when you report it.")(
                scope, receive, send
            )


def _response(
    scope: Scope, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
) -> JSONResponse:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": scope["path"],
        "requestId": _request_id(scope),
        **extra,
    }
    return JSONResponse(body, status, headers=dict(headers or {}), media_type="application/problem+json")


def _request_id(scope: Scope) -> str:
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        state["request_id"] = str(scope.get("azure_functions.invocation_id") or uuid4())
    return str(state["request_id"])
