"""Time limits for Postgres, and their enforcement.

The server's own limits (`SERVER`) apply first, if the server can be reached. Gateways and poolers can also keep a
connection open and lose the data in both directions: then only a client-side timer ends the wait. The socket is shut
down, so that pending operations fail immediately, and the connection is not used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

#: For all statements of an HTTP request together: requests take up to 5 seconds.
REQUEST_TIME = timedelta(seconds=4.5)
#: From the call of a statement to its response, including the wait for a connection.
STATEMENT_TIME: Final = timedelta(seconds=3.5)
#: The same for statements over many rows that no user waits for, and for each statement on a borrowed connection.
LONG_STATEMENT_TIME: Final = timedelta(seconds=12)
#: The sweeper's statements over many rows.
LONG_STATEMENTS: Final = frozenset(
    {
        "end_unknown",
        "erase",
        "expire",
        "expiring",
        "follow_up",
        "pick_unsent",
        "prune",
        "prune_audit",
        "prune_rejected",
        "prune_runs",
        "prune_uses",
        "rescue",
        "resend_silent",
        "tally_attempts",
        "tally_created",
        "tally_fold",
        "wake_lines",
        "wake_paused",
    }
)
#: For the pool to provide a connection.
CHECKOUT: Final = timedelta(seconds=3)
#: Between attempts to connect, for as long as a caller waits.
RECONNECT: Final = timedelta(seconds=1)
#: For the health check of an idle connection before it is lent.
CHECK: Final = timedelta(seconds=1)
#: For how long a connection from which nothing was heard still seems to work.
SILENCE: Final = timedelta(seconds=10)
#: For each address that a new connection tries, and for all of them including DNS.
CONNECT: Final = timedelta(seconds=3)
CONNECT_ALL: Final = timedelta(seconds=10)
#: Options for libpq. A dead peer is detected within this time, not only when the kernel gives up.
NETWORK: Final[dict[str, Any]] = {
    "connect_timeout": round(CONNECT.total_seconds()),
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 5_000,
}
#: For the password of a new connection, if it is a token.
PASSWORD: Final = timedelta(seconds=5)
#: For the server to end a statement that is late or whose caller was cancelled.
CANCEL: Final = timedelta(seconds=0.5)
#: Limits that the server enforces itself, keeping the connection.
SERVER: Final = {
    "statement_timeout": timedelta(seconds=10),
    "lock_timeout": timedelta(seconds=3),
    "idle_in_transaction_session_timeout": timedelta(seconds=30),
}

_IN_TRANSACTION: Final = (TransactionStatus.INTRANS, TransactionStatus.INERROR)
#: After a stall of this process, data that has arrived is read before a deadline counts.
STALL = timedelta(seconds=0.05)


#: A task, and until when all of its statements must have ended, by the monotonic clock.
_limited: ContextVar[tuple[asyncio.Task[Any] | None, float] | None] = ContextVar("limited", default=None)


@contextmanager
def total_time(limit: timedelta | None) -> Iterator[None]:
    """Limit the total time of all statements that the current task runs in this block; None: only each by itself.

    Does not apply to tasks that are started in the block: these may outlive it.
    """
    limited = None if limit is None else (asyncio.current_task(), time.monotonic() + limit.total_seconds())
    token = _limited.set(limited)
    try:
        yield
    finally:
        _limited.reset(token)


def time_left(limit: timedelta) -> timedelta:
    """Return the time limit of a statement now; `limit` is its limit by itself."""
    limited = _limited.get()
    if limited is None or limited[0] is not asyncio.current_task():
        return limit
    return min(limit, timedelta(seconds=max(0.0, limited[1] - time.monotonic())))


class Late(psycopg.OperationalError):
    """Postgres did not respond in time, and the connection is closed. Whether the statement took effect is unknown."""


class Alarm:
    """Timer that asks the server to end a statement, and then shuts down the connection.

    Attributes
    ----------
    has_rung
        The connection must not be used again: a late cancel request would end a later statement.
    """

    def __init__(self, conn: AsyncConnection[Any], within: timedelta) -> None:
        self._conn = conn
        self._timer = _call_after(within, self._read_what_has_arrived)
        self.has_rung = False

    def cancel(self) -> None:
        self._timer.cancel()

    def _read_what_has_arrived(self) -> None:
        self._timer = _call_after(STALL, self._ring)

    def _ring(self) -> None:
        self.has_rung = True
        self._timer = _call_after(CANCEL, lambda: shut(self._conn))
        if psycopg.capabilities.has_cancel_safe():  # else psycopg would block a thread that cannot be stopped
            request = asyncio.get_running_loop().create_task(_end_statement(self._conn))
            _call_after(CANCEL, request.cancel)  # the event loop holds the reference until then


def shut(conn: AsyncConnection[Any]) -> None:
    """Shut down the socket, so that pending operations fail as if the server had gone away. Never blocks."""
    with (
        contextlib.suppress(OSError, psycopg.OperationalError),  # already closed
        socket.fromfd(conn.pgconn.socket, socket.AF_INET, socket.SOCK_STREAM) as same,
    ):
        same.shutdown(socket.SHUT_RDWR)


def _call_after(span: timedelta, then: Callable[[], object]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(max(0.0, span.total_seconds()), then)


async def _end_statement(conn: AsyncConnection[Any]) -> None:
    """Ask the server to end the statement, if it can be reached: its result is no longer wanted."""
    with contextlib.suppress(psycopg.Error):
        await AsyncConnection.cancel_safe(conn)  # not the subclass's method, which is for cancelled callers


@contextmanager
def deadline(conn: AsyncConnection[Any], within: timedelta) -> Iterator[None]:
    """Raise `Late`, and close the connection, if the server does not complete the statements of this block in time.

    The connection is closed even if the response arrives at the last moment: see `Alarm`. If a transaction is open
    then, it is lost, so `Late` is raised; a response to its commit counts. May be nested; the shortest deadline counts.
    Only waits for this connection are interrupted.
    """
    alarm = Alarm(conn, within)
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
        if alarm.has_rung:
            raise Late(f"no response within {within.total_seconds():g} seconds") from exc
        raise
    else:
        # psycopg would end the block of a transaction whose connection is closed as if it were committed
        if alarm.has_rung and conn.info.transaction_status in _IN_TRANSACTION:
            raise Late(f"no response within {within.total_seconds():g} seconds, and the transaction is lost")
    finally:
        alarm.cancel()
        if alarm.has_rung:
            conn.pgconn.finish()
