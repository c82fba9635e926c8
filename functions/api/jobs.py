"""A user's jobs over HTTP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from azure.core.exceptions import AzureError, ResourceNotFoundError
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, ValidationError

from api.audit import Audited
from api.dependencies import App
from api.http.cursors import cursor_of, cursor_text
from api.http.json_bodies import LimitedRoute
from api.http.problems import Problem
from api.models import (
    After,
    AttemptView,
    BellView,
    ChangedView,
    ChunkLimit,
    ClearedView,
    DownloadView,
    IdsBody,
    JobDetailView,
    RestoredView,
    SeenView,
    StreamView,
    Topic,
    UndoClearBody,
)
from api.sign_in.identity import Principal, SignedIn
from queued_jobs import JobView, QueuedJob
from queued_jobs.errors import JobConflict
from queued_jobs.model import Attempt
from queued_jobs.offload import offload, offload_unless_small
from queued_jobs.redact import mask_secrets, redact_json
from queued_jobs.registry import JobRegistry, RunnerType
from queued_jobs.tracker import ANY_USER, BellPage, Cursor
from storage import blob_service, download_link

IdempotencyKey = Annotated[
    str | None,
    Header(description="Up to 200 printable ASCII characters. The same key again returns the first job."),
]


routes = APIRouter(prefix="/api/jobs", route_class=LimitedRoute, tags=["jobs"])


@routes.get("/mine", response_model=BellView, responses={304: {"description": "Nothing changed."}})
async def mine(
    request: Request,
    caller: SignedIn,
    app: App,
    before: Annotated[str | None, Query(max_length=80)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Response:
    """Return what the caller's bell shows, newest first. Returns 304 for the ETag of an unchanged page."""
    page = await app.manager.tracker.for_user(caller.user_id, before=cursor_of(before), limit=limit)
    # the results of a hundred jobs may be large
    return await offload(_bell_answer, page, caller, app.manager.registry, request.headers.get("if-none-match"))


@routes.post("/seen")
async def seen(body: IdsBody, caller: SignedIn, app: App) -> SeenView:
    """Mark ended jobs as seen."""
    return SeenView(seen=ChangedView.of(await app.manager.tracker.mark_seen(caller.user_id, body.ids)))


@routes.post("/clear-finished")
async def clear_finished(caller: SignedIn, app: App) -> ClearedView:
    """Remove all ended jobs from the bell."""
    cleared, since = await app.manager.tracker.clear_finished(caller.user_id)
    return ClearedView(cleared=ChangedView.of(cleared), cleared_at=since)


@routes.post("/undo-clear")
async def undo_clear(body: UndoClearBody, caller: SignedIn, app: App) -> RestoredView:
    """Restore jobs that were cleared since a given time; without ids, all that were cleared together at that time."""
    restored = await app.manager.tracker.undo_clear(caller.user_id, body.ids, since=body.since)
    return RestoredView(restored=ChangedView.of(restored))


@routes.get("/{job_id:uuid}", response_model=JobDetailView)
async def get(job_id: UUID, caller: SignedIn, app: App) -> Response:
    """Return a job with its request and the history of its attempts."""
    job = await app.manager.tracker.get(job_id, user_id=_whose(caller))
    attempts = await app.manager.tracker.attempts(job_id, user_id=_whose(caller))
    return await offload(_detail, caller, job, attempts, app.manager.registry)


@routes.delete("/{job_id:uuid}", status_code=204)
async def clear(job_id: UUID, caller: SignedIn, app: App) -> None:
    """Remove an ended job from the bell."""
    await app.manager.tracker.clear(caller.user_id, job_id)


@routes.post("/{job_id:uuid}/cancel", status_code=202)
async def cancel(job_id: UUID, caller: SignedIn, audit: Audited, app: App) -> JobView:
    """Cancel a waiting job, or ask a running one to stop."""
    async with audit.acting("cancel", id=job_id) as acting:
        job = await app.manager.tracker.cancel(job_id, user_id=_whose(caller))
        acting.changed = 1
    return await offload(_seen_by, caller, job, app.manager.registry)


@routes.post("/{job_id:uuid}/retry", status_code=202)
async def retry(job_id: UUID, caller: SignedIn, audit: Audited, app: App, from_start: bool = False) -> JobView:
    """Run a failed, aborted or cancelled job again."""
    transaction = None if caller.is_admin else app.quotas.restarting(caller.user_id)
    async with audit.acting("retry", id=job_id) as acting:
        job = await app.manager.tracker.retry(
            job_id, user_id=_whose(caller), from_start=from_start, transaction=transaction
        )
        acting.changed = 1
    return await offload(_seen_by, caller, job, app.manager.registry)


@routes.get("/{job_id:uuid}/download")
async def download(job_id: UUID, caller: SignedIn, app: App) -> DownloadView:
    """Return a new link to the job's file, valid for a quarter of an hour."""
    job = await app.manager.tracker.get(job_id, user_id=caller.user_id)
    file = await offload_unless_small(job.result, app.manager.registry.file, job)
    if file is None:
        raise JobConflict("This job has no file to download.")
    try:
        blob = blob_service().get_blob_client(file.container, file.blob)
        # a storage account that hangs must not block the few threads
        look = partial(blob.get_blob_properties, timeout=2, connection_timeout=2, read_timeout=2, retry_total=0)
        await run_in_threadpool(look)
        link = await run_in_threadpool(download_link, file)  # the signing key may have to be requested
    except ResourceNotFoundError as exc:
        raise Problem(410, "The file has expired. Run the job again to create a new one.") from exc
    except AzureError as exc:
        raise Problem(503, "The file storage is unavailable at the moment.", {"Retry-After": "5"}) from exc
    return DownloadView(url=link.url, expires_at=link.expires_at)


@routes.get("/{job_id:uuid}/stream", response_model=StreamView)
async def stream(
    job_id: UUID, caller: SignedIn, app: App, topic: Topic = None, after: After = 0, limit: ChunkLimit = 500
) -> Response:
    """Return what the job has emitted after the chunk `after`, of one topic or of all: about 1 MiB at most."""
    page = await app.manager.tracker.stream(job_id, user_id=caller.user_id, topic=topic, after=after, limit=limit)
    return await offload(StreamView.response, page)


def start_routes(registry: JobRegistry) -> APIRouter:
    """Return one route per kind, so that the OpenAPI document shows each kind's request."""
    starts = APIRouter(prefix="/api/jobs", route_class=LimitedRoute, tags=["jobs"])
    taken = {getattr(route, "path", "") for route in routes.routes}
    for runner in registry:
        if f"/api/jobs/{runner.kind}" in taken:
            raise TypeError(f"The kind {runner.kind!r} has the same name as another route; rename the kind.")
        starts.add_api_route(
            f"/{runner.kind}",
            _start(runner),
            methods=["POST"],
            status_code=202,
            response_model=JobView,
            name=f"start-{runner.kind}",
            summary=f"Start a job of kind {runner.kind}",
        )
    return starts


def _start(runner: RunnerType) -> Callable[..., Awaitable[JobView]]:
    request_type: Any = Annotated[runner.request_type, BeforeValidator(partial(_from_json, runner.request_type))]

    async def start(
        body: request_type, response: Response, caller: SignedIn, app: App, idempotency_key: IdempotencyKey = None
    ) -> JobView:
        if idempotency_key is not None and not (
            1 <= len(idempotency_key) <= 200 and idempotency_key.isascii() and idempotency_key.isprintable()
        ):
            raise Problem(400, "Idempotency-Key must have 1 to 200 printable ASCII characters.")
        async with app.quotas.starting(caller.user_id) as place:
            if idempotency_key is None:
                place.check()
            handle = await app.manager.queue_job(
                runner,
                body,
                user_id=caller.user_id,
                user_name=caller.display,
                idempotency_key=idempotency_key,
                conn=place.connection,
            )
            if not handle.duplicate:  # a repeated request succeeds even if the quota is exhausted now
                place.check()
        await handle.send()
        response.headers["Location"] = f"/api/jobs/{handle.id}"
        return await offload_unless_small(handle.job.request, JobView.of, handle.job, app.manager.registry)

    # the framework resolves annotations by name in this module, where the kind's type has no name
    start.__annotations__ = {
        "body": request_type,
        "response": Response,
        "caller": SignedIn,
        "app": App,
        "idempotency_key": IdempotencyKey,
        "return": JobView,
    }
    return start


def _from_json(request_type: type[BaseModel], value: object) -> object:
    """Validate the request as JSON: a strict model accepts strings for times and the like only from JSON."""
    try:
        return request_type.model_validate_json(json.dumps(value))
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False)
        raise RequestValidationError([{**error, "loc": ("body", *error["loc"])} for error in errors]) from exc


def _whose(caller: Principal) -> Any:
    return ANY_USER if caller.is_admin else caller.user_id


def _bell_answer(page: BellPage, caller: Principal, registry: JobRegistry, known: str | None) -> Response:
    view = BellView(
        items=tuple(JobView.of(job, registry) for job in page.jobs),
        unseen=page.unseen,
        running=page.running,
        more=page.more,
        next_before=cursor_text(Cursor.after(page.jobs[-1])) if page.more else None,
        server_time=page.now,
    )
    headers = {"ETag": _etag(view, caller), "Vary": "Authorization"}
    if known == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return JSONResponse(view.model_dump(mode="json", by_alias=True), headers=headers)


def _detail(caller: Principal, job: QueuedJob, attempts: list[Attempt], registry: JobRegistry) -> Response:
    view = JobDetailView(
        **dict(_seen_by(caller, job, registry)),
        request=job.request if job.user_id == caller.user_id else redact_json(job.request),
        attempts=tuple(AttemptView.model_validate(attempt) for attempt in attempts),
    )
    return JSONResponse(view.model_dump(mode="json", by_alias=True))


def _seen_by(caller: Principal, job: QueuedJob, registry: JobRegistry) -> JobView:
    """Return the view for this caller: for an admin, secrets in other users' labels and results are masked."""
    view = JobView.of(job, registry)
    if job.user_id == caller.user_id:
        return view
    return view.model_copy(update={"label": mask_secrets(view.label), "result": redact_json(view.result)})


def _etag(view: BellView, caller: Principal) -> str:
    shown = [caller.user_id, view.model_dump(mode="json", exclude={"server_time"})]
    return f'"{hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:32]}"'
