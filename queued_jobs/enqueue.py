"""Starts jobs: stores a row, and sends a message that wakes a worker."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from psycopg import AsyncConnection
from pydantic import BaseModel

from queued_jobs import telemetry
from queued_jobs._arguments import check_key, check_text, check_user
from queued_jobs._descriptions import describe
from queued_jobs.backend import Backend
from queued_jobs.errors import InvalidRequest, StoreRefused
from queued_jobs.handle import JobHandle
from queued_jobs.model import JobKey, NewJob
from queued_jobs.offload import offload
from queued_jobs.redact import to_storable_text
from queued_jobs.repository import OCCURRENCE, hold_for
from queued_jobs.serialization import NotStorable, form_of

if TYPE_CHECKING:
    from queued_jobs.runner import JobRunner

_MAX_DELAY = timedelta(days=36_500)
_MAX_USER_NAME = 200


async def queue_job[Request: BaseModel, Result: BaseModel | None](
    backend: Backend,
    runner: type[JobRunner[Request, Result]],
    request: Request,
    *,
    user_id: str,
    unique_key: str | None = None,
    parent_id: JobKey | None = None,
    conn: AsyncConnection[Any] | None = None,
    **options: Any,
) -> JobHandle[Result]:
    """See `QueueManager.queue_job`."""
    check_runner(runner)
    if parent_id is not None:
        check_key("parent_id", parent_id, backend.repository.key_type)
    check_text("unique_key", unique_key, 200)
    with telemetry.enqueuing(runner.kind, runner.queue) as traceparent:
        (key,) = await backend.repository.new_keys(1, conn=conn)
        job = await offload(
            partial(new_job, runner, request, key),
            user_id=user_id,
            unique_key=unique_key,
            parent_id=parent_id,
            traceparent=traceparent,
            **options,
        )
        (handle,) = await store(backend, [(runner, job)], conn)
        if conn is None:
            await handle.send()
    return handle


def new_job[Request: BaseModel](
    runner: type[JobRunner[Request, Any]],
    request: Request,
    key: JobKey,
    *,
    user_id: str,
    delay: timedelta = timedelta(),
    priority: str | None = None,
    idempotency_key: str | None = None,
    user_name: str | None = None,
    **others: Any,
) -> NewJob:
    """Build the row for a job. Raises `InvalidRequest` if the request would not survive being stored and read back.

    Can be slow for large requests.
    """
    check_user(user_id)
    check_text("user_name", user_name, _MAX_USER_NAME)
    check_text("idempotency_key", idempotency_key, 200)
    wait: object = delay
    if not isinstance(wait, timedelta):
        raise InvalidRequest(f"delay must be a timedelta, such as timedelta(minutes=5), not {describe(wait)}.")
    if delay > _MAX_DELAY:
        # Python cannot represent times after the year 9999, so listing such a job would fail
        raise InvalidRequest(f"The delay is {delay}, but must be at most {_MAX_DELAY.days:,} days.")
    if priority is not None and priority not in runner.priorities:
        raise InvalidRequest(
            f"{runner.kind} has no priority {describe(priority)}. "
            f"Its priorities: {', '.join(runner.priorities) or 'none'}."
        )
    stored = _stored(runner, request)
    # after the request was checked, since the kind's own code expects one of its type
    concurrency_key = runner.concurrency_key(request, user_id)
    check_text("concurrency_key", concurrency_key, 200)
    return NewJob(
        id=key,
        kind=runner.kind,
        schema_version=runner.schema_version,
        queue=runner.queue if priority is None else f"{runner.queue}-{priority}",
        user_id=user_id,
        # shown to admins beside other names, which it must neither hide nor reorder
        user_name=_shown(user_name) or None,
        **stored,
        max_attempts=runner.retry.max_attempts,
        delay=max(delay, timedelta()),
        idempotency_key=idempotency_key,
        concurrency_key=concurrency_key,
        **others,
    )


def _shown(name: str | None) -> str:
    # composed, since a search compares characters
    return to_storable_text(" ".join(unicodedata.normalize("NFC", name or "").split()), _MAX_USER_NAME)


def _stored[Request: BaseModel](runner: type[JobRunner[Request, Any]], request: Request) -> dict[str, Any]:
    try:
        form = form_of(runner.request_type)
        return {"request": form.dump(request), "asked": form.digest(request)}
    except NotStorable as exc:
        raise InvalidRequest(f"The request of {runner.kind} cannot be stored: {exc}.") from exc


def digest_of[Request: BaseModel](runner: type[JobRunner[Request, Any]], request: Request) -> str:
    """Return the digest of the fields that the caller has set. Raises `InvalidRequest` as `new_job` does."""
    try:
        return form_of(runner.request_type).digest(request)
    except NotStorable as exc:
        raise InvalidRequest(f"The request of {runner.kind} cannot be stored: {exc}.") from exc


async def store(
    backend: Backend,
    jobs: Sequence[tuple[type[JobRunner[Any, Any]], NewJob]],
    conn: AsyncConnection[Any] | None,
) -> list[JobHandle[Any]]:
    """Store the rows, and return their handles in the same order."""
    reserved_until = time.monotonic() + hold_for(len(jobs)).total_seconds()
    try:
        added = await backend.repository.add(*(job for _, job in jobs), conn=conn)
    except StoreRefused as exc:
        raise InvalidRequest(str(exc)) from exc
    for one in added:
        if not one.duplicate:
            telemetry.queued(one.job)
    return [
        JobHandle(
            job=one.job,
            duplicate=one.duplicate,
            runner=runner,
            delay=job.delay,
            backend=backend,
            sent=one.job.status.is_final or one.job.sent_gen >= one.job.dispatch_gen,
            reserved_until=reserved_until,
        )
        for (runner, job), one in zip(jobs, added, strict=True)
    ]


def check_runner(runner: object) -> None:
    """Raise `TypeError` unless it is a kind of jobs."""
    if not (isinstance(runner, type) and hasattr(runner, "kind") and hasattr(runner, "request_type")):
        raise TypeError(f"The runner must be a subclass of JobRunner that has a kind, not {describe(runner)}.")


def check_key_of_caller(key: object) -> None:
    """Raise `InvalidRequest` for a key of scheduled jobs: the latest one of these is never deleted."""
    if isinstance(key, str) and key.startswith(OCCURRENCE):
        raise InvalidRequest(f"idempotency_key must not begin with {OCCURRENCE!r}, which marks scheduled jobs.")
