"""Response bodies of the admin's dashboard besides jobs: groups of failures, statistics and queues."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field

from queued_jobs.dashboard.stats import Backlog, KindStats, Stats
from queued_jobs.model import JobKey, Pause
from queued_jobs.push.view import MaskedText, Public, fields_of
from queued_jobs.queues import QueueDepth

_MILLISECOND = timedelta(milliseconds=1)
_Milliseconds = Annotated[float, BeforeValidator(lambda span: round(span / _MILLISECOND, 3))]


class FailureGroupView(Public):
    fingerprint: str
    type: Annotated[str, Field(serialization_alias="class")]
    #: With `<n>`, `<id>` and `<text>` in place of the differences.
    message: MaskedText
    kinds: tuple[str, ...]
    failures: int
    first_at: datetime
    last_at: datetime
    example: JobKey


class FailuresView(Public):
    since: datetime
    groups: tuple[FailureGroupView, ...]
    #: Whether there are more, smaller groups.
    more: bool


class PercentilesView(Public):
    """In milliseconds."""

    p50: _Milliseconds
    p95: _Milliseconds
    p99: _Milliseconds


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
        return cls.model_validate(fields_of(stats.counts, stats.durations, stats.backlog) | extra)


class NamedKindStatsView(KindStatsView):
    kind: str


class CountBucketView(CountsView):
    at: datetime


class DurationBucketView(Public):
    at: datetime
    wait: PercentilesView | None
    run: PercentilesView | None


class StatsView(Public):
    """Empty buckets are omitted."""

    since: datetime
    until: datetime
    bucket_ms: int
    durations_bucket_ms: int
    #: Whether the percentiles are exact; otherwise they are off by less than 28%.
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
            for name, value in fields_of(bucket.counts).items():
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
                DurationBucketView.model_validate(fields_of(one) | {"at": at})
                for at, one in sorted(stats.durations.items())
            ),
        )


class QueueView(Public):
    queue: str
    kind: str
    #: Approximate number on the queue and on its poison queue, including delayed messages; null if it is unknown,
    #: since the storage is unavailable.
    messages: int | None
    poison: int | None
    #: Jobs: due but not claimed; not due yet; running.
    waiting: int
    delayed: int
    running: int
    #: Due time of the job that has waited longest.
    waiting_since: datetime | None
    #: Since when the kind is paused, and by whom; null unless it is.
    paused_at: datetime | None
    paused_by: str | None

    @classmethod
    def of(cls, queue: str, depth: QueueDepth | None, kind: str, stats: KindStats | None, pause: Pause | None) -> Self:
        backlog = Backlog() if stats is None else stats.backlog
        counts = {"messages": None, "poison": None} if depth is None else fields_of(depth)
        own = {
            "queue": queue,
            "kind": kind,
            "paused_at": None if pause is None else pause.since,
            "paused_by": None if pause is None else pause.subject,
        }
        return cls.model_validate(fields_of(backlog) | counts | own)


class QueuesView(Public):
    queues: tuple[QueueView, ...]


class RedriveView(Public):
    #: How many messages were moved back.
    moved: int
