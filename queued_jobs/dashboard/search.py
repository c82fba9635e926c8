"""Which jobs an admin looks for, and the pages that they come in."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

from queued_jobs.database import Database
from queued_jobs.errors import InvalidRequest
from queued_jobs.model import JobError, JobKey, JobStatus, QueuedJob
from queued_jobs.schema import TABLES, Tables

#: No index knows queue and text: so many of the newest jobs that match the other filters are looked into for one page.
#: Each may be a read from the disk.
EXAMINED: Final = 5_000
#: Counting goes no further.
COUNTED: Final = 10_000

#: After every job was created: where a list begins.
START: Final = datetime(9999, 1, 1, tzinfo=UTC)

_RETRYABLE: Final = frozenset({JobStatus.FAILED, JobStatus.ABORTED, JobStatus.CANCELLED})
_CANCELLABLE: Final = frozenset({JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RETRYING})

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ID_PREFIX = re.compile("[0-9a-f]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Filters that all have to hold; None switches one off. Raises `InvalidRequest` for a value that no job can have.

    Attributes
    ----------
    statuses
        Any of these; an empty set matches nothing.
    created_from, created_before
        The first moment, and the first one after the last. With a time zone.
    error_type
        The class of the error that the job, or its last attempt, ended with.
    attempts_over
        Jobs that were started more often than this.
    text
        Stands in a name or value of the request, or in the error. Case is ignored, no character is special.
    id_prefix
        The first hexadecimal digits of the id, or all of it; dashes are left out of account. Where ids are numbers:
        the whole number.
    """

    kind: str | None = None
    statuses: frozenset[JobStatus] | None = None
    user_id: str | None = None
    queue: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    error_type: str | None = None
    attempts_over: int | None = None
    text: str | None = None
    id_prefix: str | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str) and _UNSTORABLE.search(value):
                raise InvalidRequest(f"{field.name} holds a character that no stored text has: leave it out.")
            if isinstance(value, datetime) and value.tzinfo is None:
                raise InvalidRequest(f"{field.name} has no time zone: add one.")
        if self.attempts_over is not None and not -(2**31) <= self.attempts_over < 2**31:
            raise InvalidRequest(f"attempts_over must be a number of attempts, not {self.attempts_over}.")
        if self.id_prefix is not None and not _ID_PREFIX.fullmatch(self._id_digits):
            raise InvalidRequest("id_prefix must be the first of the 32 hexadecimal digits of an id.")

    def retryable(self) -> Self:
        """Narrow the query to what `JobTracker.retry_all` would retry."""
        return self._narrow(_RETRYABLE)

    def cancellable(self) -> Self:
        """Narrow the query to what `JobTracker.cancel_all` would cancel."""
        return self._narrow(_CANCELLABLE)

    def created_until(self, moment: datetime) -> Self:
        """Narrow the query to jobs that were created before a moment."""
        return dataclasses.replace(self, created_before=min(self.created_before or moment, moment))

    @property
    def matches_nothing(self) -> bool:
        return self.statuses is not None and not self.statuses

    @property
    def needs_a_look(self) -> bool:
        """Whether there is a filter that no index knows."""
        return self.queue is not None or self.text is not None

    def to_params(self, before: Cursor | None = None, tables: Tables = TABLES) -> dict[str, Any]:
        """Return the values of `search.sql` and `count.sql`, for jobs that follow a place in the list."""
        id_from, id_to = self._id_range(tables)
        place = before or Cursor(created_at=START, id=tables.last_key)
        if self.created_before is not None and self.created_before <= place.created_at:
            # one bound, for Postgres would begin at the one that happens to stand first
            place = Cursor(created_at=self.created_before, id=tables.first_key)
        return {
            "before_created": place.created_at,
            "before_id": place.id,
            "kind": self.kind,
            "statuses": None if self.statuses is None else sorted(self.statuses),
            "user_id": self.user_id,
            "queue": self.queue,
            "created_from": self.created_from,
            "error_type": self.error_type,
            "attempts_over": self.attempts_over,
            # as it stands in stored JSON, where quotes and backslashes have one before them
            "text": None if self.text is None else json.dumps(self.text, ensure_ascii=False)[1:-1],
            "id_from": id_from,
            "id_to": id_to,
        }

    def _id_range(self, tables: Tables) -> tuple[JobKey | None, JobKey | None]:
        digits = self._id_digits
        if not digits:
            return None, None
        if tables.key_type is UUID:
            return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
        if not digits.isdecimal() or len(digits) > 18:
            raise InvalidRequest("id_prefix must be the whole number of a job.")
        return int(digits), int(digits)

    @property
    def _id_digits(self) -> str:
        return (self.id_prefix or "").replace("-", "").lower()

    def _narrow(self, statuses: frozenset[JobStatus]) -> Self:
        return dataclasses.replace(self, statuses=statuses if self.statuses is None else self.statuses & statuses)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """A job as a list shows it: without request, result and trace, however large they are."""

    id: JobKey
    kind: str
    queue: str
    user_id: str
    status: JobStatus
    version: int
    attempt: int
    max_attempts: int
    cancel_requested: bool
    #: From 0 to 1.
    progress: float | None
    progress_message: str | None
    created_at: datetime
    available_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    #: The first 300 characters of its message.
    error: JobError | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        values: dict[str, Any] = {field.name: row.get(field.name) for field in dataclasses.fields(cls)}
        values["status"] = JobStatus(row["status"])
        if row["error_type"] is not None:
            values["error"] = JobError(type=row["error_type"], message=row["error_message"] or "")
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A place in a list that is ordered by `created_at` and `id`, newest first."""

    created_at: datetime
    id: JobKey

    @classmethod
    def after(cls, job: QueuedJob | JobSummary) -> Cursor:
        return cls(created_at=job.created_at, id=job.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the jobs that match, newest first.

    Attributes
    ----------
    next
        Pass it as `before` for what follows; None at the end. With a filter for queue or text a page may hold fewer
        jobs than asked for, even none, and still have a next one: so far was searched.
    """

    jobs: tuple[JobSummary, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCount:
    """How many jobs match. Unless `exact` there are more, or with a filter for queue, text or error perhaps more.

    Attributes
    ----------
    as_of
        When they were counted. Pass it to a bulk action, for it to touch what was counted and nothing newer.
    """

    number: int
    exact: bool
    as_of: datetime


async def find_jobs(database: Database, query: JobQuery, *, before: Cursor | None, limit: int) -> Page:
    """Return a page; what was created at the same moment is ordered by id, so that pages have no gap and no overlap."""
    if query.matches_nothing:
        return Page(jobs=(), next=None)
    examined = EXAMINED if query.needs_a_look else limit + 1
    rows = await database.planned_rows(
        "search", query.to_params(before, database.tables) | {"examined": examined, "limit": limit + 1}
    )
    jobs = [JobSummary.from_row(row) for row in rows if row["matches"]]
    following = None
    if len(jobs) > limit:
        following = Cursor.after(jobs[limit - 1])
    elif rows and rows[-1]["is_last"]:
        following = Cursor(created_at=rows[-1]["created_at"], id=rows[-1]["id"])
    return Page(jobs=tuple(jobs[:limit]), next=following)


async def count_jobs(database: Database, query: JobQuery) -> JobCount:
    """Count up to 10,000 jobs; with a filter that makes Postgres read the rows themselves, among 5,000."""
    if query.matches_nothing:
        (row,) = await database.rows("now", {})
        return JobCount(number=0, exact=True, as_of=row["now"])
    reads_rows = query.needs_a_look or query.error_type is not None
    examined = EXAMINED if reads_rows else COUNTED + 1
    (row,) = await database.planned_rows("count", query.to_params(None, database.tables) | {"examined": examined})
    exact = row["examined"] < examined and row["found"] <= COUNTED
    return JobCount(number=min(row["found"], COUNTED), exact=exact, as_of=row["counted_at"])
