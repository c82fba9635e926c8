"""How Postgres carries out what figures and heartbeats need, with 200,000 jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from psycopg import Connection
from uuid_utils.compat import uuid7

from queued_jobs.dashboard.stats import MEASURED
from queued_jobs.dashboard.workers import LISTED
from queued_jobs.database import Row
from queued_jobs.schema import statement
from tests.integration.queued_jobs.conftest import JOBS
from tests.support.plans import Plan

HOUR = timedelta(hours=1)


class TestStatistics:
    @pytest.mark.parametrize("window", [HOUR, 24 * HOUR, 30 * 24 * HOUR], ids=str)
    def test_the_statistics_read_sums_and_what_is_new(self, connection: Connection[Row], window: timedelta) -> None:
        since = datetime.now(UTC) - window
        turn = connection.execute("select created_until from queued_jobs.tally_turn").fetchone()
        assert turn is not None
        params = {
            "since": since,
            "new_since": max(since, turn["created_until"]),
            "grains": ["hour", "day"],
            "bucket": HOUR,
            "origin": datetime(2001, 1, 1, tzinfo=UTC),
            "limit": 200,
            "window": window,
            "most": MEASURED,
        }
        for name in ("stats_now", "stats_counts", "stats_steps", "failures"):
            plan = Plan(connection, name, params)
            assert {"job", "attempt"}.isdisjoint(plan.scanned), name
            # aborted jobs may have ended without an attempt and are counted one by one
            assert plan.looked_at <= JOBS / 100, name

    def test_durations_that_are_read_one_by_one(self, connection: Connection[Row]) -> None:
        params = {"since": datetime.now(UTC) - HOUR, "bucket": HOUR, "origin": datetime(2001, 1, 1, tzinfo=UTC)}
        plan = Plan(connection, "stats_durations", params)
        assert {"job", "attempt"}.isdisjoint(plan.scanned)
        assert plan.indexes >= {"attempt_ended", "job_pkey"}

    @pytest.mark.parametrize("name", ["tally_attempts", "tally_created", "tally_fold"])
    def test_the_sweeper_looks_at_what_is_new(self, connection: Connection[Row], name: str) -> None:
        with connection.transaction(force_rollback=True):
            plan = Plan(connection, name, {"n": 500})
        assert {"job", "attempt"}.isdisjoint(plan.scanned)
        assert plan.looked_at <= 2_000

    def test_what_workers_run_is_found_by_index(self, connection: Connection[Row]) -> None:
        plan = Plan(connection, "running", {"limit": LISTED + 1})
        assert "job" not in plan.scanned
        assert plan.looked_at <= JOBS / 100


class TestHeartbeat:
    def test_a_heartbeat_touches_no_index(self, connection: Connection[Row]) -> None:
        with connection.transaction(force_rollback=True):
            token, key = uuid4(), uuid7()
            connection.execute(
                "insert into queued_jobs.job (id, kind, queue, user_id, request, status, lease_token, lease_until,"
                " deadline_at) values (%s, 'demo', 'demo', 'ann', '{}', 'running', %s, now(), now())",
                (key, token),
            )
            before = self.updates(connection)
            for number in range(20):
                params = {"id": key, "token": token, "lease": 60, "progress": number / 20, "message": f"row {number}"}
                assert connection.execute(statement("heartbeat"), params).fetchone() is not None
            after = self.updates(connection)
        assert after["updated"] - before["updated"] == 20
        # a page that is full by then is cleaned up after the transaction only
        assert after["hot"] - before["hot"] >= 15

    def updates(self, connection: Connection[Row]) -> Row:
        """Return the counts of this connection, which may hold those of earlier transactions too."""
        row = connection.execute(
            "select pg_stat_get_xact_tuples_updated(oid) as updated,"
            " pg_stat_get_xact_tuples_hot_updated(oid) as hot from pg_class where oid = 'queued_jobs.job'::regclass"
        ).fetchone()
        assert row is not None
        return row

    def test_the_end_of_an_attempt_touches_no_index_but_the_summary(self, connection: Connection[Row]) -> None:
        found = connection.execute(
            "select indexdef from pg_indexes where schemaname = 'queued_jobs' and tablename = 'attempt'"
            " and indexdef ~ '(ended_at|outcome|error)' and indexdef !~ 'USING brin'"
        ).fetchall()
        assert found == []
