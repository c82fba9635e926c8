"""Request and response bodies of the API, besides the job view."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from queued_jobs.chunks import TOPIC, StreamPage
from queued_jobs.model import Changed, JobKey
from queued_jobs.push.view import ChunkView, ErrorView, JobView, Public
from settings import MAX_SECRET
from storage import MAX_FILES

#: Query parameters of a stream.
Topic = Annotated[str | None, Query(pattern=f"^{TOPIC.pattern}$", max_length=63)]
After = Annotated[int, Query(ge=0, le=2**63 - 1)]
ChunkLimit = Annotated[int, Query(ge=1, le=1_000)]

_EXAMPLE = "2026-01-31T08:00:00Z"


class Body(BaseModel):
    """Base of request bodies: rejects unknown fields."""

    model_config = ConfigDict(extra="forbid")


class InviteBody(Body):
    invite: Annotated[str, StringConstraints(min_length=1, max_length=MAX_SECRET)]


class UserView(Public):
    id: str
    display: str
    roles: tuple[str, ...]


class SessionView(Public):
    token: str
    expires_at: datetime
    user: UserView


class NegotiateView(Public):
    url: str
    access_token: str


class UploadFile(Body):
    #: May hold folders, separated by "/".
    name: Annotated[str, StringConstraints(min_length=1, max_length=400)]
    #: In bytes.
    size: Annotated[int, Field(ge=0, strict=True)]


class UploadBody(Body):
    files: Annotated[list[UploadFile], Field(min_length=1, max_length=MAX_FILES)]


class UploadTarget(Public):
    name: str
    #: PUT the bytes here, with these headers.
    url: str
    headers: Mapping[str, str]


class UploadView(Public):
    container: str
    prefix: str
    expires_at: datetime
    files: tuple[UploadTarget, ...]


class BellView(Public):
    items: tuple[JobView, ...]
    unseen: int
    running: int
    more: bool
    #: Pass it as `before` for the next page.
    next_before: str | None
    server_time: datetime


class AttemptView(Public):
    attempt: int
    due_at: datetime
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: ErrorView | None


class JobDetailView(JobView):
    request: Mapping[str, Any]
    attempts: tuple[AttemptView, ...]


class StreamView(Public):
    """What a job has emitted after a chunk, oldest first."""

    chunks: tuple[ChunkView, ...]
    #: Pass it as `after` for what follows.
    after: int
    #: Whether something follows already.
    more: bool
    #: Whether older chunks after the one asked for are gone, because only so much is kept.
    omitted: bool

    @classmethod
    def response(cls, page: StreamPage) -> Response:
        """Return the answer: slow for a page of a mebibyte."""
        return JSONResponse(cls.model_validate(page).model_dump(mode="json", by_alias=True))


_Ids = Annotated[list[UUID], Field(min_length=1, max_length=500)]


class IdsBody(Body):
    ids: _Ids


def _moment(value: Any) -> datetime:
    # not pydantic's parser, which accepts numbers and times without a time zone
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"must be a time with a time zone, such as {_EXAMPLE}")
    return moment


Moment = Annotated[datetime, BeforeValidator(_moment)]


class UndoClearBody(Body):
    #: Null: all that one `clear-finished` cleared, and `since` is its `clearedAt`.
    ids: _Ids | None = None
    since: Moment


class ChangedView(Public):
    id: JobKey
    version: int

    @classmethod
    def of(cls, changes: list[Changed]) -> tuple[ChangedView, ...]:
        return tuple(cls(id=one.id, version=one.version) for one in changes)


class SeenView(Public):
    seen: tuple[ChangedView, ...]


class ClearedView(Public):
    cleared: tuple[ChangedView, ...]
    #: Pass it as `since` to undo.
    cleared_at: datetime


class RestoredView(Public):
    restored: tuple[ChangedView, ...]


class DownloadView(Public):
    url: str
    expires_at: datetime


class HealthView(Public):
    status: Literal["ok", "degraded", "down"]
    parts: Mapping[str, Literal["ok", "down"]]
    #: Version of the deployed code; null in a checkout.
    version: str | None
