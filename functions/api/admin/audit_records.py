"""What admins did, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.dependencies import App
from api.http.json_bodies import StrictRoute
from api.sign_in.identity import Viewer
from queued_jobs.audit import NEWEST
from queued_jobs.push.view import Public

routes = APIRouter(prefix="/api/admin", route_class=StrictRoute, tags=["admin"])


class AuditView(Public):
    """An action of an admin, or of an operator with the command."""

    id: int
    at: datetime
    subject: str
    role: str
    action: str
    #: What it was asked to change, without secrets.
    filter: Mapping[str, Any]
    #: `done`, or the class of the error.
    outcome: str
    #: How many jobs or messages; null if unknown.
    changed: int | None


class AuditPage(Public):
    items: tuple[AuditView, ...]
    #: Pass it as `before` for the next page.
    next_before: int | None


@routes.get("/audit")
async def audit_records(
    caller: Viewer,
    app: App,
    before: Annotated[int, Query(ge=1, le=NEWEST)] = NEWEST,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> AuditPage:
    """Return what admins did, newest first."""
    found = await app.audit.entries(before=before, limit=limit + 1)
    items = tuple(AuditView.model_validate(entry) for entry in found[:limit])
    return AuditPage(items=items, next_before=items[-1].id if len(found) > limit else None)
