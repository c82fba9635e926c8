"""How much each user may ask for, counted in Postgres, so that all instances and all connections count together."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection

from queued_jobs.database import Database
from queued_jobs.errors import JobsError

_MINUTE = timedelta(minutes=1)
#: Nobody knows when jobs end, so who waits for one to end asks again after this.
_ASK_AGAIN = timedelta(seconds=5)


class LimitReached(JobsError):
    """A quota of this user is used up. After `retry_after` it is worth another try."""

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooBusy(JobsError):
    """So many jobs wait already that no more are taken, of whomever. After `retry_after` it is worth another try."""

    retry_after = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Each is at least 1.

    Attributes
    ----------
    active
        Jobs of one user that have not ended.
    a_day
        Jobs of one user that were started in the last 24 hours.
    writes_a_minute
        Calls of one user that change something, in the last 60 seconds.
    waiting
        Jobs of all users together that wait for a worker.
    """

    active: int
    a_day: int
    writes_a_minute: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A transaction in which one job of one user may be stored; other starts of this user wait until it ends."""

    connection: AsyncConnection[Any]
    refusal: JobsError | None

    def check(self) -> None:
        """Raise `LimitReached` or `TooBusy` unless one more job fits."""
        if self.refusal is not None:
            raise self.refusal


class Quotas:
    """Counts uses and compares them with the limits. Counts are exact, however many call at once."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    async def note(self, key: str, most: int, within: timedelta) -> timedelta:
        """Note one more use of this key: zero, or how long to wait because there were `most` within this time."""
        row = await self._database.row("use", {"key": key, "most": most, "within": within.total_seconds()})
        return timedelta(seconds=row["wait"] if row else 0)

    async def note_write(self, user_id: str) -> None:
        """Note that a user is about to change something. Raises `LimitReached` for one call too many in a minute."""
        most = self._limits.writes_a_minute
        wait = await self.note(f"write {user_id}", most, _MINUTE)
        if wait:
            raise LimitReached(f"You may change things {most:,} times a minute. Slow down.", wait)

    @asynccontextmanager
    async def starting(self, user_id: str) -> AsyncIterator[Start]:
        """Store one job within this block, on its connection, after `Start.check`; it is committed at the end."""
        async with self._database.transaction() as connection:
            params = {
                "user_id": user_id,
                "most_active": self._limits.active,
                "most_a_day": self._limits.a_day,
                "most_waiting": self._limits.waiting,
            }
            use = await self._database.row("quota_use", params, conn=connection)
            yield Start(connection=connection, refusal=self._refusal(use or {}))

    @asynccontextmanager
    async def restarting(self, user_id: str) -> AsyncIterator[AsyncConnection[Any]]:
        """Start a stored job afresh within this block, on its connection. Raises as `Start.check` does."""
        async with self.starting(user_id) as start:
            start.check()
            yield start.connection

    def _refusal(self, use: dict[str, Any]) -> JobsError | None:
        limits = self._limits
        if use["waiting"] >= limits.waiting:
            return TooBusy("Too many jobs wait already, so none is taken at the moment. Try again later.")
        if use["active"] >= limits.active:
            return LimitReached(
                f"You have {limits.active:,} jobs that have not ended, which is as many as you may. Wait for one.",
                _ASK_AGAIN,
            )
        if use["today"] >= limits.a_day:
            wait = timedelta(seconds=math.ceil(use["day_wait"]))
            return LimitReached(f"You have started {limits.a_day:,} jobs in 24 hours, which is the limit.", wait)
        return None
