"""The connections of one event loop to Postgres: a small pool, whose connections answer in time or are gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Self
from weakref import WeakSet

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from queued_jobs._deadlines import CANCEL, CHECK, CHECKOUT, CONNECT_ALL, LONG_ANSWER, Late, deadline, shut

Row = dict[str, Any]


class Connection(AsyncConnection[Row]):
    """A connection on which each statement, and each begin, commit and rollback, has a deadline: see `_deadlines`."""

    #: For each of them, from its start.
    limit: timedelta = LONG_ANSWER
    #: When nobody waits any longer for the end of a statement whose caller was cancelled.
    _shut_timer: asyncio.TimerHandle | None = None

    @classmethod
    async def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        failure: psycopg.OperationalError
        try:
            async with asyncio.timeout(CONNECT_ALL.total_seconds()):
                return await super().connect(conninfo, **kwargs)
        except TimeoutError:
            failure = Late(f"no connection within {CONNECT_ALL.total_seconds():g} seconds")
        except psycopg.OperationalError as exc:
            failure = type(exc)(str(exc))
            exc.__context__ = exc.__traceback__ = None  # in a circle, they hold the connection that was not opened
        raise failure

    async def wait(self, *args: Any, **kwargs: Any) -> Any:
        """Exchange something with the server: whatever psycopg does, it does by this.

        A caller that is cancelled lets the server end the statement, and waits for that a second at most.
        """
        try:
            with deadline(self, self.limit):
                return await super().wait(*args, **kwargs)
        finally:
            if self._shut_timer is not None:
                self._shut_timer.cancel()
                self._shut_timer = None
                self.pgconn.finish()  # a request that arrives late would end the next statement

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Let the server end a statement, and close the connection after it. For `wait`, whose caller was cancelled."""
        self._shut_timer = asyncio.get_running_loop().call_later(2 * CANCEL.total_seconds(), shut, self)
        try:
            async with asyncio.timeout(CANCEL.total_seconds()):  # with an old libpq psycopg needs a thread for it
                return await super().cancel_safe(timeout=timeout)
        except (TimeoutError, psycopg.OperationalError) as exc:
            reason = str(exc) or "no answer"
        shut(self)  # the server does not know that anybody wants the end
        # not the same one: psycopg logs it, and what keeps its traceback keeps the connection of the request
        raise psycopg.errors.CancellationTimeout(reason)


class LoopPool:
    """A pool that opens its connections when they are wanted, and ends with its event loop.

    Parameters
    ----------
    options
        Asked for each new connection.
    """

    def __init__(self, conninfo: str, options: Callable[[], Awaitable[dict[str, Any]]], *, max_size: int) -> None:
        self._opened: WeakSet[Connection] = WeakSet()
        self._loop = asyncio.get_running_loop()
        self._pool = AsyncConnectionPool(
            conninfo,
            connection_class=Connection,
            kwargs=options,
            configure=self._remember,
            check=self._check,
            open=False,
            min_size=0,
            max_size=max_size,
            timeout=CHECKOUT.total_seconds(),
            max_idle=60,
            max_lifetime=1800,
            # then the next caller has it tried again at once; the pool by itself would wait longer each time
            reconnect_timeout=CHECKOUT.total_seconds(),
        )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection that is alive. Raises as psycopg does if there is none in time."""
        await self._pool.open(wait=False)
        async with self._pool.connection() as conn:
            conn.limit = LONG_ANSWER
            yield conn

    async def close(self) -> None:
        """Close the idle connections now, and those that are lent when they come back."""
        await self._pool.close()

    def abandon(self) -> None:
        """Close all connections at once, where nobody can use them any more. Never blocks."""
        for conn in list(self._opened):
            conn.pgconn.finish()
        if self._loop.is_closed():
            for task in asyncio.all_tasks(self._loop):
                if task.get_name().startswith(f"{self._pool.name}-"):
                    coroutine = task.get_coro()
                    with contextlib.suppress(RuntimeError):  # it cannot tell the loop any more
                        if coroutine is not None:
                            coroutine.close()

    async def _remember(self, conn: Connection) -> None:
        self._opened.add(conn)

    async def _check(self, conn: Connection) -> None:
        try:
            with deadline(conn, CHECK):
                await self._pool.check_connection(conn)
        except Late:
            await self._pool.drain()  # the others lie behind the same network
            raise
