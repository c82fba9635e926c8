"""All users' jobs over HTTP, for operators: viewers read, admins act."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse, StreamingResponse

from api.admin.export import MAX_ROWS, csv_pieces, file_name
from api.admin.filters import MAX_JOBS, JobFilters, ListFilters
from api.admin.job_models import (
    AdminJobDetailView,
    AdminPage,
    BulkBody,
    BulkView,
    CountFilters,
    CountView,
    OptionsView,
    StatusCountsView,
    admin_views,
)
from api.admin.stats_models import (
    FailuresView,
    QueuesView,
    QueueView,
    RedriveView,
    StatsView,
)
from api.audit import Audited
from api.dependencies import App
from api.http.cursors import cursor_of, cursor_text
from api.http.json_bodies import StrictRoute
from api.http.masking import json_bytes
from api.http.problems import Problem
from api.models import After, ChunkLimit, StreamView, Topic
from api.sign_in.identity import Admin, Viewer
from queued_jobs.errors import JobNotFound, SendFailed
from queued_jobs.model import Attempt, QueuedJob
from queued_jobs.offload import offload
from queued_jobs.queues import QueueDepth
from queued_jobs.redact import redact_json
from queued_jobs.registry import JobRegistry
from queued_jobs.tracker import ANY_USER

logger = logging.getLogger(__name__)

_MAX_MINUTES = 400 * 24 * 60

Minutes = Annotated[int, Query(ge=1, le=_MAX_MINUTES)]

routes = APIRouter(prefix="/api/admin", route_class=StrictRoute, tags=["admin"])


@routes.get("/options")
async def options(caller: Viewer, app: App) -> OptionsView:
    """Return the caller's permissions, and the values to filter by."""
    return OptionsView(
        can_act=caller.is_admin,
        kinds=tuple(sorted(runner.kind for runner in app.manager.registry)),
        queues=tuple(sorted(app.manager.registry.queues)),
        most_rows=MAX_ROWS,
    )


@routes.get("/jobs")
async def search(filters: Annotated[ListFilters, Query()], caller: Viewer, app: App) -> AdminPage:
    """Return a page of matching jobs, newest first."""
    page = await app.manager.tracker.search(
        filters.to_query(), before=cursor_of(filters.before), limit=filters.limit, traces=caller.is_admin
    )
    labels = await app.manager.tracker.labels(page.jobs)
    items = await offload(admin_views, page.jobs, labels, can_act=caller.is_admin)
    return AdminPage(items=items, next_before=None if page.next is None else cursor_text(page.next))


@routes.get("/jobs.csv", response_class=StreamingResponse)
async def export(filters: Annotated[JobFilters, Query()], caller: Viewer, app: App) -> StreamingResponse:
    """Return the matching jobs as a CSV file: up to 50,000, newest first."""
    query = filters.to_query()
    # read before the response starts, so that an error gets an error status
    first = await app.manager.tracker.search(query, limit=MAX_JOBS, traces=caller.is_admin)
    pieces = csv_pieces(app.manager.tracker, query, first, traces=caller.is_admin)
    headers = {"Content-Disposition": f'attachment; filename="{file_name(filters)}"'}
    return StreamingResponse(pieces, media_type="text/csv", headers=headers)


@routes.get("/jobs/count")
async def count(filters: Annotated[CountFilters, Query()], caller: Viewer, app: App) -> CountView:
    """Count the matching jobs, or the jobs that a bulk action would change; up to 10,000."""
    query = filters.to_query()
    if filters.action is not None:
        query = query.retryable() if filters.action == "retry" else query.cancellable()
    return CountView.model_validate(await app.manager.tracker.count(query, traces=caller.is_admin))


@routes.get("/jobs/statuses")
async def count_statuses(filters: Annotated[JobFilters, Query()], caller: Viewer, app: App) -> StatusCountsView:
    """Count the jobs of each status that match the filters but `status`; each up to 1,000."""
    counts = await app.manager.tracker.count_statuses(filters.to_query(), traces=caller.is_admin)
    return StatusCountsView.model_validate({"counts": counts})


@routes.post("/jobs/bulk")
async def bulk(body: BulkBody, caller: Admin, audit: Audited, app: App) -> BulkView:
    """Retry or cancel the matching jobs whose state allows it: up to `limit` per call.

    Jobs that were created or ended after `asOf` are skipped, so that no job is retried twice, however often the
    request is sent.
    """
    act = app.manager.tracker.retry_all if body.action == "retry" else app.manager.tracker.cancel_all
    filters = body.filters.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    async with audit.acting(f"{body.action}-all", **filters, asOf=body.as_of) as acting:
        report = await act(body.filters.to_query(), as_of=body.as_of, before=cursor_of(body.before), limit=body.limit)
        acting.changed = report.changed
    return BulkView.of(report, None if report.next is None else cursor_text(report.next))


@routes.get("/jobs/{job_id:uuid}", response_model=AdminJobDetailView)
async def get(job_id: UUID, caller: Viewer, app: App) -> Response:
    """Return all data of a job. Secrets are masked, and values larger than 100 KiB are truncated."""
    job = await app.manager.tracker.get(job_id, user_id=ANY_USER)
    attempts = await app.manager.tracker.attempts(job_id, user_id=ANY_USER)
    return await offload(_detail, job, attempts, app.manager.registry, can_act=caller.is_admin)


@routes.get("/jobs/{job_id:uuid}/payload/{part}")
async def payload(job_id: UUID, part: Literal["request", "result"], caller: Viewer, app: App) -> Response:
    """Return the whole request or result as a JSON file. Secrets are masked."""
    job = await app.manager.tracker.get(job_id, user_id=ANY_USER)
    content = job.request if part == "request" else job.result
    if content is None:
        raise JobNotFound("This job has no result.")
    headers = {"Content-Disposition": f'attachment; filename="{job_id}-{part}.json"'}
    shown = await offload(lambda: json_bytes(redact_json(content)))
    return Response(shown, media_type="application/json", headers=headers)


@routes.get("/jobs/{job_id:uuid}/stream", response_model=StreamView)
async def stream(
    job_id: UUID, caller: Viewer, app: App, topic: Topic = None, after: After = 0, limit: ChunkLimit = 500
) -> Response:
    """Return what a job has emitted after the chunk `after`, of one topic or of all. Secrets are masked."""
    page = await app.manager.tracker.stream(job_id, user_id=ANY_USER, topic=topic, after=after, limit=limit)
    return await offload(StreamView.response, page)


@routes.get("/failures")
async def failures(caller: Viewer, app: App, minutes: Minutes = 24 * 60) -> FailuresView:
    """Group the jobs that failed in the last `minutes` by error, largest group first."""
    found = await app.manager.tracker.failures(window=timedelta(minutes=minutes))
    return await offload(FailuresView.model_validate, found)


@routes.get("/stats")
async def stats(
    caller: Viewer,
    app: App,
    minutes: Minutes = 24 * 60,
    bucket_minutes: Annotated[Minutes, Query(alias="bucketMinutes")] = 30,
) -> StatsView:
    """Return counts and durations of the last `minutes`, in buckets aligned in UTC."""
    found = await app.manager.tracker.stats(window=timedelta(minutes=minutes), bucket=timedelta(minutes=bucket_minutes))
    return StatsView.of(found)


@routes.get("/queues")
async def queues(caller: Viewer, app: App) -> QueuesView:
    """Return the queues, each with its messages and poisoned messages (null if unavailable), and its waiting jobs."""
    minute = timedelta(minutes=1)
    kinds = (await app.manager.tracker.stats(window=minute, bucket=minute)).kinds
    pauses = {pause.kind: pause for pause in await app.manager.pauses.all()}
    by_queue = {runner.queue: runner.kind for runner in app.manager.registry}
    names = sorted(by_queue)
    depths = await asyncio.gather(*(_depth(app, queue) for queue in names))
    return QueuesView(
        queues=tuple(
            QueueView.of(queue, depth, kind, kinds.get(kind), pauses.get(kind))
            for queue, depth, kind in zip(names, depths, map(by_queue.__getitem__, names), strict=True)
        )
    )


async def _depth(app: App, queue: str) -> QueueDepth | None:
    try:
        (depth,) = await app.queues.depths(queue)
    except SendFailed as exc:
        logger.warning("%s", exc)
        return None
    return depth


@routes.post("/queues/{queue}/redrive")
async def redrive(queue: str, caller: Admin, audit: Audited, app: App) -> RedriveView:
    """Move up to 1,000 poisoned messages back to their queue."""
    if queue not in app.manager.registry.queues:
        raise Problem(404, "There is no such queue.")
    try:
        async with audit.acting("redrive", queue=queue) as acting:
            acting.changed = await app.queues.redrive(queue)
        return RedriveView(moved=acting.changed)
    except SendFailed as exc:
        detail = "The queues are unavailable at the moment. Try again in a few seconds."
        raise Problem(503, detail, {"Retry-After": "5"}) from exc


def _detail(job: QueuedJob, attempts: list[Attempt], registry: JobRegistry, *, can_act: bool) -> Response:
    view = AdminJobDetailView.of_job(job, attempts, registry, can_act=can_act)
    return JSONResponse(view.model_dump(mode="json", by_alias=True))
