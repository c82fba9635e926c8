"""One Postgres: a small pool for each event loop, and the rules for talking to it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from queued_jobs.addresses import is_port
from queued_jobs.errors import StoreRefused, StoreUnavailable
from queued_jobs.loops import PerLoop
from queued_jobs.statements import statement
from queued_jobs.tables import TABLES, Tables

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Pool = AsyncConnectionPool[AsyncConnection[Row]]

_AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # a standby, until the failover is over
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
)
#: A peer that is gone without a word is noticed within these seconds, and not when the kernel gives up.
_NETWORK = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 5_000,
}
#: The server has rolled back, so running the statement again is safe.
_TRY_AGAIN = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
#: The values of `sslmode`.
TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def is_conninfo(text: str) -> bool:
    """Tell whether libpq can read this address. What it says of a wrong one may repeat the password."""
    try:
        parts = conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        return False
    ports = [port for port in str(parts.get("port", "")).split(",") if port]  # one for each of several hosts
    return parts.get("sslmode", "prefer") in TLS_MODES and all(map(is_port, ports))


def checks_server(conninfo: str) -> bool:
    """Tell whether a connection to this address has TLS, with a certificate that is checked against the name."""
    return conninfo_to_dict(conninfo).get("sslmode") == "verify-full"


class Database:
    """Runs the statements of `sql/statements/` against one Postgres.

    Every statement is a transaction of its own, unless the caller passes a connection. Nothing is opened before the
    first statement, and a server that goes away and comes back needs no restart.

    Parameters
    ----------
    conninfo
        URL or keyword string as libpq takes it.
    max_size
        Connections for each event loop. Instances times processes times this must stay below the server's limit.
    tables
        Which of several sets of tables.
    password
        Asked for each new connection, for passwords that expire such as tokens. Connections live half an hour at most.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        max_size: int = 4,
        tables: Tables = TABLES,
        password: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self.tables = tables
        self._conninfo = conninfo
        self._password = password
        self._max_size = max_size
        self._pools = PerLoop(self._make_pool)
        # what the caller set in the address, such as a search_path, stays; ours is only added
        options = conninfo_to_dict(conninfo).get("options") or ""
        self._options = (
            f"{options} -c timezone=UTC -c statement_timeout=10s -c idle_in_transaction_session_timeout=30s".strip()
        )

    async def rows(
        self, name: str, params: Mapping[str, Any], *, conn: AsyncConnection[Any] | None = None
    ) -> list[Row]:
        """Run a statement and return its rows.

        Raises `StoreUnavailable` if the server did not answer: whether the statement was carried out is then unknown.
        Raises `StoreRefused` for a value that the server cannot keep. Errors in a caller's own transaction
        (`conn`) are raised as psycopg raises them, since only the caller can start it again.
        """
        if conn is not None:
            return await self._run(conn, name, params)
        return await self._run_alone(name, params)

    async def planned_rows(self, name: str, params: Mapping[str, Any]) -> list[Row]:
        """Run a statement like `rows`, planned afresh for these very values.

        For statements whose filters are optional or whose spans differ: one prepared plan for all values would read
        the whole table for most of them.
        """
        return await self._run_alone(name, params, prepare=False)

    async def row(
        self, name: str, params: Mapping[str, Any], *, conn: AsyncConnection[Any] | None = None
    ) -> Row | None:
        """Run a statement that concerns one job; None if its guard did not hold."""
        found = await self.rows(name, params, conn=conn)
        return found[0] if found else None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[Row]]:
        """Lend a connection in autocommit mode. Never hold one while a job's body runs."""
        pool = self._pools.get()
        await pool.open(wait=False)
        async with pool.connection() as conn:
            yield conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[Row]]:
        """Lend a connection for one transaction: committed at the end of the block, rolled back by an exception.

        Errors of the server are raised as `rows` raises them without a connection.
        """
        try:
            async with self.connection() as conn, conn.transaction():
                yield conn
        except psycopg.DataError as exc:
            raise StoreRefused(f"Postgres refused a value: {exc}") from exc
        except (*_AWAY, *_TRY_AGAIN) as exc:
            raise StoreUnavailable(f"Postgres did not answer: {exc}") from exc

    async def _run_alone(self, name: str, params: Mapping[str, Any], *, prepare: bool | None = None) -> list[Row]:
        try:
            async with self.connection() as own:
                try:
                    return await self._run(own, name, params, prepare=prepare)
                except _TRY_AGAIN:
                    logger.warning("running %s again after a deadlock", name)
                    return await self._run(own, name, params, prepare=prepare)
        except psycopg.DataError as exc:
            raise StoreRefused(f"Postgres refused a value: {exc}") from exc
        except (*_AWAY, *_TRY_AGAIN) as exc:
            raise StoreUnavailable(f"Postgres did not answer: {exc}") from exc

    async def ping(self) -> None:
        """Raise `StoreUnavailable` unless the server answers."""
        await self.rows("ping", {})

    async def close(self) -> None:
        """Close this event loop's pool. A later use opens another."""
        pool = self._pools.pop()
        if pool is not None:
            await pool.close()

    async def _run(
        self, conn: AsyncConnection[Any], name: str, params: Mapping[str, Any], *, prepare: bool | None = None
    ) -> list[Row]:
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement(name, self.tables), params, prepare=prepare)
            return await cursor.fetchall() if cursor.description else []

    def _make_pool(self) -> Pool:
        return AsyncConnectionPool(
            self._conninfo,
            open=False,
            min_size=0,
            max_size=self._max_size,
            timeout=4,  # a request is answered within five seconds
            max_idle=60,
            max_lifetime=1800,
            check=AsyncConnectionPool.check_connection,
            kwargs=self._connection_options,
        )

    async def _connection_options(self) -> dict[str, Any]:
        return {
            "autocommit": True,
            "row_factory": dict_row,
            **_NETWORK,
            "application_name": "queued-jobs",
            "options": self._options,
            **({"password": await self._password()} if self._password is not None else {}),
        }
