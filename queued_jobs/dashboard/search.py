"""The admin's search for jobs: filters, pages and counts."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

from queued_jobs._arguments import UNSTORABLE, check_key, check_moment, check_page, check_type
from queued_jobs._descriptions import describe
from queued_jobs.dashboard.text_filter import matching, text_params
from queued_jobs.database import Database
from queued_jobs.errors import InvalidRequest
from queued_jobs.model import JobError, JobKey, JobStatus, QueuedJob
from queued_jobs.offload import offload
from queued_jobs.redact import mask_beginning
from queued_jobs.schema import TABLES, Tables

#: Queue, owner's name and text have no index: at most this many of the newest jobs that match the other filters are
#: read per page. Each may be a read from the disk.
EXAMINED: Final = 5_000
#: Counting goes no further.
COUNTED: Final = 10_000
#: Jobs that a search for a text reads at once: texts may be large.
_BATCH: Final = 200
_MAX_MESSAGE: Final = 300

#: After every job was created: where a list begins.
START: Final = datetime(9999, 1, 1, tzinfo=UTC)

_RETRYABLE: Final = frozenset({JobStatus.FAILED, JobStatus.ABORTED, JobStatus.CANCELLED})
_CANCELLABLE: Final = frozenset({JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RETRYING})

#: Of the fields that are not strings.
_TYPES: Final[dict[str, type[Any]]] = {
    **dict.fromkeys(("created_from", "created_before"), datetime),
    "statuses": Set,
    "attempts_over": int,
}
_ID_PREFIX = re.compile("[0-9a-f]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Filters that must all match; None disables one. Raises `InvalidRequest` for a value that no job can have.

    Attributes
    ----------
    statuses
        Any of these; an empty set matches no job.
    created_from, created_before
        Inclusive start and exclusive end, with a time zone.
    error_type
        Class of the job's or its last attempt's error.
    attempts_over
        Jobs with more attempts than this.
    user_name
        Contained in the owner's name; case is ignored.
    text
        Contained in a name or value of the request, or in the error, as readers see them: without masked secrets. Case
        is ignored; there are no wildcards.
    id_prefix
        The first hexadecimal digits of the id, or all of it; dashes are ignored. If ids are numbers, all of it.
    """

    kind: str | None = None
    statuses: frozenset[JobStatus] | None = None
    user_id: str | None = None
    queue: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    error_type: str | None = None
    attempts_over: int | None = None
    user_name: str | None = None
    text: str | None = None
    id_prefix: str | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            expected = _TYPES.get(field.name, str)
            if value is not None and (not isinstance(value, expected) or isinstance(value, bool)):
                raise InvalidRequest(f"{field.name} must not be of type {type(value).__name__}.")
            if isinstance(value, str) and UNSTORABLE.search(value):
                raise InvalidRequest(f"{field.name} contains a character that cannot be stored; remove it.")
            if isinstance(value, datetime) and value.utcoffset() is None:
                raise InvalidRequest(f"{field.name} has no time zone; add one.")
        if self.attempts_over is not None and not -(2**31) <= self.attempts_over < 2**31:
            raise InvalidRequest(
                f"attempts_over must be from {-(2**31):,} to {2**31 - 1:,}, not {describe(self.attempts_over)}."
            )
        for status in self.statuses or ():
            if status not in JobStatus:
                raise InvalidRequest(f"statuses must be some of {', '.join(JobStatus)}, not {describe(status)}.")
        if self.id_prefix is not None and not _ID_PREFIX.fullmatch(self._id_digits):
            raise InvalidRequest("id_prefix must be the first hexadecimal digits of a job id, which has 32.")

    def retryable(self) -> Self:
        """Narrow the query to the jobs that `JobTracker.retry_all` would retry."""
        return self._narrow(_RETRYABLE)

    def cancellable(self) -> Self:
        """Narrow the query to the jobs that `JobTracker.cancel_all` would cancel."""
        return self._narrow(_CANCELLABLE)

    def created_until(self, moment: datetime) -> Self:
        """Narrow the query to jobs created before a time."""
        return dataclasses.replace(self, created_before=min(self.created_before or moment, moment))

    @property
    def matches_nothing(self) -> bool:
        return self.statuses is not None and not self.statuses

    @property
    def needs_a_look(self) -> bool:
        """Whether there is a filter without an index."""
        return self.queue is not None or self.user_name is not None or self.text is not None

    def to_params(
        self, before: Cursor | None = None, tables: Tables = TABLES, *, traces: bool = True
    ) -> dict[str, Any]:
        """Return the parameters of `search.sql` and `count.sql`, for the jobs after a cursor."""
        id_from, id_to = self._id_range(tables)
        if before is not None:
            check_key("before", before.id, tables.key_type)
        place = before or Cursor(created_at=START, id=tables.last_key)
        if self.created_before is not None and self.created_before <= place.created_at:
            # a single bound, since Postgres would use whichever of two comes first
            place = Cursor(created_at=self.created_before, id=tables.first_key)
        return {
            "before_created": place.created_at,
            "before_id": place.id,
            "kind": self.kind,
            "statuses": None if self.statuses is None else sorted(self.statuses),
            "user_id": self.user_id,
            "queue": self.queue,
            "user_name": None if self.user_name is None else unicodedata.normalize("NFC", self.user_name),
            "created_from": self.created_from,
            "error_type": self.error_type,
            "attempts_over": self.attempts_over,
            **text_params(self.text, traces=traces),
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
            raise InvalidRequest("id_prefix must be a whole job id, since ids are numbers here.")
        return int(digits), int(digits)

    @property
    def _id_digits(self) -> str:
        return (self.id_prefix or "").replace("-", "").lower()

    def _narrow(self, statuses: frozenset[JobStatus]) -> Self:
        return dataclasses.replace(self, statuses=statuses if self.statuses is None else self.statuses & statuses)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """A job in a list: without request, result and traceback, which may be large."""

    id: JobKey
    kind: str
    queue: str
    user_id: str
    user_name: str | None
    status: JobStatus
    version: int
    attempt: int
    max_attempts: int
    paused_at: datetime | None
    cancel_requested: bool
    #: From 0 to 1.
    progress: float | None
    progress_message: str | None
    created_at: datetime
    available_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    #: With the first 300 characters of its message, masked.
    error: JobError | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        values: dict[str, Any] = {field.name: row.get(field.name) for field in dataclasses.fields(cls)}
        values["status"] = JobStatus.read(row["status"])
        if row["error_type"] is not None:
            # masked before it is cut, which may part a secret from its name
            message = mask_beginning(row["error_message"] or "", _MAX_MESSAGE)
            values["error"] = JobError(type=row["error_type"], message=message)
        return cls(**values)

    @property
    def is_paused(self) -> bool:
        """Whether it waits for its kind to be resumed."""
        return self.paused_at is not None and self.status in (JobStatus.PENDING, JobStatus.RETRYING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A position in a list ordered by `created_at` and `id`, newest first.

    Raises `TypeError` for a time or an id of another type, and `ValueError` for a time without a time zone.
    """

    created_at: datetime
    id: JobKey

    def __post_init__(self) -> None:
        check_moment("created_at", self.created_at)
        check_key("id", self.id, UUID if isinstance(self.id, UUID) else int)

    @classmethod
    def after(cls, job: QueuedJob | JobSummary) -> Cursor:
        return cls(created_at=job.created_at, id=job.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the matching jobs, newest first.

    Attributes
    ----------
    next
        Pass it as `before` for the next page; None at the end. With a filter for queue, owner's name or text a page may
        have fewer jobs than requested, even none, and still have a next page: the search stopped there.
    """

    jobs: tuple[JobSummary, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCount:
    """The number of matching jobs.

    If not `exact`, there are more, or may be with a filter for queue, owner's name, text or error.

    Attributes
    ----------
    as_of
        Time of the count. Pass it to a bulk action to exclude newer jobs.
    """

    number: int
    exact: bool
    as_of: datetime


async def find_jobs(
    database: Database, query: JobQuery, *, before: Cursor | None, limit: int, traces: bool = True
) -> Page:
    """Return a page; jobs created at the same time are ordered by id, so that pages have no gaps and no overlap.

    With `traces` a text is also looked for in tracebacks: for callers who may read them.
    """
    check_page(limit)
    check_type("query", query, JobQuery)
    if before is not None:
        check_type("before", before, Cursor)
    if query.matches_nothing:
        return Page(jobs=(), next=None)
    rows, stopped_at = await find_rows(database, query, before, limit + 1, traces)
    # masks the messages of the errors
    jobs = await offload(lambda: [JobSummary.from_row(row) for row in rows])
    if len(jobs) > limit:
        return Page(jobs=tuple(jobs[:limit]), next=Cursor.after(jobs[limit - 1]))
    return Page(jobs=tuple(jobs), next=stopped_at)


async def count_jobs(database: Database, query: JobQuery, *, traces: bool = True) -> JobCount:
    """Count up to 10,000 jobs; if a filter has no index, only among the newest 5,000."""
    check_type("query", query, JobQuery)
    if query.matches_nothing:
        return JobCount(number=0, exact=True, as_of=await _now(database))
    if query.text is not None:
        as_of = await _now(database)
        rows, stopped_at = await find_rows(database, query, None, COUNTED + 1, traces)
        exact = stopped_at is None and len(rows) <= COUNTED
        return JobCount(number=min(len(rows), COUNTED), exact=exact, as_of=as_of)
    reads_rows = query.needs_a_look or query.error_type is not None
    examined = EXAMINED if reads_rows else COUNTED + 1
    (row,) = await database.planned_rows("count", query.to_params(None, database.tables) | {"examined": examined})
    exact = row["examined"] < examined and row["found"] <= COUNTED
    return JobCount(number=min(row["found"], COUNTED), exact=exact, as_of=row["counted_at"])


async def find_rows(
    database: Database, query: JobQuery, before: Cursor | None, most: int, traces: bool
) -> tuple[list[Mapping[str, Any]], Cursor | None]:
    """Return up to `most` rows of `search.sql` that match, and where it stopped looking for more; None at the end.

    Where it stops depends on the jobs that match and on the number of others, never on what is masked in them.
    """
    found: list[Mapping[str, Any]] = []
    place, left = before, EXAMINED if query.needs_a_look else most
    # what is read may turn out not to match, so read no fewer for a short page
    batch = max(most, _BATCH) if query.text is None else _BATCH
    while True:
        limits = {"examined": left, "limit": batch}
        rows = await database.planned_rows("search", query.to_params(place, database.tables, traces=traces) | limits)
        found += await matching(rows, query.text)
        if len(found) >= most:
            return found[:most], None
        if not rows:
            return found, None
        place, left = Cursor(created_at=rows[-1]["created_at"], id=rows[-1]["id"]), left - rows[-1]["place"]
        if left <= 0:
            return found, place
        if len(rows) < batch:
            return found, None


async def _now(database: Database) -> datetime:
    (row,) = await database.rows("now", {})
    now: datetime = row["now"]
    return now
