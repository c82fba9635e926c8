"""The filters of the admin's lists, parsed strictly: a misspelt one must not widen a bulk action."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from api.models import Body, Moment
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.model import JobStatus

MAX_JOBS = 200
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class JobFilters(Body):
    """All filters that are passed must match."""

    model_config = ConfigDict(alias_generator=to_camel)

    kind: Word | None = None
    #: Any of these.
    status: Annotated[list[JobStatus], Field(max_length=len(JobStatus))] = Field(default_factory=list)
    user: Word | None = None
    #: Contained in the owner's name; case is ignored.
    user_name: Word | None = None
    queue: Word | None = None
    #: Inclusive start and exclusive end of the time of creation.
    created_from: Annotated[Moment | None, Field(alias="from")] = None
    created_to: Annotated[Moment | None, Field(alias="to")] = None
    #: The class of the error.
    error: Word | None = None
    #: Jobs with more attempts than this.
    attempts_over: Annotated[int | None, Field(ge=0, le=10_000)] = None
    #: Contained in the request or the error; case is ignored, there are no wildcards.
    text: Word | None = None
    #: The first hexadecimal digits of the id, or all of it.
    id: Annotated[str | None, StringConstraints(pattern=r"^[0-9A-Fa-f-]{1,36}$")] = None

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        if self.created_from is not None and self.created_to is not None and self.created_from >= self.created_to:
            raise ValueError("`from` must be before `to`")
        return self

    def to_query(self) -> JobQuery:
        """Return the query. Raises `InvalidRequest` for a value that no job can have."""
        return JobQuery(
            kind=self.kind,
            statuses=frozenset(self.status) or None,
            user_id=self.user,
            user_name=self.user_name,
            queue=self.queue,
            created_from=self.created_from,
            created_before=self.created_to,
            error_type=self.error,
            attempts_over=self.attempts_over,
            text=self.text,
            id_prefix=self.id,
        )


class ListFilters(JobFilters):
    #: `nextBefore` of the previous page.
    before: Annotated[str | None, StringConstraints(max_length=80)] = None
    limit: Annotated[int, Field(ge=1, le=MAX_JOBS)] = 50
