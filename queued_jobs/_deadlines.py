"""How long anything waits for Postgres, and what happens when it takes longer.

The server's own limits (`SERVER`) say so first, if it is there to say it. A network can also swallow what either side
says while it keeps the connection, as gateways and poolers do: then only a clock on this side ends the wait. The socket
is shut, so whatever waits for it fails at once, and the connection is not used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection

#: From the call of a statement to its answer, with the wait for a connection: a request is answered within 5 seconds.
ANSWER: Final = timedelta(seconds=4)
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
#: For the server to hear that the caller of a statement was cancelled, and then for the statement to end.
CANCEL: Final = timedelta(seconds=0.5)
#: What the server ends itself, keeping the connection.
SERVER: Final = {
    "statement_timeout": timedelta(seconds=10),
    "lock_timeout": timedelta(seconds=3),
    "idle_in_transaction_session_timeout": timedelta(seconds=30),
}

#: After a stall of this process, what has arrived is read before a deadline counts.
_GRACE = timedelta(seconds=0.2)


class Late(psycopg.OperationalError):
    """Postgres did not answer in time, and the connection is closed. Whether a statement was carried out is unknown."""


class Alarm:
    """Shuts the socket beneath a connection after a while, unless it is cancelled before."""

    def __init__(self, conn: AsyncConnection[Any], within: timedelta) -> None:
        self._conn = conn
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(max(0.0, within.total_seconds()), self._wait_for_what_has_arrived)
        self.has_rung = False

    def cancel(self) -> None:
        self._timer.cancel()

    def _wait_for_what_has_arrived(self) -> None:
        self._timer = self._loop.call_later(_GRACE.total_seconds(), self._ring)

    def _ring(self) -> None:
        """To libpq it looks as if the server had gone. Never blocks."""
        self.has_rung = True
        with (
            contextlib.suppress(OSError, psycopg.OperationalError),  # it is closed already
            socket.fromfd(self._conn.pgconn.socket, socket.AF_INET, socket.SOCK_STREAM) as same,
        ):
            same.shutdown(socket.SHUT_RDWR)


@contextmanager
def deadline(conn: AsyncConnection[Any], within: timedelta) -> Iterator[None]:
    """Raise `Late`, and close the connection, if what this block asks of the server is not answered in time.

    May be nested; the shortest counts. Nothing but waiting for this connection is interrupted.
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
