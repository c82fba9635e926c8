"""The kinds with a schedule over HTTP: viewers read when they run, admins start them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header

from api.audit import Audited
from api.dependencies import App
from api.http.json_bodies import StrictRoute
from api.http.problems import Problem
from api.sign_in.identity import Admin, Viewer
from queued_jobs.model import JobKey
from queued_jobs.push.view import Public
from queued_jobs.schedules import MAX_KEY

routes = APIRouter(prefix="/api/admin", route_class=StrictRoute, tags=["admin"])

Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=MAX_KEY, pattern="^[ -~]+$")]


class ScheduleView(Public):
    kind: str
    #: NCRONTAB in UTC.
    expression: str
    #: The latest occurrence that was started, and the next one.
    last_at: datetime | None
    next_at: datetime


class SchedulesView(Public):
    schedules: tuple[ScheduleView, ...]


class RunView(Public):
    id: JobKey
    #: Whether an earlier request with this key started the job.
    duplicate: bool


@routes.get("/schedules")
async def schedules(caller: Viewer, app: App) -> SchedulesView:
    """Return the kinds that start automatically, each with its last and its next run."""
    found = await app.manager.schedules.all()
    return SchedulesView(schedules=tuple(map(ScheduleView.model_validate, found)))


@routes.post("/kinds/{kind}/run", status_code=202)
async def run(kind: str, key: Key, caller: Admin, audit: Audited, app: App) -> RunView:
    """Start the job of a schedule's latest occurrence once more. A repeated key returns the first job."""
    runner = app.manager.registry.get(kind)
    async with audit.acting("run-now", kind=kind) as acting:
        if runner is None or runner.schedule is None:
            raise Problem(404, "There is no such kind with a schedule.")
        handle = await app.manager.schedules.run_now(kind, key=key)
        acting.changed = int(not handle.duplicate)
    return RunView(id=handle.id, duplicate=handle.duplicate)
