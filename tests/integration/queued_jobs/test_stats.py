"""Counts, durations and backlog, against the same worked out in Python, before, while and after they are summed up."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from queued_jobs import QueueManager
from queued_jobs.backend import Backend
from queued_jobs.dashboard import stats
from queued_jobs.dashboard.histogram import FIRST_STEP, LAST_STEP, STEP_RATIO, Percentiles
from queued_jobs.dashboard.stats import Counts, Stats
from queued_jobs.database import Database, Row
from queued_jobs.errors import InvalidRequest
from queued_jobs.model import JobError, JobKey
from queued_jobs.postgres import PostgresRepository
from queued_jobs.sweeper import Sweeper
from queued_jobs.testing import FakeQueues, RecordingNotifier
from queued_jobs.tracker import JobTracker
from tests.integration.queued_jobs.conftest import Shop
from tests.support.own_database import own_database
from tests.support.tallies import summed, tally
from tools.local_stack.postgres import PostgresServer
from tools.sample_jobs.generate_jobs import add_jobs

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EPOCH, FAR = datetime(2001, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)


def total(several: Iterable[Counts]) -> Counts:
    parts = list(several)
    return Counts(
        created=sum(one.created for one in parts),
        succeeded=sum(one.succeeded for one in parts),
        failed=sum(one.failed for one in parts),
        retried=sum(one.retried for one in parts),
    )


@dataclass(frozen=True)
class Rows:
    """What is stored, to work the statistics out from."""

    jobs: Sequence[Row]
    attempts: dict[JobKey, list[Row]]

    @classmethod
    def read(cls, url: str) -> Rows:
        attempts = defaultdict(list)
        with psycopg.connect(url, row_factory=dict_row, options="-c timezone=UTC") as conn:
            jobs = conn.execute("select * from queued_jobs.job").fetchall()
            for row in conn.execute("select * from queued_jobs.attempt order by gen").fetchall():
                attempts[row["job_id"]].append(row)
        return cls(jobs=jobs, attempts=attempts)

    def events(self) -> Iterator[tuple[datetime, str, str]]:
        """Everything that happened: when, to which kind, and what."""
        for job in self.jobs:
            yield job["created_at"], job["kind"], "created"
            attempts = self.attempts[job["id"]]
            if job["status"] == "aborted" and not attempts:
                yield job["finished_at"], job["kind"], "failed"
            for attempt in attempts:
                if attempt["ended_at"] is not None:
                    is_last = attempt is attempts[-1] and job["status"] in ("succeeded", "failed")
                    yield attempt["ended_at"], job["kind"], job["status"] if is_last else "retried"

    def counts(self, since: datetime, bucket: timedelta) -> dict[tuple[datetime, str], Counts]:
        counted: dict[tuple[datetime, str], Counter[str]] = defaultdict(Counter)
        for at, kind, event in self.events():
            if at >= since:
                counted[EPOCH + (at - EPOCH) // bucket * bucket, kind][event] += 1
        return {key: Counts(**events) for key, events in counted.items()}

    def seconds(self, name: str, since: datetime, *, until: datetime = FAR, kind: str | None = None) -> list[float]:
        """How long attempts waited or ran that ended in this span."""
        first, last = {"wait": ("due_at", "started_at"), "run": ("started_at", "ended_at")}[name]
        return [
            (attempt[last] - attempt[first]).total_seconds()
            for job in self.jobs
            if kind in (None, job["kind"])
            for attempt in self.attempts[job["id"]]
            if attempt["ended_at"] is not None and since <= attempt["ended_at"] < until
        ]


@pytest.fixture(scope="module")
def stocked(postgres: PostgresServer, migrated_template: str) -> Iterator[tuple[str, Rows]]:
    """A database with jobs of the last two days, none of which was counted yet."""
    with own_database(postgres, migrated_template) as url:
        asyncio.run(add_jobs(url, 3_000, days=2, seed=5))
        yield url, Rows.read(url)


@pytest.fixture
def rows(stocked: tuple[str, Rows]) -> Rows:
    return stocked[1]


@pytest.fixture
async def database(stocked: tuple[str, Rows]) -> AsyncIterator[Database]:
    database = Database(stocked[0])
    yield database
    async with database.connection() as conn:
        await conn.execute("truncate queued_jobs.tally, queued_jobs.latency, queued_jobs.failure")
        await conn.execute("update queued_jobs.tally_turn set created_until = 'epoch'")
        await conn.execute("update queued_jobs.attempt set tallied = false where tallied")
    await database.close()


@pytest.fixture
def tracker(database: Database) -> JobTracker:
    return QueueManager(
        (), repository=PostgresRepository(database), queues=FakeQueues(), notifier=RecordingNotifier()
    ).tracker


def check_counts(found: Stats, rows: Rows) -> None:
    wanted = rows.counts(found.since, found.bucket)
    assert {(one.at, one.kind): one.counts for one in found.buckets} == wanted
    assert found.total.counts == total(wanted.values())
    for kind, of_kind in found.kinds.items():
        assert of_kind.counts == total(counts for (_, name), counts in wanted.items() if name == kind)


def check_percentiles(found: Percentiles | None, seconds: list[float], *, within: float) -> None:
    assert found is not None
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    for name, cut in (("p50", 49), ("p95", 94), ("p99", 98)):
        assert getattr(found, name).total_seconds() == pytest.approx(cuts[cut], rel=within), name


BUCKETS = [
    (HOUR, MINUTE),
    (6 * HOUR, 5 * MINUTE),
    (DAY, 15 * MINUTE),
    (DAY, HOUR),
    (2 * DAY, 30 * MINUTE),
    (7 * DAY, 6 * HOUR),
    (30 * DAY, DAY),
    (35 * DAY, 7 * DAY),
]


class TestCounts:
    @pytest.mark.parametrize(("window", "bucket"), BUCKETS, ids=str)
    async def test_before_while_and_after_they_are_summed_up(
        self, tracker: JobTracker, database: Database, rows: Rows, window: timedelta, bucket: timedelta
    ) -> None:
        for batches in (0, 1, 100):
            await tally(database, limit=1_000, most=batches)
            found = await tracker.stats(window=window, bucket=bucket)
            assert found.since <= found.until - window < found.since + bucket
            check_counts(found, rows)

    async def test_buckets_without_events_are_left_out(self, tracker: JobTracker) -> None:
        found = await tracker.stats(window=300 * DAY, bucket=DAY)
        assert 2 <= len({one.at for one in found.buckets}) <= 4
        assert Counts() not in [one.counts for one in found.buckets]

    @pytest.mark.parametrize(
        ("window", "bucket"),
        [
            (HOUR, timedelta(seconds=30)),
            (HOUR, 7 * MINUTE),
            (HOUR, timedelta(seconds=90)),
            (DAY, 5 * HOUR),
            (DAY, 90 * MINUTE),
            (3 * DAY, 30 * MINUTE),
            (8 * DAY, 6 * HOUR),
            (10 * DAY, 36 * HOUR),
            (401 * DAY, DAY),
            (DAY, MINUTE),
            (MINUTE, HOUR),
            (timedelta(), MINUTE),
            (timedelta.max, DAY),
        ],
        ids=str,
    )
    async def test_buckets_that_are_not_kept(self, tracker: JobTracker, window: timedelta, bucket: timedelta) -> None:
        with pytest.raises(InvalidRequest):
            await tracker.stats(window=window, bucket=bucket)


class TestDurations:
    @pytest.mark.parametrize(("window", "bucket"), BUCKETS[:5], ids=str)
    async def test_few_are_read_one_by_one(
        self, tracker: JobTracker, database: Database, rows: Rows, window: timedelta, bucket: timedelta
    ) -> None:
        await tally(database, most=2)
        found = await tracker.stats(window=window, bucket=bucket)
        assert found.exact
        assert found.durations_bucket == bucket
        for name in ("wait", "run"):
            every = rows.seconds(name, found.since)
            check_percentiles(getattr(found.total.durations, name), every, within=1e-3)
            of_kind = rows.seconds(name, found.since, kind="thumbnail")
            check_percentiles(getattr(found.kinds["thumbnail"].durations, name), of_kind, within=1e-3)
        assert found.durations
        for at, durations in found.durations.items():
            seconds = rows.seconds("run", at, until=at + bucket)
            assert seconds
            if len(seconds) > 1:
                check_percentiles(durations.run, seconds, within=1e-3)

    @pytest.mark.parametrize(("window", "bucket"), [(DAY, 15 * MINUTE), (7 * DAY, HOUR), (30 * DAY, DAY)], ids=str)
    async def test_many_are_estimated_from_histograms(
        self,
        tracker: JobTracker,
        database: Database,
        rows: Rows,
        window: timedelta,
        bucket: timedelta,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(stats, "MEASURED", 0)
        for batches in (0, 3, 100):
            await tally(database, most=batches)
            found = await tracker.stats(window=window, bucket=bucket)
            assert not found.exact
            assert found.durations_bucket == max(bucket, HOUR)
            since = min(found.durations)
            of_all = (await database.planned_rows("stats_steps", {"since": since, "bucket": bucket, "origin": EPOCH}))[
                -1
            ]
            assert of_all["kind"] is of_all["at"] is None
            assert sum(of_all["waits"]) == sum(of_all["runs"]) == len(rows.seconds("run", since))
            for name in ("wait", "run"):
                every = rows.seconds(name, since)
                check_percentiles(getattr(found.total.durations, name), every, within=0.28)
                of_kind = rows.seconds(name, since, kind="row-import")
                check_percentiles(getattr(found.kinds["row-import"].durations, name), of_kind, within=0.28)

    async def test_steps_are_the_same_in_both_places(self, database: Database) -> None:
        lengths = [FIRST_STEP * STEP_RATIO**step * part for step in range(LAST_STEP + 3) for part in (0.999, 1.001)]
        async with database.connection() as conn:
            rows = await (
                await conn.execute(
                    "select queued_jobs.latency_step(s) as step"
                    " from unnest(%s::float8[]) with ordinality u (s, n) order by n",
                    ([length.total_seconds() for length in lengths],),
                )
            ).fetchall()
        steps = [row["step"] for row in rows]
        assert steps == [min(number + after, LAST_STEP) for number in range(LAST_STEP + 3) for after in (0, 1)]


class TestBacklog:
    async def test_what_waits_and_runs_now(self, shop: Shop) -> None:
        assert (await shop.tracker.stats(window=HOUR, bucket=MINUTE)).kinds == {}
        await shop.running()
        oldest = (await shop.queue()).job
        await shop.queue("bob")
        await shop.queue(delay=HOUR)
        retried = await shop.running()
        await shop.repository.fail(retried, JobError(type="Boom", message=""), retry_in=HOUR)
        found = await shop.tracker.stats(window=HOUR, bucket=MINUTE)
        assert found.kinds["demo"].backlog == found.total.backlog
        backlog = found.total.backlog
        assert (backlog.waiting, backlog.delayed, backlog.running) == (2, 2, 1)
        assert backlog.waiting_since == oldest.available_at
        assert found.total.counts == Counts(created=5, retried=1)


class TestOnce:
    async def test_counting_again_changes_nothing(self, database: Database, rows: Rows) -> None:
        ended = sum(attempt["ended_at"] is not None for attempts in rows.attempts.values() for attempt in attempts)
        assert await tally(database) == ended
        first = await summed(database, "hour")
        assert await tally(database) == 0
        assert await summed(database, "hour") == first

    async def test_four_sweepers_at_once(self, tracker: JobTracker, database: Database, rows: Rows) -> None:
        backend = Backend(PostgresRepository(database), FakeQueues(), RecordingNotifier())
        sweepers = [Sweeper(backend, limit=40) for _ in range(4)]
        tallied = 0
        while batch := sum(report.tallied for report in await asyncio.gather(*(one.run_once() for one in sweepers))):
            tallied += batch
        ended = sum(attempt["ended_at"] is not None for attempts in rows.attempts.values() for attempt in attempts)
        assert tallied == ended
        check_counts(await tracker.stats(window=2 * DAY, bucket=30 * MINUTE), rows)
        without_attempt = sum(job["status"] == "aborted" for job in rows.jobs)
        everything = total(rows.counts(EPOCH, DAY).values())
        of_sums = await summed(database, "hour")
        assert of_sums.succeeded == everything.succeeded
        assert (of_sums.failed + without_attempt, of_sums.retried) == (everything.failed, everything.retried)

    async def test_every_duration_is_in_the_histograms_once(self, database: Database, rows: Rows) -> None:
        await tally(database, limit=100)
        async with database.connection() as conn:
            row = await (
                await conn.execute("select sum(waits) as waits, sum(runs) as runs from queued_jobs.latency")
            ).fetchone()
        ended = len(rows.seconds("run", EPOCH))
        assert row == {"waits": ended, "runs": ended}
