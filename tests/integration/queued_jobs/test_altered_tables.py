"""Tables and functions change while statements are prepared and running, as a later version's migration does it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

import queued_jobs
from queued_jobs import JobStatus, schema
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.database import Database
from queued_jobs.errors import StoreUnavailable
from queued_jobs.message import JobMessage
from queued_jobs.model import JobKey
from queued_jobs.sweeper import Sweeper
from tests.integration.queued_jobs.conftest import Demo, Shop
from tests.support.alterations import Connection, alterations
from tests.support.waiting import eventually

STATEMENTS = sorted(path.stem for path in (Path(queued_jobs.__file__).parent / "sql" / "statements").glob("*.sql"))
#: psycopg prepares a statement when it is run for the sixth time.
UNTIL_PREPARED = 6

_KEY = UUID(int=1)
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
#: For every parameter of every statement a value that has a plan made, and finds nothing.
VALUES: dict[str, Any] = (
    dict.fromkeys(("id", "before_id", "token", "batch_id"), _KEY)
    | dict.fromkeys(("id_from", "id_to", "statuses", "error_type", "created_from", "attempts_over"))
    | dict.fromkeys(("text", "json_text", "signs", "user_name"))
    | dict.fromkeys(
        (
            "n",
            "max_concurrent",
            "limit",
            "gen",
            "schema_version",
            "max_lost",
            "max_resend",
            "give_up",
            "most",
            "max_resumes",
            *("size", "written", "max_size", "max_chunks", "after"),
        ),
        5,
    )
    | dict.fromkeys(("examined", "max_active", "max_per_day", "max_waiting", "count"), 5)
    | dict.fromkeys(("lease", "timeout", "grace", "hold", "stale", "keep", "backoff", "within", "wait"), 60.0)
    | dict.fromkeys(("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"), "10s")
    | dict.fromkeys(("since", "new_since", "before_created", "as_of", "origin"), _LONG_AGO)
    | dict.fromkeys(("bucket", "window"), timedelta(hours=1))
    | dict.fromkeys(("result", "error", "value"), Jsonb({"type": "none"}))
    | dict.fromkeys(("any_user", "retryable", "traces", "resume", "from_start"), False)
    | dict.fromkeys(("kind", "queue", "user_id", "concurrency_key", "worker_id", "message", "reason", "key"), "nobody")
    | dict.fromkeys(("subject", "role", "action", "outcome"), "none")
    | {
        "changed": 0,
        "before": 5,
        "filter": Jsonb({}),
        "ids": [_KEY],
        "gens": [1],
        "untils": [_LONG_AGO],
        "prefix": "none",
        "queues": ["none"],
        "suffixes": [""],
        "jobs": Jsonb([]),
        "kinds": ["none"],
        "keeps": [1.0],
        "limits": [1],
        "after_kind": "",
        "after_key": "",
        "first_key": UUID(int=0),
        "grains": ["hour"],
    }
    | {"topic": None, "topics": ["none"], "texts": [""], "skips": [0], "starts": [0]}
    | {"progress": 0.5, "body_sha256": b"", "body_start": ""}
)


@pytest.fixture
async def database(jobs_url: str) -> AsyncIterator[Database]:
    """One connection, on which every statement is prepared."""
    database = Database(jobs_url, max_size=1)
    for _ in range(UNTIL_PREPARED):
        await run_all(database)
    async with database.connection() as conn:
        rows = await (await conn.execute("select statement from pg_prepared_statements")).fetchall()
    prepared = {row["statement"] for row in rows}
    assert len(prepared) >= len(STATEMENTS)
    yield database
    await database.close()


@pytest.fixture
def migrator(jobs_url: str) -> Iterator[Connection]:
    with psycopg.connect(jobs_url, autocommit=True) as conn:
        yield conn


async def run_all(database: Database) -> None:
    for name in STATEMENTS:
        await database.rows(name, VALUES)


def refusals(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.name == "queued_jobs.database" for record in caplog.records)


async def test_no_statement_notices_what_migrations_add(
    database: Database, migrator: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    tables = 0
    for subject, changes in alterations(migrator):
        tables += subject == "table"
        for change in changes:
            migrator.execute(change)
        await run_all(database)
    assert tables >= 20
    assert refusals(caplog) == 0, "no statement had to be run again"


async def test_a_refused_plan_is_forgotten_and_the_statement_runs_again(
    database: Database, migrator: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    migrator.execute("alter table queued_jobs.job alter column attempt type bigint")
    await run_all(database)
    assert refusals(caplog) == 1, "a connection forgets all of its plans, so that each is not refused by itself"
    await run_all(database)
    assert refusals(caplog) == 1


async def test_a_server_that_has_forgotten_what_was_prepared(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with database.connection() as conn:
        conn.pgconn.exec_(b"deallocate all")  # as a pooler does it, and psycopg does not know
    await run_all(database)
    assert refusals(caplog) == 1


async def test_functions_that_were_dropped_and_made_again(database: Database, migrator: Connection) -> None:
    name = "queued_jobs.use"
    row = migrator.execute("select pg_get_functiondef(%s::regproc)", (name,)).fetchone()
    assert row is not None
    with migrator.transaction():
        migrator.execute(f"drop function {name}")
        migrator.execute(row[0])
    await run_all(database)


class TestCallersTransaction:
    """Only the caller can start a transaction again."""

    @pytest.fixture(autouse=True)
    def changed(self, database: Database, migrator: Connection) -> None:
        migrator.execute("alter table queued_jobs.job alter column attempt type bigint")

    async def test_it_fails_once(self, database: Database) -> None:
        with pytest.raises(StoreUnavailable):
            async with database.transaction() as conn:
                await database.rows("get", VALUES, conn=conn)
        async with database.transaction() as conn:
            for name in STATEMENTS:
                await database.rows(name, VALUES, conn=conn)

    async def test_what_the_caller_does_wrong_is_told_as_it_is(self, database: Database) -> None:
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            async with database.transaction() as conn:
                await conn.execute("select count(*) from queued_jobs.job for update")

    async def test_behind_a_savepoint_it_goes_on(self, database: Database) -> None:
        async with database.transaction() as conn:
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                async with conn.transaction():
                    await database.rows("get", VALUES, conn=conn)
            await database.rows("get", VALUES, conn=conn)


class TestCallersConnection:
    """A connection of the caller's own, as psycopg opens it."""

    @pytest.fixture
    async def conn(self, jobs_url: str, migrator: Connection) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        async with await psycopg.AsyncConnection.connect(jobs_url, autocommit=True) as conn:
            database = Database("")
            for _ in range(UNTIL_PREPARED):
                await database.rows("get", VALUES, conn=conn)
                await conn.execute("begin")
                await conn.execute("rollback")
            migrator.execute("alter table queued_jobs.job alter column attempt type bigint")
            yield conn

    async def test_outside_a_transaction_the_statement_runs_again(self, conn: psycopg.AsyncConnection[Any]) -> None:
        assert await Database("").rows("get", VALUES, conn=conn) == []

    async def test_a_transaction_that_is_written_out_fails_once(self, conn: psycopg.AsyncConnection[Any]) -> None:
        database = Database("")
        await conn.execute("begin")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            await database.rows("get", VALUES, conn=conn)
        await conn.execute("rollback")
        await conn.execute("begin")
        await database.rows("get", VALUES, conn=conn)
        await conn.execute("commit")


class Traffic:
    """Jobs that are started and run, pages that are read and sweeps, until it is over."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._runner = Demo(shop.backend)
        self._over = False
        self.jobs: list[JobKey] = []

    def end(self) -> None:
        self._over = True

    async def start_and_run(self) -> None:
        while not self._over:
            handle = await self._shop.queue()
            await self._runner.execute(JobMessage.of(handle.job))
            self.jobs.append(handle.id)

    async def read(self) -> None:
        tracker = self._shop.tracker
        while not self._over:
            await tracker.for_user("ann")
            await tracker.search(JobQuery(kind="demo"))
            await tracker.stats(window=timedelta(hours=1), bucket=timedelta(minutes=1))
            await tracker.failures(window=timedelta(hours=1))
            for key in self.jobs[-1:]:
                await tracker.attempts(key, user_id="ann")

    async def sweep(self) -> None:
        sweeper = Sweeper(self._shop.backend, runners=[self._runner])
        while not self._over:
            await sweeper.run_once()

    async def go_on(self, jobs: int) -> None:
        """Return when that number of further jobs have run."""
        until = len(self.jobs) + jobs
        while len(self.jobs) < until:
            await asyncio.sleep(0)


async def test_every_table_is_altered_while_jobs_run_and_pages_are_read(
    shop: Shop, migrator: Connection, jobs_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    traffic = Traffic(shop)
    async with (
        await psycopg.AsyncConnection.connect(jobs_url, autocommit=True) as conn,
        asyncio.TaskGroup() as tasks,
    ):
        for work in (traffic.start_and_run, traffic.start_and_run, traffic.read, traffic.sweep):
            tasks.create_task(work())
        await traffic.go_on(4 * UNTIL_PREPARED)
        for _, changes in alterations(migrator):
            for change in changes:
                await schema.apply(conn, change.as_bytes(conn))
                await traffic.go_on(2)
        traffic.end()
    rows = migrator.execute("select status, attempt, count(*) from queued_jobs.job group by 1, 2").fetchall()
    assert rows == [(JobStatus.SUCCEEDED, 1, len(traffic.jobs))]
    assert len(traffic.jobs) >= 200
    assert refusals(caplog) == 0


async def test_jobs_wait_for_less_than_a_second_behind_a_migration_that_cannot_run_yet(
    jobs_url: str, migrator: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = b"alter table queued_jobs.job add column note text"
    monkeypatch.setattr(schema, "migrations", lambda _: ((999_999, "later", change),))
    assert timedelta(seconds=1) >= 2 * schema.MAX_LOCK_WAIT
    monkeypatch.setattr(schema, "MAX_LOCK_WAIT", schema.MAX_LOCK_WAIT / 2)  # this server is shared with other tests
    with psycopg.connect(jobs_url) as reader:
        reader.execute("select count(*) from queued_jobs.job")  # as a long report does, which locks out any change
        migrating = asyncio.create_task(schema.migrate(jobs_url))
        await eventually(lambda: asyncio.to_thread(waits_for_a_lock, migrator), "the migration waits for the reader")
        # as the server measures it: from the request to the grant
        migrator.execute("set lock_timeout = '1s'")
        for _ in range(2):
            with migrator.transaction():
                await asyncio.to_thread(migrator.execute, "lock table queued_jobs.job in row exclusive mode")
        assert not migrating.done()
    assert await migrating == ["later"]


def waits_for_a_lock(conn: Connection) -> bool:
    query = (
        "select 1 from pg_stat_activity where datname = current_database() and backend_type = 'client backend'"
        " and wait_event_type = 'Lock' and query like 'alter table%'"
    )
    return conn.execute(query).fetchone() is not None
