"""What each end of an attempt counts as, that it counts once, and how the sums become coarser."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import sql

from queued_jobs import JobStatus
from queued_jobs.dashboard.stats import Counts
from queued_jobs.database import Row
from queued_jobs.message import JobMessage
from queued_jobs.model import JobError
from tests.integration.queued_jobs.conftest import Shop
from tests.support.tallies import summed, tally

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


async def counts(shop: Shop) -> Counts:
    return (await shop.tracker.stats(window=DAY, bucket=HOUR)).total.counts


class TestOnce:
    async def test_jobs_that_are_summed_up_while_somebody_asks(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(3):
            await shop.succeeded()
        async with shop.database.connection() as conn:
            await conn.execute("update queued_jobs.job set created_at = created_at - interval '40 minutes'")
        planned_rows = shop.database.planned_rows

        async def after_a_sweep(name: str, params: Mapping[str, Any]) -> list[Row]:
            if name == "stats_counts":
                await tally(shop.database)
            return await planned_rows(name, params)

        monkeypatch.setattr(shop.database, "planned_rows", after_a_sweep)
        assert await counts(shop) == Counts(created=3, succeeded=3)

    async def test_an_end_that_is_committed_late(self, shop: Shop) -> None:
        job = await shop.running()
        async with shop.database.connection() as conn:
            async with conn.transaction():
                assert await shop.repository.succeed(job, {"text": "done"}, conn=conn) is not None
                other = await shop.succeeded()
                assert await tally(shop.database) == 1
                assert (await counts(shop)).succeeded == 1
            assert other.finished_at is not None
        assert (await counts(shop)).succeeded == 2
        assert await tally(shop.database) == 1
        assert (await summed(shop.database, "hour")).succeeded == 2
        assert (await counts(shop)).succeeded == 2

    async def test_a_crash_leaves_nothing_half_counted(self, shop: Shop) -> None:
        await shop.succeeded()
        async with shop.database.connection() as conn, conn.transaction(force_rollback=True):
            assert len(await shop.database.rows("tally_attempts", {"n": 10}, conn=conn)) == 1
        assert await summed(shop.database, "hour") == Counts()
        assert await tally(shop.database) == 1

    async def test_while_somebody_counts_the_others_go_on(self, shop: Shop) -> None:
        await shop.succeeded()
        async with shop.database.connection() as conn, conn.transaction():
            await shop.database.rows("tally_attempts", {"n": 10}, conn=conn)
            assert (await shop.repository.tally(limit=10)).attempts == 0
        assert (await counts(shop)).succeeded == 1

    async def test_new_jobs_are_summed_up_when_they_are_ten_minutes_old(self, shop: Shop) -> None:
        for _ in range(3):
            await shop.queue()
        await shop.repository.tally(limit=10)
        assert await summed(shop.database, "minute") == Counts()
        assert (await counts(shop)).created == 3
        async with shop.database.connection() as conn:
            await conn.execute("update queued_jobs.job set created_at = created_at - interval '40 minutes'")
            await conn.execute("update queued_jobs.tally_turn set created_until = 'epoch'")
        await shop.queue()
        for _ in range(2):
            await shop.repository.tally(limit=10)
            assert (await summed(shop.database, "minute")).created == 3
            assert (await counts(shop)).created == 4

    async def test_a_transaction_that_is_open_holds_the_new_jobs_back(self, shop: Shop) -> None:
        await shop.queue()
        async with shop.database.connection() as conn, conn.transaction():
            row = await (
                await conn.execute("select xact_start from pg_stat_activity where pid = pg_backend_pid()")
            ).fetchone()
            assert row is not None
            await shop.database.rows("tally_created", {"n": 500})
        async with shop.database.connection() as conn:
            turn = await (await conn.execute("select created_until from queued_jobs.tally_turn")).fetchone()
        assert turn is not None
        assert turn["created_until"] <= row["xact_start"] - 9 * MINUTE


class TestPruning:
    """A job that is deleted stays in the statistics."""

    ALL = -DAY

    async def told(self, shop: Shop) -> tuple[Counts, Any]:
        failures = await shop.tracker.failures(window=DAY)
        return await counts(shop), sorted((one.fingerprint, one.failures, one.example) for one in failures.groups)

    async def test_what_is_not_counted_yet_is_left(self, shop: Shop) -> None:
        job = await shop.running()
        await shop.repository.fail(job, JobError(type="Boom", message="it broke"), retry_in=None)
        before = await self.told(shop)
        assert await shop.repository.prune(older_than=self.ALL, limit=10) == 0
        await tally(shop.database)
        assert await shop.repository.prune(older_than=self.ALL, limit=10) == 1
        assert await self.told(shop) == before == (Counts(created=1, failed=1), [(before[1][0][0], 1, job.id)])
        await tally(shop.database)
        assert await self.told(shop) == before

    async def test_those_that_cannot_go_keep_none_that_can(self, shop: Shop) -> None:
        for _ in range(6):
            await shop.repository.fail(await shop.running(), JobError(type="Boom", message=""), retry_in=None)
        await tally(shop.database)
        async with shop.database.connection() as conn:
            await conn.execute(
                "update queued_jobs.attempt set tallied = false where job_id in"
                " (select id from queued_jobs.job order by finished_at limit 5)"
            )
        assert await shop.repository.prune(older_than=self.ALL, limit=2) == 1

    @pytest.mark.parametrize("was_summed_up", [True, False])
    async def test_those_that_ended_while_they_waited(self, shop: Shop, was_summed_up: bool) -> None:
        poisoned, unknown = await shop.queue(), await shop.queue()
        async with shop.database.connection() as conn:
            await conn.execute(
                "update queued_jobs.job set resend_count = 1000,"
                " poisoned_gen = dispatch_gen, poisoned_count = 5, poisoned_until = now()"
            )
        assert await shop.repository.poisoned(JobMessage.of(poisoned.job)) is not None
        assert await shop.repository.defer(JobMessage.of(unknown.job), kind="other", schema_version=1) is not None
        if was_summed_up:
            async with shop.database.connection() as conn:
                await conn.execute("update queued_jobs.job set created_at = created_at - interval '40 minutes'")
            await tally(shop.database)
        before = await self.told(shop)
        assert before[0] == Counts(created=2, failed=2)
        assert await shop.repository.prune(older_than=self.ALL, limit=10) == 2
        assert await shop.count() == 0
        assert await self.told(shop) == before
        await tally(shop.database)
        assert await self.told(shop) == before

    async def test_while_somebody_counts_it_waits(self, shop: Shop) -> None:
        await shop.repository.fail(await shop.running(), JobError(type="Boom", message=""), retry_in=None)
        await tally(shop.database)
        async with shop.database.connection() as conn:
            await conn.execute("update queued_jobs.job set created_at = created_at - interval '40 minutes'")
            await conn.execute("update queued_jobs.tally_turn set created_until = 'epoch'")
            async with conn.transaction():
                await shop.database.rows("tally_created", {"n": 500}, conn=conn)
                pruning = asyncio.create_task(shop.repository.prune(older_than=self.ALL, limit=10))
                while not await self.waits_for_a_lock(shop):
                    assert not pruning.done()
            assert await pruning == 1
        assert await counts(shop) == Counts(created=1, failed=1)

    async def waits_for_a_lock(self, shop: Shop) -> bool:
        async with shop.database.connection() as conn:
            waiting = await conn.execute(
                "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' "
                "and backend_type = 'client backend'"
            )
            row = await waiting.fetchone()
            return row is not None

    async def test_two_that_prune_at_once(self, shop: Shop) -> None:
        for _ in range(40):
            await shop.repository.fail(await shop.running(), JobError(type="Boom", message=""), retry_in=None)
        await tally(shop.database)
        pruned = await asyncio.gather(*(shop.repository.prune(older_than=self.ALL, limit=30) for _ in range(4)))
        assert sum(pruned) == 40
        assert await counts(shop) == Counts(created=40, failed=40)


class TestVerdicts:
    """What each end of an attempt counts as, whether it is counted before or after the next thing happens."""

    async def check(self, shop: Shop, wanted: Counts) -> None:
        assert await counts(shop) == wanted
        await tally(shop.database)
        assert await counts(shop) == wanted

    async def test_failed_and_retried(self, shop: Shop) -> None:
        boom = JobError(type="Boom", message="")
        await shop.repository.fail(await shop.running(), boom, retry_in=None)
        waiting = await shop.repository.fail(await shop.running(), boom, retry_in=timedelta())
        assert waiting is not None
        await self.check(shop, Counts(created=2, failed=1, retried=1))
        again = await shop.repository.claim(
            JobMessage.of(waiting), kind="demo", schema_version=1, lease=MINUTE, timeout=MINUTE
        )
        assert again is not None
        await shop.repository.succeed(again, None)
        await self.check(shop, Counts(created=2, succeeded=1, failed=1, retried=1))

    async def test_a_retry_that_came_before_the_count(self, shop: Shop) -> None:
        waiting = await shop.repository.fail(await shop.running(), JobError(type="B", message=""), retry_in=timedelta())
        assert waiting is not None
        again = await shop.repository.claim(
            JobMessage.of(waiting), kind="demo", schema_version=1, lease=MINUTE, timeout=MINUTE
        )
        assert again is not None
        await shop.repository.fail(again, JobError(type="B", message=""), retry_in=None)
        await self.check(shop, Counts(created=1, failed=1, retried=1))

    @pytest.mark.parametrize("count_first", [True, False])
    async def test_a_failure_stays_one_when_the_job_is_queued_again(self, shop: Shop, count_first: bool) -> None:
        job = await shop.running()
        await shop.repository.fail(job, JobError(type="Boom", message=""), retry_in=None)
        if count_first:
            await tally(shop.database)
        await shop.tracker.retry(job.id, user_id="ann")
        await self.check(shop, Counts(created=1, failed=1))

    async def test_lost_and_too_late(self, shop: Shop) -> None:
        for column, attempts in (("lease_until", 5), ("deadline_at", 5), ("lease_until", 1), ("deadline_at", 1)):
            job = await shop.running()
            async with shop.database.connection() as conn:
                await conn.execute(
                    sql.SQL(
                        "update queued_jobs.job set {} = created_at - interval '1 day', max_attempts = %s where id = %s"
                    ).format(sql.Identifier(column)),
                    (attempts, job.id),
                )
        rescued = await shop.repository.rescue(limit=10)
        assert Counter(job.status for job in rescued) == {"retrying": 2, "aborted": 1, "failed": 1}
        await self.check(shop, Counts(created=4, failed=2, retried=2))

    async def test_released_and_cancelled_count_as_neither(self, shop: Shop) -> None:
        await shop.repository.release(await shop.running())
        job = await shop.running()
        await shop.tracker.cancel(job.id, user_id="ann")
        await shop.repository.finish_cancelled(job)
        job = await shop.running()
        await shop.tracker.cancel(job.id, user_id="ann")
        await shop.repository.fail(job, JobError(type="Boom", message=""), retry_in=MINUTE)
        await self.check(shop, Counts(created=3))

    @pytest.mark.parametrize("count_first", [True, False])
    async def test_an_end_while_it_waited(self, shop: Shop, count_first: bool) -> None:
        never_tried = (await shop.queue()).job
        tried = await shop.repository.fail(await shop.running(), JobError(type="Boom", message=""), retry_in=MINUTE)
        assert tried is not None
        if count_first:
            await tally(shop.database)
        async with shop.database.connection() as conn:
            await conn.execute(
                "update queued_jobs.job set sent_gen = dispatch_gen, available_at = now(),"
                " poisoned_gen = dispatch_gen, poisoned_count = 5, poisoned_until = now()"
            )
        for job in (never_tried, tried):
            ended = await shop.repository.poisoned(JobMessage.of(job))
            assert ended is not None
            assert ended.status is JobStatus.ABORTED
        await self.check(shop, Counts(created=2, failed=2, retried=1))

    async def test_a_clock_that_was_set_back_is_left_out(self, shop: Shop) -> None:
        await shop.succeeded()
        async with shop.database.connection() as conn:
            await conn.execute("update queued_jobs.attempt set ended_at = started_at - interval '1 minute'")
        for most in (0, 10):
            await tally(shop.database, most=most)
            durations = (await shop.tracker.stats(window=DAY, bucket=HOUR)).total.durations
            assert durations.run is None
            assert durations.wait is not None
            assert durations.wait.p50 >= timedelta()


class TestRoom:
    """Old sums become coarser."""

    async def shift(self, shop: Shop, days: int) -> None:
        async with shop.database.connection() as conn:
            await conn.execute(
                "update queued_jobs.job set created_at = created_at - make_interval(days => %(n)s),"
                " finished_at = finished_at - make_interval(days => %(n)s)",
                {"n": days},
            )
            await conn.execute(
                "update queued_jobs.attempt set due_at = due_at - make_interval(days => %(n)s), started_at = started_at"
                " - make_interval(days => %(n)s), ended_at = ended_at - make_interval(days => %(n)s)",
                {"n": days},
            )

    async def test_hours_become_days_after_a_week(self, shop: Shop) -> None:
        for _ in range(3):
            await shop.succeeded()
        await shop.repository.fail(await shop.running(), JobError(type="Boom", message="n 1"), retry_in=None)
        await self.shift(shop, 9)
        window = {"window": 30 * DAY, "bucket": DAY}
        before = await shop.tracker.stats(**window)
        assert before.total.counts == Counts(created=4, succeeded=3, failed=1)
        await shop.database.rows("tally_attempts", {"n": 500})
        assert await summed(shop.database, "hour") == Counts(succeeded=3, failed=1)
        for _ in range(3):
            await shop.repository.tally(limit=500)
            await shop.repository.fold_tallies(limit=500)
            assert await summed(shop.database, "hour") == await summed(shop.database, "minute") == Counts()
            assert await summed(shop.database, "day") == Counts(created=4, succeeded=3, failed=1)
            after = await shop.tracker.stats(**window)
            assert (after.buckets, after.total.counts) == (before.buckets, before.total.counts)
            failures = await shop.tracker.failures(window=30 * DAY)
            assert [group.failures for group in failures.groups] == [1]

    async def test_a_late_end_joins_its_day(self, shop: Shop) -> None:
        for hour in (10, 11):
            await shop.succeeded()
            await shop.repository.fail(await shop.running(), JobError(type="Boom", message=""), retry_in=None)
            async with shop.database.connection() as conn:
                at = datetime(2026, 1, 1, hour, tzinfo=UTC)
                await conn.execute(
                    "update queued_jobs.attempt set due_at = %(at)s, started_at = %(at)s, ended_at = %(at)s"
                    " where not tallied",
                    {"at": at},
                )
            await tally(shop.database)
            await shop.repository.fold_tallies(limit=500)
        of_days = await summed(shop.database, "day")
        assert (of_days.succeeded, of_days.failed) == (2, 2)
        async with shop.database.connection() as conn:
            rows = await (await conn.execute("select grain, failures, first_at from queued_jobs.failure")).fetchall()
            waits = await (await conn.execute("select distinct grain, waits, runs from queued_jobs.latency")).fetchall()
        assert rows == [{"grain": "day", "failures": 2, "first_at": datetime(2026, 1, 1, 10, tzinfo=UTC)}]
        assert waits == [{"grain": "day", "waits": 4, "runs": 4}]

    async def test_what_is_moved_at_once_is_bounded(self, shop: Shop) -> None:
        async with shop.database.connection() as conn:
            await conn.execute(
                "insert into queued_jobs.tally (grain, at, kind, created) select 'hour', '2026-01-01Z'::timestamptz"
                " + n * interval '1 hour', 'demo', 1 from generate_series(0, 47) n"
            )
        await shop.database.rows("tally_fold", {"n": 30})
        assert ((await summed(shop.database, "hour")).created, (await summed(shop.database, "day")).created) == (18, 30)
        await shop.database.rows("tally_fold", {"n": 30})
        assert ((await summed(shop.database, "hour")).created, (await summed(shop.database, "day")).created) == (0, 48)
