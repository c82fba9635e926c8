"""Ends each request in time, however many statements it runs and whatever they wait for."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from queued_jobs import database


class TimeLimit:
    """Limits the total time of a request's statements: returns 503 instead of waiting for one after the other."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with database.total_time(database.REQUEST_TIME):
            await self._app(scope, receive, send)
