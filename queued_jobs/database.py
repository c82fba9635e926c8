"""A Postgres database: a small pool per event loop, and the rules for running statements."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from queued_jobs._deadlines import (
    LONG_STATEMENT_TIME,
    LONG_STATEMENTS,
    NETWORK,
    PASSWORD,
    SERVER,
    STATEMENT_TIME,
    deadline,
    time_left,
)
from queued_jobs._deadlines import REQUEST_TIME as REQUEST_TIME
from queued_jobs._deadlines import total_time as total_time
from queued_jobs._per_loop import PerLoop
from queued_jobs._pool import Connection, LoopPool, PoolerFound
from queued_jobs._pool import Row as Row
from queued_jobs.errors import StoreRefused, StoreUnavailable
from queued_jobs.schema import TABLES, Tables, statement

logger = logging.getLogger(__name__)

_UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # a standby, until the failover has completed
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
)
#: Errors that the same values would always cause. Some of them are subclasses of OperationalError.
_REFUSED_VALUES = (
    psycopg.DataError,
    psycopg.errors.CheckViolation,
    psycopg.errors.NotNullViolation,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    psycopg.errors.TooManyArguments,
    psycopg.errors.TooManyColumns,
)
#: The server has rolled back, so running the statement again is safe.
_TRY_AGAIN = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
#: Errors for a prepared statement that no longer fits its tables, or that the server has forgotten.
_REFUSED = (psycopg.errors.FeatureNotSupported, psycopg.errors.InvalidSqlStatementName)
#: Errors that may follow when a table, type or function was replaced.
_MAY_BE_REFUSED = (psycopg.ProgrammingError, psycopg.NotSupportedError, psycopg.InternalError)


class Database:
    """Runs the statements of `sql/statements/` against one Postgres.

    Every statement is a separate transaction, unless the caller passes a connection. No connection is opened before
    the first statement. Neither an outage of the server nor a change of its tables requires a restart: a prepared
    statement that the server rejects is prepared again, and retried if possible.

    No call waits forever, whatever the network does: a statement completes or fails within five seconds, and a
    connection that does not respond is closed. The connections of an event loop are closed with it.

    Parameters
    ----------
    conninfo
        URL or keyword string in libpq's format.
    max_size
        Connections per event loop. Instances times processes times this must stay below the server's limit.
    tables
        Schema, prefix and key type of the tables.
    password
        Called for each new connection, for passwords that expire, such as tokens. Connections live half an hour at
        most.
    transaction_pooler
        True if a pooler in transaction mode, such as PgBouncer, is at this address. Then no statement is prepared, and
        no setting is kept in a session. Without it, a pooler is refused with `StoreUnavailable`: a connection could run
        the prepared statement of another one.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        max_size: int = 4,
        tables: Tables = TABLES,
        password: Callable[[], Awaitable[str]] | None = None,
        transaction_pooler: bool = False,
    ) -> None:
        self.tables = tables
        self._has_pooler = transaction_pooler
        self._conninfo = conninfo
        self._password = password
        self.max_size = max_size
        self._pools = PerLoop(self._make_pool, close=LoopPool.close, abandon=LoopPool.abandon)
        self._limits: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()
        #: How often the server has rejected a prepared statement on this connection.
        self._refusals: WeakKeyDictionary[AsyncConnection[Any], int] = WeakKeyDictionary()
        # options from the connection string, such as a search_path, are kept
        options = conninfo_to_dict(conninfo).get("options") or ""
        self._limits_of_server = {name: str(limit // timedelta(milliseconds=1)) for name, limit in SERVER.items()}
        limits = " ".join(f"-c {name}={limit}" for name, limit in self._limits_of_server.items())
        self._options = f"{options} -c timezone=UTC {limits}".strip()

    async def rows(
        self,
        name: str,
        params: Mapping[str, Any],
        *,
        conn: AsyncConnection[Any] | None = None,
        within: timedelta | None = None,
    ) -> list[Row]:
        """Run a statement and return its rows.

        Raises `StoreUnavailable` if the server did not respond `within` this time (None: 3.5 seconds, or 12 for the
        sweeper's long statements): whether the statement took effect is then unknown. Raises `StoreRefused` for a value
        that the server cannot store. In a caller's own transaction (`conn`) psycopg's errors are raised unchanged,
        since only the caller can retry it; a late response is an `OperationalError`, and closes that connection.
        """
        if within is None:
            within = LONG_STATEMENT_TIME if name in LONG_STATEMENTS else STATEMENT_TIME
        if conn is None:
            return await self._run_alone(name, params, within)
        with deadline(conn, time_left(within)):
            return await self._run(conn, name, params)

    async def planned_rows(self, name: str, params: Mapping[str, Any]) -> list[Row]:
        """Run a statement like `rows`, but plan it for these values.

        For statements with optional filters or varying time ranges: a generic prepared plan would read the whole table
        for most values.
        """
        return await self._run_alone(name, params, STATEMENT_TIME, prepare=False)

    async def row(
        self, name: str, params: Mapping[str, Any], *, conn: AsyncConnection[Any] | None = None
    ) -> Row | None:
        """Run a statement that returns at most one row; None if its condition did not hold."""
        found = await self.rows(name, params, conn=conn)
        return found[0] if found else None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[Row]]:
        """Lend a connection in autocommit mode. Never hold one while a job's body runs.

        Raises `StoreUnavailable` if there is none in time. Errors within the block are psycopg's; a statement that
        takes longer than 12 seconds raises `OperationalError` and closes the connection.
        """
        async with self._lend() as conn:
            yield conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[Row]]:
        """Lend a connection for one transaction: committed at the end of the block, rolled back by an exception.

        Server errors are raised as `rows` raises them without `conn`; `StoreUnavailable` also if the server rejected a
        prepared statement, since the next transaction prepares it again. If the block caught the error of a failed
        statement, its end raises psycopg's `InFailedSqlTransaction`, since nothing can be committed then.
        """
        ends_at = time.monotonic() + time_left(STATEMENT_TIME).total_seconds()
        with _as_store_errors():
            async with self._lend() as conn:
                refusals = self._refusals.get(conn, 0)
                conn.limit = timedelta(seconds=ends_at - time.monotonic())
                try:
                    async with conn.transaction():
                        if self._has_pooler:
                            await self._run(conn, "set_limits", self._limits_of_server)
                        conn.limit = LONG_STATEMENT_TIME
                        try:
                            yield conn
                        finally:
                            conn.limit = time_left(STATEMENT_TIME)
                        _check_can_commit(conn)
                except _REFUSED as exc:
                    if self._refusals.get(conn, 0) == refusals:
                        raise  # the rejected statement was the caller's own
                    raise StoreUnavailable(f"Postgres rejected a prepared statement; try again: {exc}") from exc

    def limit(self, connections: int) -> None:
        """Set the maximum pool size of the running event loop. Call it before the first connection is opened."""
        self._limits[asyncio.get_running_loop()] = connections

    async def ping(self) -> None:
        """Raise `StoreUnavailable` unless the server responds."""
        await self.rows("ping", {})

    async def close(self) -> None:
        """Close this event loop's pool; the end of the loop does so too. A later use opens a new one."""
        await self._pools.close()

    @asynccontextmanager
    async def _lend(self) -> AsyncIterator[Connection]:
        async with AsyncExitStack() as stack:
            with _as_store_errors():
                conn = await stack.enter_async_context(self._pools.get().connection())
            yield conn

    async def _run_alone(
        self, name: str, params: Mapping[str, Any], within: timedelta, *, prepare: bool | None = None
    ) -> list[Row]:
        ends_at = time.monotonic() + time_left(within).total_seconds()
        with _as_store_errors():
            async with self._lend() as own:
                with deadline(own, timedelta(seconds=ends_at - time.monotonic())):
                    try:
                        return await self._run(own, name, params, prepare=prepare)
                    except _TRY_AGAIN:
                        logger.warning("running %s again after a deadlock", name)
                        return await self._run(own, name, params, prepare=prepare)

    async def _run(
        self, conn: AsyncConnection[Any], name: str, params: Mapping[str, Any], *, prepare: bool | None = None
    ) -> list[Row]:
        refusals = self._refusals.get(conn, 0)
        # psycopg prepares each distinct text, so a changed text does not reuse the rejected plan
        text = statement(name, self.tables) + b" " * refusals
        try:
            return await _execute(conn, text, params, prepare)
        except psycopg.errors.ReadOnlySqlTransaction:
            raise
        except _MAY_BE_REFUSED as exc:
            if conn.info.transaction_status != TransactionStatus.IDLE:
                self._refusals[conn] = refusals + 1
                raise
            rows = await _execute(conn, text, params, prepare=False)
            self._refusals[conn] = refusals + 1
            logger.warning("prepared %s again, since the server rejected its plan: %s", name, exc)
            return rows

    def _make_pool(self) -> LoopPool:
        max_size = self._limits.get(asyncio.get_running_loop(), self.max_size)
        return LoopPool(
            self._conninfo, self._connection_options, max_size=max_size, transaction_pooler=self._has_pooler
        )

    async def _connection_options(self) -> dict[str, Any]:
        in_session: dict[str, Any] = {"options": self._options}
        return {
            "autocommit": True,
            "row_factory": dict_row,
            **NETWORK,
            "application_name": "queued-jobs",
            **({"prepare_threshold": None} if self._has_pooler else in_session),
            **await self._expiring_password(),
        }

    async def _expiring_password(self) -> dict[str, str]:
        if self._password is None:
            return {}
        async with asyncio.timeout(PASSWORD.total_seconds()):
            return {"password": await self._password()}


def _check_can_commit(conn: AsyncConnection[Any]) -> None:
    """Raise if the end of the block would not commit, because an error within it was caught there.

    psycopg reports neither: it commits nothing on a closed connection, and the server rolls back a failed transaction.
    """
    if conn.closed:
        raise psycopg.OperationalError("the connection was closed before the commit")
    if conn.info.transaction_status == TransactionStatus.INERROR:
        raise psycopg.errors.InFailedSqlTransaction(
            "a statement of the transaction has failed, so nothing can be committed; catch its error outside the block"
        )


async def _execute(
    conn: AsyncConnection[Any], text: bytes, params: Mapping[str, Any], prepare: bool | None
) -> list[Row]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(text, params, prepare=prepare)
        return await cursor.fetchall() if cursor.description else []


@contextmanager
def _as_store_errors() -> Iterator[None]:
    try:
        yield
    except _REFUSED_VALUES as exc:
        raise StoreRefused(f"Postgres refused a value: {exc}") from exc
    except PoolerFound as exc:
        raise StoreUnavailable(str(exc)) from exc
    except (*_UNAVAILABLE, *_TRY_AGAIN) as exc:
        raise StoreUnavailable(f"Postgres did not respond: {exc}") from exc
