"""The public view of a job, used by pushes, lists and details."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from queued_jobs.chunks import Segment
from queued_jobs.model import JobError, JobKey, JobStatus, QueuedJob
from queued_jobs.redact import mask_secrets
from queued_jobs.registry import JobRegistry

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Action = Literal["open", "cancel", "retry", "clear"]


#: For texts from a job's code, which may contain credentials.
MaskedText = Annotated[str, AfterValidator(mask_secrets)]


class Public(BaseModel):
    """Base of what leaves the server: camelCase JSON, read from the attributes of our own objects."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True, frozen=True)


class ErrorView(Public):
    """Why the last attempt failed, without a traceback. Masked here too: other code may have stored it."""

    type: MaskedText = Field(serialization_alias="class")
    message: MaskedText

    @classmethod
    def of(cls, error: JobError | None) -> Self | None:
        return None if error is None else cls.model_validate(error)


class JobView(Public):
    """A job as its owner sees it. Never contains a credential, a link or a traceback."""

    id: JobKey
    kind: str
    label: str
    status: JobStatus
    #: Readers keep the highest version that they have seen.
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
    #: When a waiting job becomes due, if in the future.
    available_at: datetime | None
    #: Whether it waits because an administrator has paused its kind.
    paused: bool
    cancel_requested: bool
    error: ErrorView | None
    result: Mapping[str, Any] | None
    #: When the result was removed.
    expired_at: datetime | None
    #: Actions available to the owner now.
    actions: tuple[Action, ...]
    seen_at: datetime | None
    cleared_at: datetime | None

    @field_validator("progress_message")
    @classmethod
    def _mask(cls, text: str | None) -> str | None:
        return None if text is None else mask_secrets(text)

    @classmethod
    def of(cls, job: QueuedJob, registry: JobRegistry) -> Self:
        delayed = (
            not job.is_held
            and job.status is JobStatus.PENDING
            and job.available_at - job.created_at > timedelta(seconds=1)
        )
        made = {
            "label": registry.label(job),
            "duration_ms": None if job.ran_for is None else round(job.ran_for / timedelta(milliseconds=1)),
            "paused": job.is_paused,
            "available_at": job.available_at if delayed or job.status is JobStatus.RETRYING else None,
            "result": registry.public_result(job),
            "actions": _actions(job, registry),
        }
        return cls.model_validate(fields_of(job) | made)

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


class ChunkView(Public):
    #: Counts from 1 for each job, over all topics and attempts.
    seq: int
    topic: str
    text: MaskedText
    #: How many lines before it were dropped because the database took them too slowly.
    skipped: int
    emitted_at: datetime


class SegmentView(Public):
    """What a job has emitted between two numbers; without chunks they have to be read."""

    id: JobKey
    after: int
    last: int
    chunks: tuple[ChunkView, ...]

    @classmethod
    def dump(cls, segment: Segment) -> str:
        """Return it as JSON."""
        return cls.model_validate(segment).model_dump_json(by_alias=True)


def texts_of(job: QueuedJob) -> list[object]:
    """Return what a view of this job is made from, of any size."""
    return [job.request, job.result]


def fields_of(*objects: DataclassInstance) -> dict[str, Any]:
    """Return the fields of dataclasses by their names, for a view that has additional fields."""
    return {field.name: getattr(one, field.name) for one in objects for field in dataclasses.fields(one)}


def _actions(job: QueuedJob, registry: JobRegistry) -> tuple[Action, ...]:
    if not job.status.is_known:
        return ()
    if not job.status.is_final:
        return () if job.cancel_requested else ("cancel",)
    if job.status is JobStatus.SUCCEEDED:
        return ("clear",) if registry.file(job) is None else ("open", "clear")
    return ("retry", "clear")
