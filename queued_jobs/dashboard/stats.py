"""Statistics: how many jobs are created and end, and how long they wait and run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from queued_jobs._arguments import check_type
from queued_jobs.dashboard.histogram import Percentiles
from queued_jobs.database import Database, Row
from queued_jobs.errors import InvalidRequest

#: Maximum attempts, within two days, whose durations are read exactly; beyond that from histograms.
MEASURED = 5_000

_MAX_BUCKETS = 500
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: Retention in tally_fold.sql.
_MINUTES_KEPT, _HOURS_KEPT, _DAYS_KEPT = timedelta(days=2), timedelta(days=7), timedelta(days=400)
_ORIGIN = datetime(2001, 1, 1, tzinfo=UTC)  # a Monday


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts within a time range.

    Attributes
    ----------
    failed
        Jobs that ended as failed or aborted. A retried job may fail again.
    retried
        Failed attempts that were followed by another one.
    """

    created: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Counts of one kind in the bucket that starts at `at`. Empty buckets are omitted."""

    at: datetime
    kind: str
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Durations of the attempts that ended within a time range; None without data.

    Attributes
    ----------
    wait
        From the due time of an attempt to its start.
    run
        From its start to its end; without attempts whose worker was lost or shut down.
    """

    wait: Percentiles | None = None
    run: Percentiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Jobs that are unfinished now.

    Attributes
    ----------
    waiting
        Due, but not claimed yet.
    waiting_since
        Due time of the job that has waited longest.
    delayed
        Not due yet: started with a delay, or between two attempts.
    """

    waiting: int = 0
    waiting_since: datetime | None = None
    delayed: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KindStats:
    """One kind, or all of them, over the whole window, and the backlog now."""

    counts: Counts
    durations: Durations
    backlog: Backlog


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Statistics from `since`, the start of a bucket, to `until`, which is now. Buckets are aligned in UTC.

    Attributes
    ----------
    kinds
        All kinds with data.
    exact
        Whether the percentiles are exact. Otherwise they are estimates, see `Percentiles.from_steps`.
    durations
        By start of the bucket. These buckets last `durations_bucket`: at least an hour if read from histograms.
    """

    since: datetime
    until: datetime
    bucket: timedelta
    total: KindStats
    kinds: Mapping[str, KindStats]
    buckets: tuple[Bucket, ...]
    durations: Mapping[datetime, Durations]
    durations_bucket: timedelta
    exact: bool


async def read_stats(database: Database, window: timedelta, bucket: timedelta) -> Stats:
    """Read the statistics. Raises `InvalidRequest` for a window beyond the retention of such buckets."""
    check_type("window", window, timedelta)
    check_type("bucket", bucket, timedelta)
    _check(window, bucket)
    active = await database.planned_rows("stats_now", {"window": min(window, _MINUTES_KEPT), "most": MEASURED})
    now: datetime = active[0]["now"]
    exact = window <= _MINUTES_KEPT and active[0]["attempts"] < MEASURED
    durations_bucket = bucket if exact else max(bucket, _HOUR)
    since = _floor(now - window, bucket)
    counted = await database.planned_rows(
        "stats_counts",
        {
            "since": since,
            "new_since": max(since, active[0]["created_until"]),
            "grains": ["minute"] if bucket < _HOUR else ["hour", "day"],
            "bucket": bucket,
            "origin": _ORIGIN,
        },
    )
    measured = await database.planned_rows(
        "stats_durations" if exact else "stats_steps",
        {"since": _floor(since, durations_bucket), "bucket": durations_bucket, "origin": _ORIGIN},
    )
    total, kinds = _by_kind(counted, measured, active)
    return Stats(
        since=since,
        until=now,
        bucket=bucket,
        total=total,
        kinds=kinds,
        buckets=tuple(
            Bucket(at=row["at"], kind=row["kind"], counts=_counts(row)) for row in counted if row["at"] is not None
        ),
        durations={row["at"]: _durations(row) for row in measured if row["at"] is not None},
        durations_bucket=durations_bucket,
        exact=exact,
    )


def _check(window: timedelta, bucket: timedelta) -> None:
    if bucket < _MINUTE or not bucket <= window <= bucket * _MAX_BUCKETS:
        raise InvalidRequest(
            f"A window of {window} must have 1 to {_MAX_BUCKETS} buckets of at least a minute, not of {bucket}."
        )
    if bucket < _HOUR:
        unit, kept = _MINUTE, _MINUTES_KEPT
    elif bucket < _DAY:
        unit, kept = _HOUR, _HOURS_KEPT
    else:
        unit, kept = _DAY, _DAYS_KEPT
    if bucket % unit or (bucket < _DAY and _DAY % bucket):
        raise InvalidRequest(
            f"Buckets of {bucket} do not divide a day evenly; use whole minutes, hours or days that do."
        )
    if window > kept:
        raise InvalidRequest(f"Buckets of {bucket} are kept for {kept}, not for {window}; use longer buckets.")


def _floor(moment: datetime, bucket: timedelta) -> datetime:
    return _ORIGIN + (moment - _ORIGIN) // bucket * bucket


def _by_kind(
    counted: Sequence[Row], measured: Sequence[Row], active: Sequence[Row]
) -> tuple[KindStats, dict[str, KindStats]]:
    """Combine the rows into the statistics of all jobs and of each kind."""
    # the rows without a kind count all jobs
    counts: dict[str | None, Counts] = {row["kind"]: _counts(row) for row in counted if row["at"] is None}
    durations: dict[str | None, Durations] = {row["kind"]: _durations(row) for row in measured if row["at"] is None}
    backlogs = {row["kind"]: _backlog(row) for row in active if row["kind"] is not None}
    waiting_since = [one.waiting_since for one in backlogs.values() if one.waiting_since is not None]
    total = KindStats(
        counts=counts.pop(None),
        durations=durations.pop(None, Durations()),
        backlog=Backlog(
            waiting=sum(one.waiting for one in backlogs.values()),
            waiting_since=min(waiting_since, default=None),
            delayed=sum(one.delayed for one in backlogs.values()),
            running=sum(one.running for one in backlogs.values()),
        ),
    )
    return total, {
        kind: KindStats(
            counts=counts.get(kind, Counts()),
            durations=durations.get(kind, Durations()),
            backlog=backlogs.get(kind, Backlog()),
        )
        for kind in sorted({kind for kind in (*counts, *durations, *backlogs) if kind is not None})
    }


def _counts(row: Row) -> Counts:
    return Counts(created=row["created"], succeeded=row["succeeded"], failed=row["failed"], retried=row["retried"])


def _durations(row: Row) -> Durations:
    if "steps" in row:
        return Durations(
            wait=Percentiles.from_steps(row["steps"], row["waits"]),
            run=Percentiles.from_steps(row["steps"], row["runs"]),
        )
    return Durations(wait=Percentiles.from_seconds(row["wait"]), run=Percentiles.from_seconds(row["run"]))


def _backlog(row: Row) -> Backlog:
    return Backlog(
        waiting=row["waiting"], waiting_since=row["waiting_since"], delayed=row["delayed"], running=row["running"]
    )
