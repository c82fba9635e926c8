"""What later migrations may do to each table, view and function of a running system, whichever there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[tuple[Any, ...]]

#: For any table: none of them takes away what this version of the code uses.
_OF_TABLES = (
    "alter table {} add column note text not null default 'none'",
    "alter table {} add column share int",
    "create index {index} on {} (note)",
    "alter table {} add constraint {constraint} check (share > 0)",
    "alter table {} alter column share type bigint",
    "alter table {} alter column note type varchar(40)",
    "drop index {schema}.{index}",  # the first that takes something back
    "alter table {} drop constraint {constraint}",
    "alter table {} drop column note",
    "alter table {} drop column share",
)
_TAKEN_BACK_FROM = 6


def alterations(conn: Connection, schema: str = "queued_jobs") -> Iterator[tuple[str, list[sql.Composed]]]:
    """Yield what changes one table, and then what takes that back, or puts a function or view in its own place."""
    for (table,) in conn.execute("select tablename from pg_tables where schemaname = %s", (schema,)).fetchall():
        changes = [
            sql.SQL(text).format(
                sql.Identifier(schema, table),
                schema=sql.Identifier(schema),
                index=sql.Identifier(f"{table}_note"),
                constraint=sql.Identifier(f"{table}_share"),
            )
            for text in _OF_TABLES
        ]
        yield "table", changes[:_TAKEN_BACK_FROM]
        yield "table", changes[_TAKEN_BACK_FROM:]
    functions = "select pg_get_functiondef(oid) from pg_proc where pronamespace = %s::regnamespace"
    definitions = [sql.Composed([sql.SQL(text)]) for (text,) in conn.execute(functions, (schema,)).fetchall()]
    yield "function", definitions
    views = "select viewname, definition from pg_views where schemaname = %s"
    for view, definition in conn.execute(views, (schema,)).fetchall():
        text = sql.SQL("create or replace view {} as {}")
        yield "view", [text.format(sql.Identifier(schema, view), sql.SQL(definition))]
