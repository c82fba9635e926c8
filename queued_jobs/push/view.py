"""The public view of a job: the one object that pushes, lists and details show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from queued_jobs.model import JobError, JobKey, JobStatus, QueuedJob
from queued_jobs.redact import masked
from queued_jobs.registry import JobRegistry

Action = Literal["open", "cancel", "retry", "clear"]


class Public(BaseModel):
    """Base of what leaves the server: camelCase JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class ErrorView(Public):
    """Why the last attempt ended badly, without a trace. Masked here too: other code may have stored it."""

    type: str = Field(serialization_alias="class")
    message: str

    @classmethod
    def of(cls, error: JobError | None) -> Self | None:
        return None if error is None else cls(type=error.type, message=masked(error.message))


class JobView(Public):
    """A job as its owner sees it. Never holds a credential, a link or a trace."""

    id: JobKey
    kind: str
    label: str
    status: JobStatus
    #: Whoever shows the job keeps the highest version that they saw.
    version: int
    attempt: int
    max_attempts: int
    #: From 0 to 1.
    progress: float | None
    progress_message: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    #: When a waiting job may run, if that is not yet.
    available_at: datetime | None
    cancel_requested: bool
    error: ErrorView | None
    result: Mapping[str, Any] | None
    #: Since when the result is gone.
    expired_at: datetime | None
    #: What the owner may do now.
    actions: tuple[Action, ...]
    seen_at: datetime | None
    cleared_at: datetime | None

    @classmethod
    def of(cls, job: QueuedJob, registry: JobRegistry) -> Self:
        delayed = (
            not job.is_held
            and job.status is JobStatus.PENDING
            and job.available_at - job.created_at > timedelta(seconds=1)
        )
        return cls(
            id=job.id,
            kind=job.kind,
            label=registry.label(job),
            status=job.status,
            version=job.version,
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            progress=job.progress,
            progress_message=None if job.progress_message is None else masked(job.progress_message),
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            duration_ms=None if job.ran_for is None else round(job.ran_for / timedelta(milliseconds=1)),
            available_at=job.available_at if delayed or job.status is JobStatus.RETRYING else None,
            cancel_requested=job.cancel_requested,
            error=ErrorView.of(job.error),
            result=registry.public_result(job),
            expired_at=job.expired_at,
            actions=_actions(job, registry),
            seen_at=job.seen_at,
            cleared_at=job.cleared_at,
        )

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


def _actions(job: QueuedJob, registry: JobRegistry) -> tuple[Action, ...]:
    if not job.status.is_final:
        return () if job.cancel_requested else ("cancel",)
    if job.status is JobStatus.SUCCEEDED:
        return ("clear",) if registry.file(job) is None else ("open", "clear")
    return ("retry", "clear")
