"""The Postgres connections of one event loop: a small pool that drops connections which do not respond in time."""

from __future__ import annotations

import asyncio
import contextlib
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Self
from weakref import WeakSet

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from queued_jobs._deadlines import (
    CANCEL,
    CHECK,
    CHECKOUT,
    CONNECT_ALL,
    LONG_STATEMENT_TIME,
    RECONNECT,
    SILENCE,
    Late,
    deadline,
    shut,
    time_left,
)

Row = dict[str, Any]

#: Whether the caller's statement may run on a connection that was not checked.
_unasked: ContextVar[bool] = ContextVar("unasked", default=False)
#: A pooler's error for options of a connection that it cannot pass on.
_REFUSED_BY_POOLER = "unsupported startup parameter"


class PoolerFound(psycopg.OperationalError):
    """A pooler is at this address: set DATABASE_POOLER=transaction, or pass transaction_pooler=True to Database."""

    def __init__(self) -> None:
        super().__init__((self.__doc__ or "").strip())


class Connection(AsyncConnection[Row]):
    """A connection with a deadline on each statement, begin, commit and rollback: see `_deadlines`."""

    #: Time limit for each of them.
    limit: timedelta = LONG_STATEMENT_TIME
    #: Until when to wait for the end of a statement whose caller was cancelled.
    _shut_timer: asyncio.TimerHandle | None = None
    #: When the server last responded, by the monotonic clock.
    _heard_at = float("-inf")

    @property
    def seems_to_work(self) -> bool:
        """Whether the server responded a moment ago, and has sent nothing since, such as the end of the connection."""
        if time.monotonic() - self._heard_at > SILENCE.total_seconds():
            return False
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return not poll.poll(0)

    @classmethod
    async def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """Connect, and pass a failure to the option `on_failure`: the pool would only log it."""
        on_failure: Callable[[psycopg.OperationalError], None] = kwargs.pop("on_failure", _ignore)
        failure: psycopg.OperationalError
        try:
            async with asyncio.timeout(CONNECT_ALL.total_seconds()):
                return await super().connect(conninfo, **kwargs)
        except TimeoutError:
            failure = Late(f"no connection within {CONNECT_ALL.total_seconds():g} seconds")
        except psycopg.OperationalError as exc:
            failure = type(exc)(str(exc))
            exc.__context__ = exc.__traceback__ = None  # a reference cycle would keep the unopened connection alive
        on_failure(failure)
        raise failure

    async def wait(self, *args: Any, **kwargs: Any) -> Any:
        """Communicate with the server: psycopg does all of its I/O through this.

        If the caller is cancelled, the server is asked to end the statement; that is awaited for at most a second.
        """
        try:
            with deadline(self, self.limit):
                result = await super().wait(*args, **kwargs)
            self._heard_at = time.monotonic()
            return result
        finally:
            if self._shut_timer is not None:
                self._shut_timer.cancel()
                self._shut_timer = None
                self.pgconn.finish()  # a late cancel request would end the next statement

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Ask the server to end a statement, then close the connection. For `wait`, after its caller was cancelled."""
        self._shut_timer = asyncio.get_running_loop().call_later(2 * CANCEL.total_seconds(), shut, self)
        try:
            async with asyncio.timeout(CANCEL.total_seconds()):  # with an old libpq psycopg uses a thread
                return await super().cancel_safe(timeout=timeout)
        except (TimeoutError, psycopg.OperationalError) as exc:
            reason = str(exc) or "no response"
        shut(self)  # the server has not received the cancel request
        # a new error: psycopg logs it, and the original's traceback would keep the connection alive
        raise psycopg.errors.CancellationTimeout(reason)


class LoopPool:
    """A pool that opens connections on demand and ends with its event loop.

    Parameters
    ----------
    options
        Called for each new connection.
    transaction_pooler
        Whether a pooler is expected; without it, one that is there is refused.
    """

    def __init__(
        self,
        conninfo: str,
        options: Callable[[], Awaitable[dict[str, Any]]],
        *,
        max_size: int,
        transaction_pooler: bool = False,
    ) -> None:
        self._options = options
        self._expects_pooler = transaction_pooler
        self._found_pooler = False
        self._opened: WeakSet[Connection] = WeakSet()
        #: Callers who wait for a connection.
        self._waiting = 0
        self._loop = asyncio.get_running_loop()
        self._pool = _Pool(
            conninfo,
            connection_class=Connection,
            kwargs=self._connection_options,
            configure=self._configure,
            check=self._check,
            open=False,
            min_size=0,
            max_size=max_size,
            timeout=CHECKOUT.total_seconds(),
            max_idle=60,
            max_lifetime=1800,
            # the pool alone would back off, and leave those who arrive during its last attempt without one
            reconnect_timeout=RECONNECT.total_seconds(),
            reconnect_failed=self._try_again,
        )

    @asynccontextmanager
    async def connection(self, *, unasked: bool = False) -> AsyncIterator[Connection]:
        """Lend a connection that works. Raises as psycopg does if there is none in time.

        `unasked` saves a round trip: a connection that seems to work is not checked. If it is silent, the caller's
        statement notices that: all others are then replaced, since they use the same network.
        """
        await self._pool.open(wait=False)
        async with AsyncExitStack() as stack:
            token = _unasked.set(unasked)
            self._waiting += 1
            try:
                lent = self._pool.connection(timeout=time_left(CHECKOUT).total_seconds())
                conn = await stack.enter_async_context(lent)
            except PoolTimeout as exc:
                if self._found_pooler:
                    raise PoolerFound from exc
                raise
            finally:
                self._waiting -= 1
                _unasked.reset(token)
            conn.limit = LONG_STATEMENT_TIME
            try:
                yield conn
            except Late:
                if unasked:
                    await self._pool.drain()
                raise

    async def close(self) -> None:
        """Close idle connections now, and borrowed connections when they are returned."""
        await self._pool.close()

    def abandon(self) -> None:
        """Close all connections immediately, when they can no longer be used. Never blocks."""
        for conn in list(self._opened):
            conn.pgconn.finish()
        if self._loop.is_closed():
            for task in asyncio.all_tasks(self._loop):
                if task.get_name().startswith(f"{self._pool.name}-"):
                    coroutine = task.get_coro()
                    with contextlib.suppress(RuntimeError):  # the loop is closed
                        if coroutine is not None:
                            coroutine.close()

    async def _connection_options(self) -> dict[str, Any]:
        return await self._options() | {"on_failure": self._note}

    def _note(self, exc: psycopg.OperationalError) -> None:
        self._found_pooler = _REFUSED_BY_POOLER in str(exc)

    async def _try_again(self, pool: AsyncConnectionPool[Any]) -> None:
        """Attempt to connect for as long as a caller waits. The pool calls this when its own attempts have failed."""
        if self._waiting:
            await pool.check()  # this opens a connection, if there is none

    async def _configure(self, conn: Connection) -> None:
        self._opened.add(conn)
        if self._expects_pooler:
            return
        # the process id that a pooler reports is not the server's
        cursor = await conn.execute("select pg_backend_pid() as pid")
        row = await cursor.fetchone()
        self._found_pooler = row is not None and row["pid"] != conn.info.backend_pid
        if self._found_pooler:
            raise PoolerFound

    async def _check(self, conn: Connection) -> None:
        if _unasked.get() and conn.seems_to_work:
            return
        try:
            with deadline(conn, CHECK):
                await self._pool.check_connection(conn)
        except Late:
            await self._pool.drain()  # the others use the same network
            raise


class _Pool(AsyncConnectionPool[Connection]):
    """psycopg's pool, whose workers ignore a cancellation while they connect: `asyncio.run` would never end."""

    @classmethod
    async def worker(cls, q: Any) -> None:
        queue: Any = _UntilCancelled(q)
        await super().worker(queue)


class _UntilCancelled:
    """The queue of a worker, which gives a cancelled worker nothing more to do."""

    def __init__(self, queue: asyncio.Queue[Any]) -> None:
        self._queue = queue

    async def get(self) -> Any:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        return await self._queue.get()


def _ignore(exc: psycopg.OperationalError) -> None:
    return None
