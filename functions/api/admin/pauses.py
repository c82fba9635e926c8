"""Pauses kinds of jobs over HTTP, for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from fastapi import APIRouter

from api.audit import Audited
from api.dependencies import App
from api.http.json_bodies import StrictRoute
from api.http.problems import Problem
from api.sign_in.identity import Admin
from queued_jobs.model import Pause
from queued_jobs.push.view import Public

routes = APIRouter(prefix="/api/admin/kinds", route_class=StrictRoute, tags=["admin"])


class PauseView(Public):
    """Whether a kind is paused now."""

    kind: str
    #: Null unless it is paused.
    paused_at: datetime | None
    paused_by: str | None

    @classmethod
    def of(cls, kind: str, pause: Pause | None) -> Self:
        return cls(
            kind=kind,
            paused_at=None if pause is None else pause.since,
            paused_by=None if pause is None else pause.subject,
        )


@routes.post("/{kind}/pause")
async def pause(kind: str, caller: Admin, audit: Audited, app: App) -> PauseView:
    """Start no further job of a kind until it is resumed. Running jobs continue; waiting jobs keep their order."""
    if app.manager.registry.get(kind) is None:
        raise Problem(404, "There is no such kind.")
    async with audit.acting("pause", kind=kind):
        return PauseView.of(kind, await app.manager.pauses.pause(kind, subject=caller.user_id))


@routes.post("/{kind}/resume")
async def resume(kind: str, caller: Admin, audit: Audited, app: App) -> PauseView:
    """Start the jobs of a paused kind again, the oldest first."""
    paused = {one.kind for one in await app.manager.pauses.all()}
    if kind not in paused and app.manager.registry.get(kind) is None:
        raise Problem(404, "There is no such kind.")
    async with audit.acting("resume", kind=kind):
        await app.manager.pauses.resume(kind)
    return PauseView.of(kind, None)
