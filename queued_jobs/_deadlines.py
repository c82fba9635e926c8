"""How long anything waits for Postgres, and what happens when it takes longer.

The server's own limits (`SERVER`) say so first, if it is there to say it. A network can also swallow what either side
says while it keeps the connection, as gateways and poolers do: then only a clock on this side ends the wait. The socket
is shut, so whatever waits for it fails at once, and the connection is not used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection

#: From the call of a statement to its answer, with the wait for a connection: a request is answered within 5 seconds.
ANSWER: Final = timedelta(seconds=3.5)
#: The same for statements over many rows that nobody waits for, and for each statement on a connection that was lent.
LONG_ANSWER: Final = timedelta(seconds=12)
#: These are the sweeper's.
LONG_STATEMENTS: Final = frozenset(
    {
        "expire",
        "expiring",
        "follow_up",
        "pick_unsent",
        "prune",
        "prune_rejected",
        "prune_uses",
        "rescue",
        "resend_silent",
        "tally_attempts",
        "tally_created",
        "tally_fold",
        "wake_lines",
    }
)
#: For a free connection of the pool.
CHECKOUT: Final = timedelta(seconds=3)
#: For an idle connection to show that it is alive, before it is lent.
CHECK: Final = timedelta(seconds=1)
#: For each address that a new connection tries, and for all of them with the look-up of their names.
CONNECT: Final = timedelta(seconds=3)
CONNECT_ALL: Final = timedelta(seconds=10)
#: For libpq. A peer that is gone is noticed within these seconds, and not when the kernel gives up.
NETWORK: Final[dict[str, Any]] = {
    "connect_timeout": round(CONNECT.total_seconds()),
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 5_000,
}
#: For the password of a new connection, where that is a token.
PASSWORD: Final = timedelta(seconds=5)
#: For the server to end a statement that is late, or whose caller was cancelled.
CANCEL: Final = timedelta(seconds=0.5)
#: What the server ends itself, keeping the connection.
SERVER: Final = {
    "statement_timeout": timedelta(seconds=10),
    "lock_timeout": timedelta(seconds=3),
    "idle_in_transaction_session_timeout": timedelta(seconds=30),
}

#: After a stall of this process, what has arrived is read before a deadline counts.
STALL = timedelta(seconds=0.05)


class Late(psycopg.OperationalError):
    """Postgres did not answer in time, and the connection is closed. Whether a statement was carried out is unknown."""


class Alarm:
    """After a while asks the server to end a statement, and then shuts the connection.

    Attributes
    ----------
    has_rung
        The connection must not be used again: the request may arrive late, and would end whatever runs then.
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
        if psycopg.capabilities.has_cancel_safe():  # else psycopg would block a thread, and nobody could end that
            request = asyncio.get_running_loop().create_task(_end_statement(self._conn))
            _call_after(CANCEL, request.cancel)  # until then the event loop keeps it


def shut(conn: AsyncConnection[Any]) -> None:
    """Let it look to libpq as if the server had gone: whatever waits for it fails. Never blocks."""
    with (
        contextlib.suppress(OSError, psycopg.OperationalError),  # it is closed already
        socket.fromfd(conn.pgconn.socket, socket.AF_INET, socket.SOCK_STREAM) as same,
    ):
        same.shutdown(socket.SHUT_RDWR)


def _call_after(span: timedelta, then: Callable[[], object]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(max(0.0, span.total_seconds()), then)


async def _end_statement(conn: AsyncConnection[Any]) -> None:
    """Let the server do nothing more for nobody, if it can be told."""
    with contextlib.suppress(psycopg.Error):
        await AsyncConnection.cancel_safe(conn)  # not a subclass's, which is for callers that are cancelled


@contextmanager
def deadline(conn: AsyncConnection[Any], within: timedelta) -> Iterator[None]:
    """Raise `Late`, and close the connection, if what this block asks of the server is not answered in time.

    The connection is closed even if the answer comes at the last moment: see `Alarm`. May be nested; the shortest
    counts. Nothing but waiting for this connection is interrupted.
    """
    alarm = Alarm(conn, within)
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
        if alarm.has_rung:
            raise Late(f"no answer within {within.total_seconds():g} seconds") from exc
        raise
    finally:
        alarm.cancel()
        if alarm.has_rung:
            conn.pgconn.finish()
