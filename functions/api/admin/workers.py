"""What workers run now, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from fastapi import APIRouter

from api.dependencies import App
from api.http.json_bodies import StrictRoute
from api.sign_in.identity import Viewer
from queued_jobs.dashboard.workers import RunningJob
from queued_jobs.model import JobKey
from queued_jobs.push.view import MaskedText, Public, fields_of
from queued_jobs.registry import JobRegistry

routes = APIRouter(prefix="/api/admin", route_class=StrictRoute, tags=["admin"])


class RunningJobView(Public):
    """An attempt that a worker runs now."""

    worker_id: MaskedText | None
    id: JobKey
    kind: str
    attempt: int
    started_at: datetime
    #: Of the worker, by the kind's lease; null for a kind that this application does not have.
    heartbeat_at: datetime | None
    lease_until: datetime
    #: Whether the lease has ended: the worker was lost, and the job will be sent again.
    is_overdue: bool

    @classmethod
    def of(cls, job: RunningJob, registry: JobRegistry) -> Self:
        runner = registry.get(job.kind)
        beat = None if runner is None else max(job.started_at, job.lease_until - runner.lease)
        return cls.model_validate(fields_of(job) | {"heartbeat_at": beat})


class WorkersView(Public):
    running: tuple[RunningJobView, ...]
    #: Whether there are more than these 500.
    more: bool


@routes.get("/workers")
async def workers(caller: Viewer, app: App) -> WorkersView:
    """Return what workers run now, by worker and start. A worker without a job is not listed."""
    found = await app.manager.tracker.workers()
    running = tuple(RunningJobView.of(job, app.manager.registry) for job in found.running)
    return WorkersView(running=running, more=found.more)
