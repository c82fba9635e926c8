"""Starts many jobs together, and a follow-up when all of them have ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from pydantic import BaseModel

from queued_jobs import telemetry
from queued_jobs._arguments import check_key, check_text, check_type
from queued_jobs.backend import Backend
from queued_jobs.enqueue import check_runner, new_job, store
from queued_jobs.errors import InvalidRequest
from queued_jobs.handle import JobHandle, send_all
from queued_jobs.model import JobKey, NewJob
from queued_jobs.offload import offload
from queued_jobs.runner import JobRunner

_MAX_JOBS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp[Request: BaseModel]:
    """A job that runs once all jobs of a batch have ended, in any state. It reads them with `JobContext.batch`."""

    runner: type[JobRunner[Request, Any]]
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch[Result: BaseModel | None]:
    """Jobs that were stored together.

    Attributes
    ----------
    id
        The `batch_id` of their rows.
    handles
        In the order of the requests.
    follow_up
        The job that waits for them, if there is one.
    """

    id: UUID
    handles: Sequence[JobHandle[Result]]
    follow_up: JobHandle[Any] | None

    async def send(self) -> None:
        """Send all messages and notify the owner, as `JobHandle.send` does for one job."""
        await send_all([*self.handles, *([self.follow_up] if self.follow_up else [])])


async def queue_jobs[Request: BaseModel, Result: BaseModel | None](
    backend: Backend,
    runner: type[JobRunner[Request, Result]],
    requests: Sequence[Request],
    *,
    user_id: str,
    user_name: str | None = None,
    delay: timedelta = timedelta(),
    priority: str | None = None,
    idempotency_key: str | None = None,
    parent_id: JobKey | None = None,
    follow_up: FollowUp[Any] | None = None,
    conn: AsyncConnection[Any] | None = None,
) -> Batch[Result]:
    """See `QueueManager.queue_jobs`."""
    check_runner(runner)
    check_type("requests", requests, Sequence)
    if follow_up is not None:
        check_type("follow_up", follow_up, FollowUp)
        check_runner(follow_up.runner)
    if parent_id is not None:
        check_key("parent_id", parent_id, backend.repository.key_type)
    if len(requests) > _MAX_JOBS:
        raise InvalidRequest(f"A batch may have {_MAX_JOBS:,} jobs, not {len(requests):,}; queue it in parts.")
    check_text("idempotency_key", idempotency_key, 190)
    batch_id = uuid4()
    keys = await backend.repository.new_keys(len(requests) + 1, conn=conn)
    with telemetry.enqueuing(runner.kind, runner.queue) as traceparent:
        options: dict[str, Any] = {
            "user_id": user_id,
            "user_name": user_name,
            "delay": delay,
            "priority": priority,
            "parent_id": parent_id,
            "traceparent": traceparent,
            "batch_id": batch_id,
        }
        new = await offload(_new_jobs, runner, requests, keys, idempotency_key, options)
        jobs: list[tuple[type[JobRunner[Any, Any]], NewJob]] = [(runner, job) for job in new]
        if follow_up is not None:
            last = await offload(
                new_job,
                follow_up.runner,
                follow_up.request,
                keys[-1],
                user_id=user_id,
                user_name=user_name,
                idempotency_key=_numbered(idempotency_key, "then"),
                parent_id=parent_id,
                traceparent=traceparent,
                after_batch=batch_id if requests else None,
            )
            jobs.append((follow_up.runner, last))
        handles = await store(backend, jobs, conn)
        batch: Batch[Result] = Batch(
            id=next((handle.job.batch_id for handle in handles if handle.job.batch_id), batch_id),
            handles=handles[: len(requests)],
            follow_up=handles[-1] if follow_up is not None else None,
        )
        if conn is None:
            await batch.send()
    return batch


def _new_jobs[Request: BaseModel](
    runner: type[JobRunner[Request, Any]],
    requests: Sequence[Request],
    keys: Sequence[JobKey],
    idempotency_key: str | None,
    options: dict[str, Any],
) -> list[NewJob]:
    return [
        new_job(runner, request, key, idempotency_key=_numbered(idempotency_key, number), **options)
        for number, (request, key) in enumerate(zip(requests, keys, strict=False))
    ]


def _numbered(key: str | None, number: int | str) -> str | None:
    return None if key is None else f"{key}/{number}"
