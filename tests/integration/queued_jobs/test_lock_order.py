"""Statements over many rows lock them in one order, or wait for none: so no two of them can wait for each other."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

import queued_jobs
from queued_jobs.kind_queues import KindQueues
from queued_jobs.schema import TABLES, source, statement
from tests.support.own_database import own_database
from tests.support.waiting import wait_until
from tools.local_stack.postgres import PostgresServer

Connection = psycopg.Connection[tuple[Any, ...]]

STATEMENTS = sorted(path.stem for path in (Path(queued_jobs.__file__).parent / "sql" / "statements").glob("*.sql"))
_COMMENT = re.compile(r"--.*")
_CHANGES = re.compile(r"\b(update queued_jobs|delete from|insert into|for update)\b")
#: What it changes is one row: that of this id, or the one that it inserts.
_ONE = re.compile(r"\bid = %\(id\)s|\)\s+values \(|\bdelete from queued_jobs\.pause where kind = %\(kind\)s")
#: What does not wait for a lock of a row.
_SKIPPING = re.compile(r"\bfor update(?: of \w+)? skip locked")

COUNT = 24
IDS = [UUID(int=number) for number in range(1, COUNT + 1)]
#: Neither the order of the ids nor its reverse: as the rows lie in the table, and as callers name them.
SCRAMBLED = [IDS[number * 7 % COUNT] for number in range(COUNT)]
WAITING: Mapping[str, str] = {"status": "'pending'", "next_send_at": "'2026-01-01'"}
SUCCEEDED: Mapping[str, str] = {
    "status": "'succeeded'",
    "finished_at": "'2026-01-01'",
    "next_send_at": "'2026-01-01'",
    "result": "'{}'",
}
FAILED: Mapping[str, str] = {"status": "'failed'", "finished_at": "'2026-01-01'"}
#: However it ended.
ENDED: Mapping[str, str] = {"finished_at": "'2026-01-01'"}
ANY: Mapping[str, Any] = {
    **{"user_id": "ann", "as_of": "2027-01-01", "since": "2026-01-01", "hold": 15.0},
    **KindQueues().parameters(),
}


@dataclass(frozen=True)
class Rows:
    """In which state the statement finds its rows, and what else it is asked for."""

    columns: Mapping[str, str]
    params: Mapping[str, Any] = field(default_factory=dict)


_RETENTION = {"n": 500, "max_chunks": 500, "keep": 1.0, "kinds": [], "keeps": []}
#: Those that may wait for a row.
ORDERED = {
    "mark_sent": Rows(WAITING),
    "keep_reserved": Rows(WAITING),
    "cancel_all": Rows(WAITING),
    "requeue_all": Rows(FAILED),
    "mark_seen": Rows(ENDED),
    "clear": Rows(ENDED),
    "clear_finished": Rows(ENDED),
    "undo_clear": Rows({**ENDED, "cleared_at": "'2026-01-02'"}),
    "expire": Rows(SUCCEEDED),
}
#: Those that leave out what somebody else has locked.
SKIPPING = {
    "pick_unsent": Rows(WAITING, {"n": 500}),
    "resend_silent": Rows({**WAITING, "sent_gen": "1", "available_at": "'2026-01-01'"}, {"n": 500, "stale": 600.0}),
    "rescue": Rows(
        {
            "status": "'running'",
            "lease_token": "gen_random_uuid()",
            "lease_until": "'2026-01-01'",
            "deadline_at": "'2026-01-01'",
        },
        {"n": 500, "max_lost": 3},
    ),
    "follow_up": Rows(
        {"available_at": "'9999-12-31Z'", "after_batch": "gen_random_uuid()"}, {"n": 500, "batch_id": None}
    ),
    "next_in_line": Rows(
        {**WAITING, "concurrency_key": "'ann'", "parked_at": "now()"},
        {"kind": "demo", "concurrency_key": "ann", "first_key": TABLES.first_key},
    ),
    "wake_lines": Rows(
        {"concurrency_key": "'ann'", "parked_at": "now()", "next_send_at": "'2099-01-01'"},
        {"kinds": ["demo"], "limits": [9], "after_kind": "", "after_key": "", "first_key": TABLES.first_key, "n": 500},
    ),
    "wake_paused": Rows({**WAITING, "paused_at": "now()"}, {"n": 500, "hold": 0.0, "first_key": TABLES.first_key}),
    "expiring": Rows(SUCCEEDED, _RETENTION),
    "prune": Rows(FAILED, _RETENTION),
    "erase": Rows(FAILED, {"n": 500, "max_chunks": 500}),
    "erasing": Rows(SUCCEEDED, {"n": 500}),
    "end_unknown": Rows(
        {**WAITING, "created_at": "'2026-01-01'", "available_at": "'2026-01-01'"}, {"n": 500, "kinds": [], "wait": 1.0}
    ),
    **{name: Rows(WAITING, _RETENTION) for name in ("prune_rejected", "prune_uses", "prune_audit", "prune_runs")},
    **{name: Rows(SUCCEEDED, {"n": 500}) for name in ("tally_attempts", "tally_created", "tally_fold")},
}
#: New rows, which nobody else knows. Where their keys are taken, a batch has numbered them in its own order.
INSERTING = {"enqueue"}

PLANS: Mapping[str, Sequence[str]] = {
    "as planned": (),
    "from end to end": ("enable_indexscan", "enable_bitmapscan", "enable_indexonlyscan"),
    "by index": ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin"),
    "by bitmap": ("enable_seqscan", "enable_indexscan", "enable_indexonlyscan", "enable_nestloop"),
}


def test_every_statement_is_known() -> None:
    many = set()
    for name in STATEMENTS:
        text = _COMMENT.sub("", source(name).decode())
        if _CHANGES.search(text) and not _ONE.search(text):
            many.add(name)
    assert many == {*ORDERED, *SKIPPING, *INSERTING}


@pytest.fixture(scope="module")
def url(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    with own_database(postgres, migrated_template) as url:
        yield url


@pytest.fixture
def connections(url: str) -> Iterator[list[Connection]]:
    """Three; a deadlock is noticed soon."""
    options = "-c deadlock_timeout=20ms -c statement_timeout=60s -c timezone=UTC"
    found = [psycopg.connect(url, options=options) for _ in range(3)]
    yield found
    for connection in found:
        connection.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("delete from queued_jobs.job")


def store(connection: Connection, columns: Mapping[str, str]) -> None:
    columns = {"status": FAILED["status"] if "finished_at" in columns else WAITING["status"], **columns}
    insert = sql.SQL(
        "insert into queued_jobs.job (id, kind, queue, user_id, request, {})"
        " select id, 'demo', 'demo', 'ann', '{{}}', {} from unnest(%s) id"
    ).format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(sql.SQL(value) for value in columns.values()),
    )
    connection.execute(insert, (SCRAMBLED,))
    connection.commit()


def run(connection: Connection, name: str, rows: Rows, ids: Sequence[UUID] = SCRAMBLED) -> int:
    """Run the statement in a transaction that is left open, and return how many rows it changed."""
    params = {
        **ANY,
        "ids": list(ids),
        "gens": [1] * len(ids),
        "untils": ["2026-01-01"] * len(ids),
        **rows.params,
    }
    return connection.execute(statement(name), params, prepare=False).rowcount


def plan_by(connection: Connection, plan: str) -> None:
    for setting in PLANS[plan]:
        connection.execute(sql.SQL("set local {} = off").format(sql.Identifier(setting)))


def is_blocked(connection: Connection, pid: int) -> bool:
    row = connection.execute("select cardinality(pg_blocking_pids(%s)) > 0", (pid,)).fetchone()
    assert row is not None
    return bool(row[0])


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", ORDERED)
def test_those_that_wait_lock_in_order_of_the_ids(connections: list[Connection], name: str, plan: str) -> None:
    holder, worker, watcher = connections
    store(holder, ORDERED[name].columns)
    middle = IDS[COUNT // 2]
    holder.execute("select from queued_jobs.job where id = %s for update", (middle,))
    plan_by(worker, plan)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(run, worker, name, ORDERED[name])
        try:
            wait_until(lambda: is_blocked(watcher, worker.info.backend_pid), "it waits for the row in the middle")
            rows = watcher.execute("select id from queued_jobs.job for update skip locked").fetchall()
            assert set(IDS) - {key for (key,) in rows} == {key for key in IDS if key <= middle}
        finally:
            watcher.rollback()
            holder.rollback()
        assert running.result() == COUNT, "it changes all of them in the end"
    worker.rollback()


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", SKIPPING)
def test_those_that_do_not_wait_leave_out_what_is_locked(connections: list[Connection], name: str, plan: str) -> None:
    holder, worker, _ = connections
    store(holder, SKIPPING[name].columns)
    holder.execute("select from queued_jobs.job where id = %s for update", (IDS[COUNT // 2],))
    holder.execute("select from queued_jobs.job where id = %s for update", (IDS[0],))
    plan_by(worker, plan)
    worker.execute("set local lock_timeout = '1ms'")
    run(worker, name, SKIPPING[name])
    worker.rollback()


ALL = ORDERED | SKIPPING


def may_meet(one: str, other: str) -> bool:
    """Whether rows can be in a state that both change, and one of the two waits for the other."""
    columns, others = ALL[one].columns, ALL[other].columns
    if ("finished_at" in columns) != ("finished_at" in others):
        return False
    return not {one, other} <= {*SKIPPING} and all(columns[name] == others[name] for name in columns.keys() & others)


PAIRS = [pair for pair in itertools.combinations_with_replacement(ALL, 2) if may_meet(*pair)]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_no_two_wait_for_each_other(connections: list[Connection], one: str, other: str) -> None:
    """On the same rows, named in opposite orders, over and over."""
    store(connections[2], {**ALL[one].columns, **ALL[other].columns})
    start = threading.Barrier(2)

    def act(connection: Connection, name: str, ids: Sequence[UUID]) -> None:
        try:
            for _ in range(5):
                start.wait(60)
                run(connection, name, ALL[name], ids)
                connection.rollback()
        except psycopg.Error:
            start.abort()
            raise

    with ThreadPoolExecutor(2) as threads:
        acting = [
            threads.submit(act, connections[0], one, SCRAMBLED),
            threads.submit(act, connections[1], other, SCRAMBLED[::-1]),
        ]
        for each in acting:
            each.result()
