"""The admin's search: every filter, every two of them, and the pages, against the same asked of a list in Python."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from queued_jobs import JobStatus, QueueManager
from queued_jobs.dashboard import search, status_counts
from queued_jobs.dashboard.search import COUNTED, JobQuery
from queued_jobs.database import Database, Row
from queued_jobs.errors import InvalidRequest
from queued_jobs.model import JobKey
from queued_jobs.postgres import PostgresRepository
from queued_jobs.schema import statement
from queued_jobs.testing import FakeQueues, RecordingNotifier
from queued_jobs.tracker import JobTracker
from tests.support.own_database import own_database
from tools.local_stack.postgres import PostgresServer

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
FINAL = ("succeeded", "failed", "cancelled", "aborted")
NAMES = (
    "report.zip",
    "100% done.csv",
    "a_b.txt",
    "aXb.txt",
    r"C:\temp\x.bin",
    'the "big" one',
    "Größe.pdf",
    "line\nbreak",
)
ERRORS = (
    {"type": "ValueError", "message": "50% of a_b is not a number", "traceback": "Traceback: deep down"},
    {"type": "OSError", "message": r"no such path: \\server\share"},
    None,
)


def _rows() -> Iterator[Row]:
    dice = random.Random(7)
    for number in range(400):
        status = dice.choice([*JobStatus])
        created = NOON - timedelta(minutes=dice.randrange(120))  # many at the same moment
        yield {
            "id": uuid7(),
            "kind": dice.choice(["zip", "csv", "mail"]),
            "queue": dice.choice(["zip", "zip-urgent", "csv"]),
            "user_id": dice.choice(["ann", "bob", "o'neill; --"]),
            "request": {"name": dice.choice(NAMES), "n": number, "nested": {"keys": [{"Deep": dice.choice("xyz")}]}},
            "user_name": ("Ada Lovelace", None, "Ben")[number % 3],
            "status": status.value,
            "attempt": dice.randrange(6),
            "error": None if status is JobStatus.SUCCEEDED else dice.choice(ERRORS),
            "created_at": created,
            "finished_at": created if status.is_final else None,
            "lease_token": uuid7() if status is JobStatus.RUNNING else None,
            "lease_until": created if status is JobStatus.RUNNING else None,
            "deadline_at": created if status is JobStatus.RUNNING else None,
        }


@pytest.fixture(scope="module")
def stocked(postgres: PostgresServer, migrated_template: str) -> Iterator[tuple[str, list[Row]]]:
    """A database with some hundred jobs, and these jobs, newest first."""
    with own_database(postgres, migrated_template) as url, psycopg.connect(url, autocommit=True) as conn:
        for row in _rows():
            values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in row.items()}
            names = psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, values))
            marks = psycopg.sql.SQL(", ").join(map(psycopg.sql.Placeholder, values))
            conn.execute(psycopg.sql.SQL("insert into queued_jobs.job ({}) values ({})").format(names, marks), values)
        rows = conn.cursor(row_factory=dict_row).execute("select * from queued_jobs.job").fetchall()
        yield url, sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=True)


@pytest.fixture
def rows(stocked: tuple[str, list[Row]]) -> list[Row]:
    return stocked[1]


@pytest.fixture
async def tracker(stocked: tuple[str, list[Row]]) -> AsyncIterator[JobTracker]:
    database = Database(stocked[0])
    yield QueueManager(
        (), repository=PostgresRepository(database), queues=FakeQueues(), notifier=RecordingNotifier()
    ).tracker
    await database.close()


def texts(value: object) -> Iterator[str]:
    """Every name and value in a piece of JSON."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif value is not None:
        yield value if isinstance(value, str) else json.dumps(value)


def holds(row: Row, wanted: str) -> bool:
    error = (row["error"] or {}).values()
    return any(wanted.lower() in text.lower() for text in (*texts(row["request"]), *error))


#: What each filter means.
MEANING: dict[str, Callable[[Row, Any], bool]] = {
    "kind": lambda row, value: row["kind"] == value,
    "statuses": lambda row, value: row["status"] in value,
    "user_id": lambda row, value: row["user_id"] == value,
    "queue": lambda row, value: row["queue"] == value,
    "user_name": lambda row, value: value.lower() in (row["user_name"] or "").lower(),
    "created_from": lambda row, value: row["created_at"] >= value,
    "created_before": lambda row, value: row["created_at"] < value,
    "error_type": lambda row, value: row["error"] is not None and row["error"]["type"] == value,
    "attempts_over": lambda row, value: row["attempt"] > value,
    "text": holds,
    "id_prefix": lambda row, value: row["id"].hex.startswith(value.replace("-", "").lower()),
}
#: Values of which some match and some do not.
VALUES: dict[str, tuple[Any, ...]] = {
    "kind": ("zip", "unknown"),
    "statuses": (
        frozenset({JobStatus.FAILED}),
        frozenset({JobStatus.PENDING, JobStatus.SUCCEEDED, JobStatus.ABORTED}),
        frozenset(),
    ),
    "user_id": ("ann", "o'neill; --"),
    "queue": ("zip-urgent", "csv"),
    "user_name": ("LOVEL", "%"),
    "created_from": (NOON - timedelta(hours=1), NOON + timedelta(days=1)),
    "created_before": (NOON - timedelta(hours=1), NOON - timedelta(days=1)),
    "error_type": ("ValueError", "Nothing"),
    "attempts_over": (2, -1),
    "text": ("report", "DEEP"),
    "id_prefix": ("0", "FFFF"),
}
SINGLE = [{name: value} for name, values in VALUES.items() for value in values]
PAIRS = [
    {one: value, other: other_value}
    for one, other in itertools.combinations(VALUES, 2)
    for value, other_value in itertools.product(VALUES[one], VALUES[other])
]


def expected(rows: list[Row], filters: dict[str, Any]) -> list[JobKey]:
    return [row["id"] for row in rows if all(MEANING[name](row, value) for name, value in filters.items())]


async def found(tracker: JobTracker, query: JobQuery, *, limit: int = 500) -> list[JobKey]:
    """Walk through all pages."""
    keys, before = [], None
    while True:
        page = await tracker.search(query, before=before, limit=limit)
        keys += [job.id for job in page.jobs]
        before = page.next
        if before is None:
            return keys


def in_words(filters: dict[str, Any]) -> str:
    """The same in every process, which a set is not."""
    return ", ".join(
        f"{name} {sorted(value) if isinstance(value, frozenset) else value}" for name, value in filters.items()
    )


class TestFilters:
    def test_every_filter_is_tried(self) -> None:
        assert set(MEANING) == set(VALUES) == set(JobQuery.__dataclass_fields__)
        assert len(PAIRS) > 45 * 4

    @pytest.mark.parametrize("filters", SINGLE, ids=in_words)
    async def test_each_filter(self, tracker: JobTracker, rows: list[Row], filters: dict[str, Any]) -> None:
        query = JobQuery(**filters)
        assert await found(tracker, query) == expected(rows, filters)
        counted = await tracker.count(query)
        assert (counted.number, counted.exact) == (len(expected(rows, filters)), True)

    async def test_every_two_filters(self, tracker: JobTracker, rows: list[Row]) -> None:
        matches = 0
        for filters in PAIRS:
            keys = expected(rows, filters)
            assert await found(tracker, JobQuery(**filters)) == keys, filters
            assert (await tracker.count(JobQuery(**filters))).number == len(keys), filters
            matches += bool(keys)
        assert matches > 80

    async def test_all_filters_at_once(self, tracker: JobTracker, rows: list[Row]) -> None:
        row = next(row for row in rows if row["error"] is not None and row["user_name"])
        filters = {
            "kind": row["kind"],
            "statuses": frozenset({JobStatus(row["status"])}),
            "user_id": row["user_id"],
            "queue": row["queue"],
            "user_name": row["user_name"],
            "created_from": row["created_at"],
            "created_before": row["created_at"] + timedelta(microseconds=1),
            "error_type": row["error"]["type"],
            "attempts_over": row["attempt"] - 1,
            "text": row["error"]["message"],
            "id_prefix": str(row["id"]),
        }
        assert set(filters) == set(MEANING)
        assert await found(tracker, JobQuery(**filters)) == [row["id"]]

    def test_search_and_count_filter_alike(self) -> None:
        def filters(name: str) -> list[str]:
            text = statement(name).decode()
            words = " ".join(line.strip() for line in text.splitlines() if not line.startswith("--"))
            assert "(%(queue)s::text is null or queue = %(queue)s)" in words
            return [words[words.index("where (created_at") : words.rindex("%(attempts_over)s)")]]

        assert filters("search") == filters("count")


class TestText:
    @pytest.mark.parametrize(
        "text",
        [
            "100%",
            "%",
            "_",
            "a_b",
            "\\",
            r"C:\temp",
            r"\\server",
            '"big"',
            '"',
            "'",
            "größe",
            "line\nbreak",
            "\n",
            "' or true --",
            "%(kind)s",
            "{}",
            "$1",
            "",
        ],
    )
    async def test_no_character_is_special(self, tracker: JobTracker, rows: list[Row], text: str) -> None:
        assert await found(tracker, JobQuery(text=text)) == expected(rows, {"text": text})

    @pytest.mark.parametrize("name", ["kind", "user_id", "queue", "error_type"])
    async def test_a_value_is_a_value(self, tracker: JobTracker, name: str) -> None:
        for value in ("' or true --", "zip' --", "%", "_ip", "z%", "%(kind)s", ""):
            assert await found(tracker, JobQuery(**{name: value})) == []  # type: ignore[arg-type]

    async def test_a_search_goes_on_where_it_stopped_looking(
        self, tracker: JobTracker, rows: list[Row], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(search, "EXAMINED", 30)
        wanted = expected(rows, {"text": "big"})
        first = await tracker.search(JobQuery(text="big"), limit=50)
        assert len(first.jobs) < len(wanted)
        assert first.next is not None
        assert await found(tracker, JobQuery(text="big"), limit=50) == wanted
        assert await found(tracker, JobQuery(text="big"), limit=1) == wanted
        nothing = await tracker.search(JobQuery(text="nowhere to be found"), limit=50)
        assert (nothing.jobs, nothing.next is None) == ((), False)
        assert await found(tracker, JobQuery(text="nowhere to be found")) == []
        counted = await tracker.count(JobQuery(text="big"))
        assert not counted.exact
        assert counted.number < len(wanted)


class TestPages:
    @pytest.mark.parametrize("limit", [1, 7, 399, 400, 401])
    async def test_no_gap_and_no_overlap(self, tracker: JobTracker, rows: list[Row], limit: int) -> None:
        assert len({row["created_at"] for row in rows}) < 130, "many at the same moment"
        assert await found(tracker, JobQuery(), limit=limit) == [row["id"] for row in rows]

    async def test_pages_under_a_filter(self, tracker: JobTracker, rows: list[Row]) -> None:
        filters = {"kind": "zip", "created_before": NOON - timedelta(minutes=30)}
        assert await found(tracker, JobQuery(**filters), limit=3) == expected(rows, filters)  # type: ignore[arg-type]

    async def test_what_comes_meanwhile_moves_no_page(
        self, tracker: JobTracker, stocked: tuple[str, list[Row]]
    ) -> None:
        url, rows = stocked
        first = await tracker.search(JobQuery(), limit=5)
        with psycopg.connect(url, autocommit=True) as conn:
            key = uuid7()
            conn.execute(
                "insert into queued_jobs.job (id, kind, queue, user_id, request) values (%s, 'n', 'new', 'ann', '{}')",
                (key,),
            )
            second = await tracker.search(JobQuery(), before=first.next, limit=5)
            conn.execute("delete from queued_jobs.job where id = %s", (key,))
        assert [job.id for job in (*first.jobs, *second.jobs)] == [row["id"] for row in rows[:10]]

    async def test_a_list_carries_no_bodies(self, tracker: JobTracker, rows: list[Row]) -> None:
        page = await tracker.search(JobQuery(error_type="ValueError"))
        row = next(row for row in rows if row["id"] == page.jobs[0].id)
        job = page.jobs[0]
        assert (job.kind, job.user_id, job.queue) == (row["kind"], row["user_id"], row["queue"])
        assert (job.attempt, job.status, job.created_at) == (row["attempt"], row["status"], row["created_at"])
        assert job.error is not None
        assert (job.error.message, job.error.traceback) == (row["error"]["message"], None)

    async def test_a_large_body_is_not_read(self, stocked: tuple[str, list[Row]]) -> None:
        database = Database(stocked[0])
        params = JobQuery().to_params() | {"examined": 51, "limit": 51}
        rows = await database.planned_rows("search", params)
        await database.close()
        assert {"request", "result", "error"}.isdisjoint(rows[0])
        assert len(rows) == 51


class TestCount:
    @pytest.mark.parametrize("filters", [{"text": "big"}, {"queue": "zip"}, {"kind": "zip", "text": "big"}], ids=str)
    async def test_it_agrees_with_the_list(
        self, tracker: JobTracker, monkeypatch: pytest.MonkeyPatch, filters: dict[str, str]
    ) -> None:
        for examined in (1, 7, 30, 150, 5_000):
            monkeypatch.setattr(search, "EXAMINED", examined)
            query = JobQuery(**filters)  # type: ignore[arg-type]
            page, counted = await tracker.search(query, limit=500), await tracker.count(query)
            assert counted.number == len(page.jobs)
            assert counted.exact is (page.next is None)

    async def test_counting_stops_at_a_bound(self, tracker: JobTracker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(search, "COUNTED", 400)
        assert [(count.number, count.exact) for count in [await tracker.count(JobQuery())]] == [(400, True)]
        monkeypatch.setattr(search, "COUNTED", 399)
        counted = await tracker.count(JobQuery())
        assert (counted.number, counted.exact) == (399, False)
        assert COUNTED == 10_000

    async def test_each_status_is_counted_by_the_other_filters(self, tracker: JobTracker, rows: list[Row]) -> None:
        for filters in (*SINGLE, *PAIRS):
            wanted = self.by_status(rows, filters)
            counts = await tracker.count_statuses(JobQuery(**filters))
            found = {status: (count.number, count.exact) for status, count in counts.items()}
            assert found == {status: (wanted[status], True) for status in JobStatus}, in_words(filters)

    @pytest.mark.parametrize("filters", [{}, {"kind": "zip"}, {"queue": "zip"}, {"text": "big"}], ids=str)
    async def test_of_each_status_no_more_are_counted(
        self, tracker: JobTracker, rows: list[Row], monkeypatch: pytest.MonkeyPatch, filters: dict[str, str]
    ) -> None:
        wanted = self.by_status(rows, filters)
        for most in (0, 1, min(wanted.values()), max(wanted.values())):
            monkeypatch.setattr(status_counts, "COUNTED_OF_EACH", most)
            for status, count in (await tracker.count_statuses(JobQuery(**filters))).items():  # type: ignore[arg-type]
                assert count.number <= min(most, wanted[status])
                assert count.number == wanted[status] or not count.exact, (status, most)
                assert count.exact or wanted[status] > most or "queue" in filters
        monkeypatch.setattr(search, "EXAMINED", 5)
        counts = await tracker.count_statuses(JobQuery(text="big"))
        assert not any(count.exact for count in counts.values())

    def by_status(self, rows: list[Row], filters: dict[str, Any]) -> Counter[str]:
        matching = set(expected(rows, {name: value for name, value in filters.items() if name != "statuses"}))
        return Counter(row["status"] for row in rows if row["id"] in matching)

    async def test_what_an_action_would_touch(self, tracker: JobTracker, rows: list[Row]) -> None:
        bad = [row for row in rows if row["status"] in ("failed", "aborted", "cancelled") and row["kind"] == "zip"]
        assert (await tracker.count(JobQuery(kind="zip").retryable())).number == len(bad)
        alive = [row for row in rows if row["status"] not in FINAL]
        assert (await tracker.count(JobQuery().cancellable())).number == len(alive)
        succeeded = JobQuery(statuses=frozenset({JobStatus.SUCCEEDED}))
        assert (await tracker.count(succeeded.retryable())).number == 0


class TestRefused:
    @pytest.mark.parametrize(
        ("filters", "named"),
        [
            ({"text": "nul \0"}, "text"),
            ({"user_id": "half \ud800"}, "user_id"),
            ({"created_from": datetime(2026, 1, 1)}, "created_from"),
            ({"id_prefix": "xyz"}, "id_prefix"),
            ({"id_prefix": ""}, "id_prefix"),
            ({"id_prefix": "0" * 33}, "id_prefix"),
            ({"attempts_over": 2**31}, "attempts_over"),
        ],
    )
    def test_a_value_that_no_job_can_have(self, filters: dict[str, Any], named: str) -> None:
        with pytest.raises(InvalidRequest, match=named):
            JobQuery(**filters)


@pytest.mark.parametrize("field", JobQuery.__dataclass_fields__)
@pytest.mark.parametrize("value", [5.5, True, b"a", ["failed"], {"a": 1}, timedelta(1)], ids=str)
def test_a_filter_of_another_type_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=field):
        JobQuery(**{field: value})
