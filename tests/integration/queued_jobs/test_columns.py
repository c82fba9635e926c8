"""Every statement names the columns that it reads and writes, so that one that a later version adds changes nothing.

Postgres is asked: as the body of a function a statement is parsed, and the parsed form can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

import queued_jobs
from queued_jobs.schema import TABLES, migrations, render_sql, statement
from tests.support.own_database import own_database
from tools.local_stack.postgres import PostgresServer

STATEMENTS = sorted(path.stem for path in (Path(queued_jobs.__file__).parent / "sql" / "statements").glob("*.sql"))
_COMMENT = re.compile(r"--.*")
_PARAMETER = re.compile(r"%\((\w+)\)s")
_STAR = re.compile(r"(?:\bselect|\breturning|\bdistinct|\ball|,|\.)\s*\*", re.I)
_INSERT_INTO_ANY_COLUMNS = re.compile(
    r"\binsert\s+into\s+[\w.]+(?:\s+as\s+\w+)?\s+(?!as\b|\(|default\s+values)\w", re.I
)
#: Postgres notes all columns of the row that an "on conflict" calls excluded.
_EXCLUDED = re.compile(r":exclRelTlist \(.*?\)\} :returning")
#: What psycopg says of a parameter, where Postgres would take it for something else.
_CASTS = {"window": "::interval"}
_ROW_VARIABLE = re.compile(r"%rowtype\b|\brecord\b", re.I)

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def connection(postgres: PostgresServer, migrated_template: str) -> Iterator[Connection]:
    """A database whose tables have one more column than this version knows."""
    with own_database(postgres, migrated_template) as url, psycopg.connect(url, autocommit=True) as conn:
        for table in _tables(conn):
            conn.execute(sql.SQL("alter table {} add column unknown_to_us text").format(table))
        yield conn


def _tables(conn: Connection) -> list[sql.Identifier]:
    rows = conn.execute("select schemaname, tablename from pg_tables where schemaname = 'queued_jobs'").fetchall()
    return [sql.Identifier(*row) for row in rows]


def _one(conn: Connection, query: str) -> Any:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _faults(conn: Connection, text: str) -> set[str]:
    """Return in which ways a statement takes whole rows."""
    body = _COMMENT.sub("", text)
    found = _faults_of_text(body)
    names = list(dict.fromkeys(_PARAMETER.findall(body)))
    body = _PARAMETER.sub(lambda place: f"${names.index(place[1]) + 1}{_CASTS.get(place[1], '')}", body)
    body = body.replace("%%", "%")
    conn.execute(f"prepare asked as {body}".encode())
    types = _one(conn, "select parameter_types::text[] from pg_prepared_statements where name = 'asked'")
    conn.execute("deallocate asked")
    with conn.transaction(force_rollback=True):
        head = f"create function pg_temp.asked({', '.join(types)}) returns setof int"
        conn.execute(f"{head} begin atomic {body}; select 1; end".encode())
        tree = _one(conn, "select prosqlbody::text from pg_proc where oid = 'pg_temp.asked'::regproc")
    return found | _faults_of_tree(tree)


def _faults_of_text(body: str) -> set[str]:
    found = {"star"} if _STAR.search(body) else set()
    return found | ({"insert into unnamed columns"} if _INSERT_INTO_ANY_COLUMNS.search(body) else set())


def _faults_of_tree(tree: str) -> set[str]:
    tree = _EXCLUDED.sub("", tree)
    found = {"unknown column"} if ":resname unknown_to_us " in tree else set()
    return found | ({"whole row"} if ":varattno 0 " in tree else set())


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_takes_a_column_that_it_does_not_name(connection: Connection, name: str) -> None:
    assert _faults(connection, statement(name).decode()) == set()


@pytest.mark.parametrize(
    "text",
    [
        "select * from queued_jobs.job",
        "select j.* from queued_jobs.job j",
        "select id, *, id from queued_jobs.job",
        "select id from (select * from queued_jobs.job) found",
        "with done as (delete from queued_jobs.attempt returning *) select job_id from done",
        "select to_jsonb(j) from queued_jobs.job j",
        "select j from queued_jobs.job j",
        "select row(j) is null from queued_jobs.job j",
        "select count(distinct a) from queued_jobs.attempt a",
        "select array_agg(l order by l.id) from (select id from queued_jobs.job) l",
        "with turn as (table queued_jobs.tally_turn) select created_until from turn",
        "update queued_jobs.job j set version = 2 returning hashtext(j::text)",
        "insert into queued_jobs.tally_turn values (true, now())",
        "insert into queued_jobs.tally_turn as t select true, now()",
    ],
)
def test_whole_rows_are_found_in_any_form(connection: Connection, text: str) -> None:
    assert _faults(connection, text) != set()


@pytest.mark.parametrize(
    "text",
    [
        "select count(*), 30 * power(2, 3) from queued_jobs.job",
        "insert into queued_jobs.tally_turn as t (single) values (true) on conflict do nothing",
        "select job_columns from queued_jobs.job",
        "select a.attempt_columns from queued_jobs.attempt a",
    ],
)
def test_named_columns_are_not_taken_for_whole_rows(connection: Connection, text: str) -> None:
    assert _faults(connection, render_sql(text.encode()).decode()) == set()


@pytest.mark.parametrize("name", [name for _, name, _ in migrations(TABLES)])
def test_no_view_and_no_function_of_a_migration_takes_whole_rows(name: str) -> None:
    (text,) = (text.decode() for _, other, text in migrations(TABLES) if other == name)
    body = _COMMENT.sub("", text)
    assert _faults_of_text(body) == set()
    assert not _ROW_VARIABLE.search(body)


@pytest.mark.parametrize(
    "trees",
    [
        "select ev_action::text from pg_rewrite r join pg_class c on c.oid = r.ev_class where c.relnamespace = {}",
        "select prosqlbody::text from pg_proc where prosqlbody is not null and pronamespace = {}",
    ],
    ids=["views", "functions"],
)
def test_no_view_and_no_function_holds_a_whole_row(connection: Connection, trees: str) -> None:
    rows = connection.execute(trees.format("'queued_jobs'::regnamespace").encode()).fetchall()
    assert rows
    assert [_faults_of_tree(tree) for (tree,) in rows] == [set()] * len(rows)
