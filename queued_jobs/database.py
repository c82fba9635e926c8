"""A Postgres database: a small pool per event loop, and the rules for running statements."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from queued_jobs._arguments import check_whole
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
from queued_jobs._pool import Connection, LoopPool
from queued_jobs._statements import NotStored, Statement, execute, execute_together
from queued_jobs._statements import Row as Row
from queued_jobs._store_errors import MAY_BE_REFUSED, REFUSED, TRY_AGAIN, as_store_errors
from queued_jobs._together import MAX_SHARED, PATIENCE, Request, Together
from queued_jobs.errors import StoreUnavailable
from queued_jobs.schema import TABLES, Tables, statement

logger = logging.getLogger(__name__)

#: Statements of an attempt, and marks. If one of them fails, it is tried again: by its attempt, with its message, or by
#: the sweeper. So they may find out by themselves that a connection is silent.
_REPEATED = frozenset({"append", "claim", "fail", "finish_cancelled", "heartbeat", "mark_sent", "succeed"})

_MAX_CONNECTIONS = 10_000


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
        check_whole("max_size", max_size, most=_MAX_CONNECTIONS)
        self.tables = tables
        self._has_pooler = transaction_pooler
        self._conninfo = conninfo
        self._password = password
        self.max_size = max_size
        self._pools = PerLoop(self._make_pool, close=LoopPool.close, abandon=LoopPool.abandon)
        self._together = PerLoop(lambda: Together(self._run_until, self._run_together))
        self._limits: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()
        #: How often the server has rejected a prepared statement on this connection.
        self._refusals: WeakKeyDictionary[AsyncConnection[Any], int] = WeakKeyDictionary()
        # options from the connection string, such as a search_path, are kept
        options = conninfo_to_dict(conninfo).get("options") or ""
        self._limits_of_server = {name: str(limit // timedelta(milliseconds=1)) for name, limit in SERVER.items()}
        # a slower one then runs by itself, and the others have time to do so, too
        self._limits_of_group = self._limits_of_server | {
            "lock_timeout": str(PATIENCE // timedelta(milliseconds=1)),
            "statement_timeout": str(MAX_SHARED // timedelta(milliseconds=1)),
        }
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
            if name in _REPEATED and ("id" in params or len(params["ids"]) == 1):
                ends_at = time.monotonic() + time_left(within).total_seconds()
                return await self._together.get().run(name, params, ends_at)
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
        with as_store_errors():
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
                except REFUSED as exc:
                    if self._refusals.get(conn, 0) == refusals:
                        raise  # the rejected statement was the caller's own
                    raise StoreUnavailable(f"Postgres rejected a prepared statement; try again: {exc}") from exc

    def limit(self, connections: int) -> None:
        """Set the maximum pool size of the running event loop. Call it before the first connection is opened."""
        check_whole("connections", connections, most=_MAX_CONNECTIONS)
        self._limits[asyncio.get_running_loop()] = connections

    async def ping(self) -> None:
        """Raise `StoreUnavailable` unless the server responds."""
        async with self._lend():
            pass  # the connection was asked, or has just been opened

    async def close(self) -> None:
        """Close this event loop's pool; the end of the loop does so too. A later use opens a new one."""
        await self._pools.close()

    @asynccontextmanager
    async def _lend(self, *, unasked: bool = False) -> AsyncIterator[Connection]:
        async with AsyncExitStack() as stack:
            with as_store_errors():
                conn = await stack.enter_async_context(self._pools.get().connection(unasked=unasked))
            yield conn

    async def _run_alone(
        self, name: str, params: Mapping[str, Any], within: timedelta, *, prepare: bool | None = None
    ) -> list[Row]:
        return await self._run_until(
            name, params, time.monotonic() + time_left(within).total_seconds(), prepare=prepare
        )

    async def _run_until(
        self, name: str, params: Mapping[str, Any], ends_at: float, *, prepare: bool | None = None
    ) -> list[Row]:
        with as_store_errors():
            if name in _REPEATED:
                try:
                    return await self._run_once(name, params, ends_at, prepare=prepare, unasked=True)
                except psycopg.errors.AdminShutdown:
                    if self._has_pooler:
                        raise  # it may end a client's connection and still complete the statement
                    logger.info("running %s again, since the server ended the connection instead", name)
            return await self._run_once(name, params, ends_at, prepare=prepare)

    async def _run_once(
        self,
        name: str,
        params: Mapping[str, Any],
        ends_at: float,
        *,
        prepare: bool | None = None,
        unasked: bool = False,
    ) -> list[Row]:
        async with self._lend(unasked=unasked) as own:
            with deadline(own, timedelta(seconds=ends_at - time.monotonic())):
                try:
                    return await self._run(own, name, params, prepare=prepare)
                except TRY_AGAIN:
                    logger.warning("running %s again after a deadlock", name)
                    return await self._run(own, name, params, prepare=prepare)

    async def _run_together(self, group: Sequence[Request]) -> list[list[Row]] | None:
        """Run these in one transaction, which does not wait long for a lock. Returns None if it was rolled back."""
        with as_store_errors():
            async with self._lend(unasked=True) as conn:
                refusals = self._refusals.get(conn, 0)
                limits = self._statement("set_limits", self._limits_of_group, refusals)
                statements = [self._statement(one.name, one.params, refusals) for one in group]
                try:
                    with deadline(conn, timedelta(seconds=min(one.ends_at for one in group) - time.monotonic())):
                        _, *outcomes = await execute_together(conn, [limits, *statements])
                except NotStored as exc:
                    if isinstance(exc.__cause__, MAY_BE_REFUSED):
                        self._refusals[conn] = refusals + 1
                    return None
                except psycopg.errors.AdminShutdown:
                    if self._has_pooler:
                        raise  # as above
                    return None
        return outcomes

    def _statement(self, name: str, params: Mapping[str, Any], refusals: int) -> Statement:
        # psycopg prepares each distinct text, so a changed text does not reuse the rejected plan
        key = statement(name, self.tables)
        return Statement(key, key + b" " * refusals if refusals else key, params)

    async def _run(
        self, conn: AsyncConnection[Any], name: str, params: Mapping[str, Any], *, prepare: bool | None = None
    ) -> list[Row]:
        refusals = self._refusals.get(conn, 0)
        one = self._statement(name, params, refusals)
        try:
            return await execute(conn, one, prepare=prepare)
        except psycopg.errors.ReadOnlySqlTransaction:
            raise
        except MAY_BE_REFUSED as exc:
            if conn.info.transaction_status != TransactionStatus.IDLE:
                self._refusals[conn] = refusals + 1
                raise
            rows = await execute(conn, one, prepare=False)
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
