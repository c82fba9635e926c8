"""How Postgres carries out what people wait for, with 200,000 jobs: through indexes, and without reading much."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from psycopg import Connection, sql

from queued_jobs import JobStatus, QueueManager
from queued_jobs.dashboard.labels import MAX_REQUEST
from queued_jobs.dashboard.search import COUNTED, EXAMINED, START, JobQuery
from queued_jobs.dashboard.status_counts import COUNTED_OF_EACH
from queued_jobs.database import Database, Row
from queued_jobs.kind_queues import KindQueues
from queued_jobs.postgres import PostgresRepository
from queued_jobs.schema import TABLES
from queued_jobs.testing import FakeQueues, RecordingNotifier
from tests.integration.queued_jobs.conftest import JOBS
from tests.support.plans import Plan, combined

LIMIT = 50
#: Pages of 8 KiB that one page of a list may look at: a row is rarely beside the next one, and indexes are four high.
FEW = 4 * LIMIT
HOUR = timedelta(hours=1)
#: Tables of a page or less: the paused kinds.
SMALL = {"pause"}
QUEUES = KindQueues({f"kind-{number}": (f"kind-{number}", f"kind-{number}-urgent") for number in range(20)})


class TestPages:
    def test_every_filter_and_every_two_are_found_by_index(
        self, connection: Connection[Row], sample: Mapping[str, Any]
    ) -> None:
        pages = {}
        for name, query in combined(sample):
            plan = Plan(connection, "search", query.to_params() | {"examined": LIMIT + 1, "limit": LIMIT + 1})
            assert plan.scanned == set(), name
            pages[name] = plan.pages
        assert len(pages) > 130
        # two filters that are both frequent and never meet can cost more, but not the table
        assert sorted(pages.values())[len(pages) * 95 // 100] <= FEW, pages
        assert max(pages.values()) <= 10 * FEW, max(pages, key=lambda name: pages[name])

    @pytest.mark.parametrize("depth", [0.1, 0.5, 0.9])
    def test_a_page_far_back_costs_no_more(
        self, connection: Connection[Row], sample: Mapping[str, Any], depth: float
    ) -> None:
        before = datetime.now(UTC) - timedelta(days=30 * depth)
        for filters in (
            {},
            {"kind": "row-import"},
            {"statuses": frozenset({JobStatus.FAILED})},
            {"user_id": sample["top"]},
        ):
            query = JobQuery(**filters, created_before=before)
            plan = Plan(connection, "search", query.to_params() | {"examined": LIMIT + 1, "limit": LIMIT + 1})
            assert plan.scanned == set(), filters
            assert plan.pages <= FEW, filters

    @pytest.mark.parametrize("filters", [{"text": "nowhere to be found"}, {"queue": "nowhere"}], ids=str)
    def test_what_no_index_knows_is_looked_for_in_a_bounded_number(
        self, connection: Connection[Row], filters: dict[str, Any]
    ) -> None:
        plan = Plan(connection, "search", JobQuery(**filters).to_params() | {"examined": EXAMINED, "limit": LIMIT + 1})
        assert plan.indexes == {"job_recent"}
        assert plan.looked_at == EXAMINED < JOBS

    def test_counting_is_bounded(self, connection: Connection[Row], sample: Mapping[str, Any]) -> None:
        for name, query in combined(sample):
            plan = Plan(connection, "count", query.to_params() | {"examined": COUNTED + 1})
            assert plan.looked_at <= JOBS / 4, name

    def test_counting_each_status_is_bounded(self, connection: Connection[Row], sample: Mapping[str, Any]) -> None:
        pages = {}
        for name, query in combined(sample):
            if query.statuses is None:
                for status in JobStatus:
                    params = dataclasses.replace(query, statuses=frozenset({status})).to_params()
                    plan = Plan(connection, "count", params | {"examined": COUNTED_OF_EACH + 1})
                    assert plan.scanned == set(), (name, status)
                    pages[name, status] = plan.pages
        assert len(pages) > 400
        # as for a page of the list: each of these is 20 such pages at most
        assert sorted(pages.values())[len(pages) * 95 // 100] <= 5 * FEW, pages
        assert max(pages.values()) <= 20 * FEW, max(pages, key=lambda place: pages[place])

    @pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
    def test_labels_read_the_rows_of_a_page(self, connection: Connection[Row], mode: str) -> None:
        ids = [row["id"] for row in connection.execute("select id from queued_jobs.job limit 50").fetchall()]
        with connection.transaction(force_rollback=True):
            connection.execute(f"set local plan_cache_mode = {mode}".encode())
            plan = Plan(connection, "labels", {"ids": ids, "most": MAX_REQUEST})
        assert plan.indexes == {"job_pkey"}
        assert plan.looked_at == len(ids)
        assert plan.pages <= 8 * len(ids)

    async def test_no_plan_is_kept_for_other_values(self, crowded: str) -> None:
        """After five times psycopg would have Postgres keep one plan for all."""
        database = Database(crowded, max_size=1)
        tracker = QueueManager(
            (), repository=PostgresRepository(database), queues=FakeQueues(), notifier=RecordingNotifier()
        ).tracker
        for _ in range(8):
            await tracker.search(JobQuery())
            await tracker.count(JobQuery())
            await tracker.count_statuses(JobQuery())
            await tracker.stats(window=HOUR, bucket=HOUR)
            await tracker.failures(window=HOUR)
        async with database.connection() as conn:
            kept = await (await conn.execute("select statement from pg_prepared_statements")).fetchall()
        await database.close()
        assert kept != [], "others are kept"
        for row in kept:
            assert "where" not in row["statement"].lower(), row["statement"]


class TestBell:
    @pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
    def test_the_bell_reads_what_it_shows(
        self, connection: Connection[Row], sample: Mapping[str, Any], mode: str
    ) -> None:
        for user in (sample["top"], sample["job"]["user_id"], "nobody"):
            params = {
                "user_id": user,
                "before_created": START,
                "before_id": TABLES.last_key,
                "limit": LIMIT + 1,
            }
            connection.execute(f"set plan_cache_mode = {mode}")
            plan = Plan(connection, "bell", params)
            connection.execute("reset plan_cache_mode")
            assert plan.scanned == set()
            assert plan.indexes == {"job_bell"}


class TestDuties:
    """What workers and the sweeper do many times a minute, however many jobs there are."""

    PARAMS: ClassVar[dict[str, dict[str, Any]]] = {
        "wait_in_line": {
            "gen": 1,
            "kind": "data-export",
            "schema_version": 1,
            "max_concurrent": 2,
            "first_key": TABLES.first_key,
        },
        "next_in_line": {
            "kind": "data-export",
            "concurrency_key": "ann",
            "first_key": TABLES.first_key,
            "hold": 15,
        },
        "wake_lines": {
            "kinds": ["data-export"],
            "limits": [2],
            "after_kind": "",
            "after_key": "",
            "first_key": TABLES.first_key,
            "n": 500,
        },
        "follow_up": {"batch_id": uuid4(), "n": 1, "hold": 15},
        "follow_up of any batch": {"batch_id": None, "n": 500, "hold": 0},
        "batch": {"batch_id": uuid4()},
        "expiring": {"n": 500, "keep": 86_400 * 28, "kinds": ["data-export"], "keeps": [86_400.0 * 90]},
        "erase": {"user_id": "ann", "n": 200, "max_chunks": 20_000},
        "erasing": {"user_id": "ann", "n": 200},
        "prune": {
            "n": 500,
            "max_chunks": 20_000,
            "keep": 86_400 * 28,
            "kinds": ["data-export"],
            "keeps": [86_400.0 * 90],
        },
        "rescue": {"n": 500, "max_lost": 3},
        "resend_silent": {"n": 500, "stale": 600},
        "pick_unsent": {"n": 500, "hold": 15, **QUEUES.parameters()},
        "wake_paused": {"n": 500, "hold": 0, "first_key": TABLES.first_key},
        "queue_ages": {},
        "end_unknown": {"n": 500, "kinds": ["data-export"], "wait": 86_400},
        "end_unknown of any kind": {"n": 500, "kinds": ["none of them"], "wait": 0},
        "latest_key": {"user_id": "ann", "kind": "data-export", "prefix": "schedule:"},
    }

    @pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
    @pytest.mark.parametrize("duty", PARAMS)
    def test_none_reads_the_table(
        self, connection: Connection[Row], sample: Mapping[str, Any], duty: str, mode: str
    ) -> None:
        with connection.transaction(force_rollback=True):
            connection.execute(f"set local plan_cache_mode = {mode}")
            plan = Plan(connection, duty.split()[0], {"id": sample["job"]["id"], **self.PARAMS[duty]})
        assert "job" not in plan.scanned

    def test_what_is_kept_long_is_not_read_for_what_is_not(self, connection: Connection[Row]) -> None:
        ten_years = [86_400.0 * 3650]
        for name in ("expiring", "prune"):
            with connection.transaction(force_rollback=True):
                kept = {
                    "n": 500,
                    "max_chunks": 20_000,
                    "keep": 86_400 * 40,
                    "kinds": ["thumbnail"],
                    "keeps": ten_years,
                }
                assert Plan(connection, name, kept).looked_at <= 500, name

    def test_jobs_of_a_far_future_are_not_looked_at(self, connection: Connection[Row]) -> None:
        with connection.transaction(force_rollback=True):
            connection.execute(
                "insert into queued_jobs.job (id, kind, queue, user_id, request, next_send_at, available_at, sent_gen) "
                "select gen_random_uuid(), 'far', 'far', 'ann', '{}', tomorrow, tomorrow, n % 2 "
                "from generate_series(1, 5000) n, (select now() + interval '1 day') as t (tomorrow)"
            )
            for name, waits in (
                ("pick_unsent", {"hold": 15, **QUEUES.parameters()}),
                ("resend_silent", {"stale": 600}),
            ):
                assert Plan(connection, name, {"n": 500, **waits}).looked_at <= 1_000, name

    def test_a_claim_looks_at_its_line_only(self, connection: Connection[Row], sample: Mapping[str, Any]) -> None:
        with connection.transaction(force_rollback=True):
            claim = {
                "id": sample["job"]["id"],
                "gen": 1,
                "kind": sample["job"]["kind"],
                "schema_version": 1,
                "token": uuid4(),
                "worker_id": "w",
                "lease": 60,
                "timeout": 60,
                "max_concurrent": 2,
                "first_key": TABLES.first_key,
            }
            plan = Plan(connection, "claim", claim)
        assert plan.scanned <= SMALL
        assert plan.looked_at <= 2


#: What the planner knows of the jobs that wait: all, as of a quiet time when there were nearly none, or nothing.
STATISTICS = pytest.mark.parametrize("statistics", ["fresh", "stale", "none"])


def fill(connection: Connection[Row], statistics: str, insert: str, params: Mapping[str, Any]) -> None:
    """Insert waiting jobs, with these statistics."""
    if statistics == "stale":
        connection.execute("delete from queued_jobs.job where finished_at is null")
        connection.execute("analyze queued_jobs.job")
    connection.execute(insert.encode(), params)
    if statistics == "fresh":
        connection.execute("analyze queued_jobs.job")
    elif statistics == "none":
        connection.execute("delete from pg_statistic where starelid = 'queued_jobs.job'::regclass")


@contextmanager
def in_each_mode(connection: Connection[Row], mode: str) -> Iterator[None]:
    """Plan for the values, or for any: and undo what is done."""
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("set local plan_cache_mode = {}").format(sql.Literal(mode)))
        yield


MODES = ("force_custom_plan", "force_generic_plan")


class TestLine:
    """Ten thousand jobs with one concurrency key: what one of them costs does not grow with those ahead of it."""

    LENGTH = 10_000
    LINE = (
        "insert into queued_jobs.job (id, kind, queue, user_id, request, concurrency_key, sent_gen, parked_at,"
        " created_at, next_send_at) select gen_random_uuid(), 'line', 'line', 'ann', '{}', 'ann', %(sent)s,"
        " case when %(sent)s = 0 then now() end, now() - interval '1 day' + n * interval '1 ms',"
        " now() + interval '10 minutes' from generate_series(1, %(length)s) n"
    )
    #: Jobs ahead that are counted, or looked at to find the one to wake.
    MOST: ClassVar[dict[str, int]] = {"claim": 25, "wait_in_line": 25, "next_in_line": 110, "wake_lines": 25}

    @STATISTICS
    @pytest.mark.parametrize("sent", [0, 1], ids=["in line", "on their way"])
    def test_none_is_read_to_its_end(self, connection: Connection[Row], sent: int, statistics: str) -> None:
        with connection.transaction(force_rollback=True):
            fill(connection, statistics, self.LINE, {"length": self.LENGTH, "sent": sent})
            line = connection.execute(
                "select id from queued_jobs.job where kind = 'line' order by created_at"
            ).fetchall()
            for mode, max_concurrent in itertools.product(MODES, (1, 5)):
                for name, params in self.calls(line, max_concurrent):
                    with in_each_mode(connection, mode):
                        plan = Plan(connection, name, params)
                    assert plan.scanned <= SMALL, (name, mode)
                    assert plan.looked_at <= self.MOST[name], (name, mode, max_concurrent, plan.top)

    def calls(self, line: Sequence[Row], max_concurrent: int) -> Iterator[tuple[str, dict[str, Any]]]:
        worker = {"token": uuid4(), "worker_id": "w", "lease": 60, "timeout": 60}
        job = {**TestDuties.PARAMS["wait_in_line"], "kind": "line", "max_concurrent": max_concurrent}
        for place in (self.LENGTH // 2, self.LENGTH - 1):
            for name in ("claim", "wait_in_line"):
                yield name, {"id": line[place]["id"], **job, **worker}
        yield "next_in_line", {**TestDuties.PARAMS["next_in_line"], "kind": "line"}
        yield "wake_lines", {**TestDuties.PARAMS["wake_lines"], "kinds": ["line"], "limits": [max_concurrent]}


class TestLines:
    """Ten thousand lines, each with a waiting job: the sweeper examines as many as it was asked to."""

    LENGTH = 10_000
    LINES = (
        "insert into queued_jobs.job (id, kind, queue, user_id, request, concurrency_key, parked_at, next_send_at)"
        " select gen_random_uuid(), 'line', 'line', 'ann', '{}', 'key ' || n, now(), now() + interval '10 minutes'"
        " from generate_series(1, %(length)s) n, generate_series(1, 2)"
    )

    @STATISTICS
    def test_each_is_looked_into_once(self, connection: Connection[Row], statistics: str) -> None:
        with connection.transaction(force_rollback=True):
            fill(connection, statistics, self.LINES, {"length": self.LENGTH})
            lines = {**TestDuties.PARAMS["wake_lines"], "kinds": ["line"], "after_kind": "line", "after_key": "key 2"}
            for mode in MODES:
                with in_each_mode(connection, mode):
                    plan = Plan(connection, "wake_lines", lines)
                assert plan.scanned == set(), mode
                assert plan.looked_at <= 4 * 500, (mode, plan.top)


class TestBacklog:
    """Twenty thousand jobs wait that a duty of the sweeper has nothing to do with."""

    LENGTH = 20_000
    WAITING = (
        "insert into queued_jobs.job (id, kind, queue, user_id, request, sent_gen, next_send_at, concurrency_key)"
        " select gen_random_uuid(), 'backlog', 'backlog', 'ann', '{}', 1, now() - interval '1 second', 'key ' || n"
        " from generate_series(1, %(length)s) n"
    )
    DUTIES = (
        *("pick_unsent", "resend_silent", "rescue", "follow_up of any batch", "wake_lines", "wake_paused"),
        *("expiring", "prune"),
    )

    @STATISTICS
    def test_none_of_them_is_read_for_it(self, connection: Connection[Row], statistics: str) -> None:
        with connection.transaction(force_rollback=True):
            fill(connection, statistics, self.WAITING, {"length": self.LENGTH})
            read = {}
            for mode, duty in itertools.product(MODES, self.DUTIES):
                with in_each_mode(connection, mode):
                    read[mode, duty] = Plan(connection, duty.split()[0], TestDuties.PARAMS[duty]).looked_at
            assert {call: rows for call, rows in read.items() if rows >= self.LENGTH} == {}


class TestPaused:
    """Twenty thousand jobs of a paused kind: they cost nothing until it is resumed, and then what is sent of them."""

    LENGTH = 20_000
    HELD = (
        "insert into queued_jobs.job (id, kind, queue, user_id, request, parked_at, paused_at, next_send_at)"
        " select gen_random_uuid(), 'still', 'still', 'ann', '{}', now(), now(), '9999-12-31Z'"
        " from generate_series(1, %(length)s) n"
    )

    @STATISTICS
    def test_none_is_read_while_it_is_paused(self, connection: Connection[Row], statistics: str) -> None:
        with connection.transaction(force_rollback=True):
            connection.execute("insert into queued_jobs.pause (kind, subject) values ('still', 'eve')")
            fill(connection, statistics, self.HELD, {"length": self.LENGTH})
            for mode, duty in itertools.product(MODES, ("pick_unsent", "resend_silent", "wake_paused")):
                with in_each_mode(connection, mode):
                    plan = Plan(connection, duty, TestDuties.PARAMS[duty])
                assert plan.looked_at <= 1_000, (mode, duty, plan.top)
            connection.execute("delete from queued_jobs.pause")
            for mode in MODES:
                with in_each_mode(connection, mode):
                    plan = Plan(connection, "wake_paused", TestDuties.PARAMS["wake_paused"])
                assert plan.looked_at <= 1_000, (mode, plan.top)
