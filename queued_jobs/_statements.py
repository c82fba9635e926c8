"""Runs one statement on a connection, or several in one round trip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.pq import TransactionStatus

Row = dict[str, Any]

#: The columns of each statement that has run: reading them from its result takes longer than reading a row.
_columns: dict[bytes, tuple[str, ...]] = {}


class NotStored(Exception):
    """None of the statements took effect."""


class Statement(NamedTuple):
    #: Its text, without regard to spaces at its end.
    key: bytes
    text: bytes
    params: Mapping[str, Any]


async def execute(conn: AsyncConnection[Any], one: Statement, *, prepare: bool | None = None) -> list[Row]:
    """Run a statement and return its rows; none for one that returns nothing. Raises psycopg's errors."""
    async with conn.cursor(row_factory=_row_factory(one.key)) as cursor:
        try:
            await cursor.execute(one.text, one.params, prepare=prepare)
        except UnicodeEncodeError as exc:
            raise psycopg.DataError(f"a text has an unpaired surrogate: {exc.reason}") from exc
        return await _rows(cursor)


async def execute_together(conn: AsyncConnection[Any], statements: Sequence[Statement]) -> list[list[Row]]:
    """Run statements in one round trip and one transaction, and return the rows of each.

    The connection must be in autocommit mode. Raises `NotStored` if one of them failed, and psycopg's error if it is
    unknown whether they took effect.
    """
    failure: Exception | None = None
    cursors: list[AsyncCursor[Row]] = []
    try:
        async with conn.pipeline():
            try:
                for one in statements:
                    cursor = conn.cursor(row_factory=_row_factory(one.key))
                    cursors.append(cursor)
                    await cursor.execute(one.text, one.params)
            except BaseException as exc:
                if not _is_from_server(exc):
                    conn.pgconn.finish()  # the end of the block would commit what was sent so far
                    if isinstance(exc, Exception) and not isinstance(exc, psycopg.OperationalError):
                        raise NotStored from exc
                    raise
                failure = exc
    except psycopg.Error as exc:
        failure = failure or exc
    if failure is None and (conn.closed or conn.info.transaction_status != TransactionStatus.IDLE):
        failure = psycopg.OperationalError("the connection was closed before the commit")
    if failure is None:
        return [await _rows(cursor) for cursor in cursors]
    if _is_rolled_back(failure):
        raise NotStored from failure
    raise failure


def _is_from_server(exc: BaseException) -> TypeGuard[psycopg.Error]:
    return isinstance(exc, psycopg.Error) and exc.sqlstate is not None


def _is_rolled_back(exc: Exception) -> bool:
    """Whether the server, not a pooler, said that the statement failed, and that the connection is still usable."""
    return (
        _is_from_server(exc)
        and exc.diag.severity_nonlocalized == "ERROR"
        and not (exc.diag.sqlstate or "").startswith("08")
    )


async def _rows(cursor: AsyncCursor[Row]) -> list[Row]:
    # `description` would build an object for each column
    result = cursor.pgresult
    return await cursor.fetchall() if result is not None and result.nfields else []


def _row_factory(key: bytes) -> Callable[[AsyncCursor[Any]], Callable[[Sequence[Any]], Row]]:
    def make(cursor: AsyncCursor[Any]) -> Callable[[Sequence[Any]], Row]:
        result = cursor.pgresult
        names = _columns.get(key)
        if names is None or result is None or len(names) != result.nfields:
            names = _columns[key] = tuple(column.name for column in cursor.description or ())
        return lambda values: dict(zip(names, values, strict=True))

    return make
