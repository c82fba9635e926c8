"""What the admin's dashboard shows beside the jobs: failures in groups, statistics and queues."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import Field

from queued_jobs.dashboard.failures import FailureGroup
from queued_jobs.dashboard.histogram import Percentiles
from queued_jobs.dashboard.stats import Backlog, Counts, Durations, KindStats, Stats
from queued_jobs.model import JobKey
from queued_jobs.push.view import Public
from queued_jobs.queues import QueueDepth
from queued_jobs.redact import masked

_MILLISECOND = timedelta(milliseconds=1)


class FailureGroupView(Public):
    fingerprint: str
    type: Annotated[str, Field(serialization_alias="class")]
    #: With `<n>`, `<id>` and `<text>` for what differs.
    message: str
    kinds: tuple[str, ...]
    failures: int
    first_at: datetime
    last_at: datetime
    example: JobKey

    @classmethod
    def of(cls, group: FailureGroup) -> Self:
        values = {name: getattr(group, name) for name in cls.model_fields}
        return cls(**values | {"message": masked(group.message)})


class FailuresView(Public):
    since: datetime
    groups: tuple[FailureGroupView, ...]
    #: Whether there are further, smaller groups.
    more: bool


class PercentilesView(Public):
    """In milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, percentiles: Percentiles | None) -> Self | None:
        if percentiles is None:
            return None
        return cls(**{name: round(getattr(percentiles, name) / _MILLISECOND, 3) for name in cls.model_fields})


class CountsView(Public):
    created: int
    succeeded: int
    failed: int
    retried: int


class KindStatsView(CountsView):
    wait: PercentilesView | None
    run: PercentilesView | None
    waiting: int
    waiting_since: datetime | None
    delayed: int
    running: int

    @classmethod
    def of(cls, stats: KindStats, **extra: Any) -> Self:
        backlog = stats.backlog
        return cls(
            **_counts(stats.counts),
            **_durations(stats.durations),
            waiting=backlog.waiting,
            waiting_since=backlog.waiting_since,
            delayed=backlog.delayed,
            running=backlog.running,
            **extra,
        )


class NamedKindStatsView(KindStatsView):
    kind: str


class CountBucketView(CountsView):
    at: datetime


class DurationBucketView(Public):
    at: datetime
    wait: PercentilesView | None
    run: PercentilesView | None


class StatsView(Public):
    """Buckets in which nothing happened are left out."""

    since: datetime
    until: datetime
    bucket_ms: int
    durations_bucket_ms: int
    #: Whether the percentiles are exact; else they are off by less than 28 %.
    exact: bool
    total: KindStatsView
    kinds: tuple[NamedKindStatsView, ...]
    buckets: tuple[CountBucketView, ...]
    durations: tuple[DurationBucketView, ...]

    @classmethod
    def of(cls, stats: Stats) -> Self:
        sums: dict[datetime, dict[str, int]] = {}
        for bucket in stats.buckets:
            sums_at = sums.setdefault(bucket.at, dict.fromkeys(CountsView.model_fields, 0))
            for name, value in _counts(bucket.counts).items():
                sums_at[name] += value
        return cls(
            since=stats.since,
            until=stats.until,
            bucket_ms=stats.bucket // _MILLISECOND,
            durations_bucket_ms=stats.durations_bucket // _MILLISECOND,
            exact=stats.exact,
            total=KindStatsView.of(stats.total),
            kinds=tuple(NamedKindStatsView.of(one, kind=kind) for kind, one in stats.kinds.items()),
            buckets=tuple(CountBucketView(at=at, **counts) for at, counts in sorted(sums.items())),
            durations=tuple(
                DurationBucketView(at=at, **_durations(one)) for at, one in sorted(stats.durations.items())
            ),
        )


class QueueView(Public):
    queue: str
    kind: str
    #: About how many there are on the queue and on its poison queue. Some are for later.
    messages: int
    poison: int
    #: Jobs: due and not taken by a worker yet; for later; running.
    waiting: int
    delayed: int
    running: int
    #: When the job that waits longest was due.
    waiting_since: datetime | None

    @classmethod
    def of(cls, depth: QueueDepth, kind: str, stats: KindStats | None) -> Self:
        backlog = Backlog() if stats is None else stats.backlog
        return cls(
            queue=depth.queue,
            kind=kind,
            messages=depth.messages,
            poison=depth.poison,
            waiting=backlog.waiting,
            delayed=backlog.delayed,
            running=backlog.running,
            waiting_since=backlog.waiting_since,
        )


class QueuesView(Public):
    queues: tuple[QueueView, ...]


class RedriveView(Public):
    #: How many messages were put back.
    moved: int


def _counts(counts: Counts) -> dict[str, Any]:
    return {name: getattr(counts, name) for name in CountsView.model_fields}


def _durations(durations: Durations) -> dict[str, Any]:
    return {"wait": PercentilesView.of(durations.wait), "run": PercentilesView.of(durations.run)}
