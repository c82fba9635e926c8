"""The most frequent failures: failed jobs, grouped by error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from queued_jobs.database import Database
from queued_jobs.errors import InvalidRequest
from queued_jobs.model import JobKey

_MAX_GROUPS = 200
#: Retention in tally_fold.sql.
_HOURS_KEPT, _DAYS_KEPT = timedelta(days=7), timedelta(days=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failures whose errors differ only in numbers, ids and quoted parts of the first line.

    Attributes
    ----------
    fingerprint
        Stays the same for the same error, in any window.
    message
        With `<n>`, `<id>` and `<text>` in place of the differences.
    failures
        Number of times that jobs ended as failed or aborted. A retried job may fail again.
    example
        One of the latest jobs. It may have been deleted by retention.
    """

    fingerprint: str
    type: str
    message: str
    kinds: tuple[str, ...]
    failures: int
    first_at: datetime
    last_at: datetime
    example: JobKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The groups of failures, largest first.

    Attributes
    ----------
    since
        Start of the hour in which the window begins; of the day, if that is more than a week ago.
    more
        Whether there are more, smaller groups.
    """

    since: datetime
    groups: tuple[FailureGroup, ...]
    more: bool


async def read_failures(database: Database, window: timedelta) -> Failures:
    """Read the groups. Raises `InvalidRequest` for a window beyond the retention."""
    if not timedelta() < window <= _DAYS_KEPT:
        raise InvalidRequest(f"Failures are kept for {_DAYS_KEPT}; use a window of at most that, not {window}.")
    (row,) = await database.rows("now", {})
    since: datetime = (row["now"] - window).astimezone(UTC)
    since = since.replace(minute=0, second=0, microsecond=0)
    if window > _HOURS_KEPT:
        since = since.replace(hour=0)
    rows = await database.planned_rows("failures", {"since": since, "limit": _MAX_GROUPS + 1})
    groups = [FailureGroup(**(found | {"kinds": tuple(found["kinds"])})) for found in rows[:_MAX_GROUPS]]
    return Failures(since=since, groups=tuple(groups), more=len(rows) > _MAX_GROUPS)
