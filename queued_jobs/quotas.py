"""Per-user quotas, counted in Postgres and therefore shared by all instances."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection

from queued_jobs._arguments import check_span, check_text, check_type, check_whole
from queued_jobs.database import Database
from queued_jobs.errors import JobsError

_MINUTE = timedelta(minutes=1)
#: Of the database's integers.
_MAX_LIMIT = 2**31 - 1
_MAX_KEY, _MAX_SPAN = 200, timedelta(days=1)
#: Suggested wait for a job to end, since its end cannot be predicted.
_ASK_AGAIN = timedelta(seconds=5)


class LimitReached(JobsError):
    """The user has exhausted a quota. Retry after `retry_after`."""

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooBusy(JobsError):
    """The backlog is full: no new jobs are accepted from any user. Retry after `retry_after`."""

    retry_after = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Each is at least 1. Raises `TypeError` or `ValueError` for anything else.

    Attributes
    ----------
    active
        Unfinished jobs of one user.
    per_day
        Jobs that one user started in the last 24 hours.
    writes_per_minute
        Calls of one user that change data, in the last 60 seconds.
    waiting
        Jobs of all users that wait for a worker.
    """

    active: int
    per_day: int
    writes_per_minute: int
    waiting: int

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_whole(field.name, getattr(self, field.name), most=_MAX_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A transaction that may store one job of a user; other starts of this user wait until it ends."""

    connection: AsyncConnection[Any]
    refusal: JobsError | None

    def check(self) -> None:
        """Raise `LimitReached` or `TooBusy` unless one more job is allowed."""
        if self.refusal is not None:
            raise self.refusal


class Quotas:
    """Counts uses and compares them with the limits. Counts are exact under concurrency."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    async def note(self, key: str, most: int, within: timedelta) -> timedelta:
        """Record a use of this key. Returns zero, or how long to wait if there were `most` uses within this time."""
        check_text("key", key, _MAX_KEY, required=True)
        check_whole("most", most, most=_MAX_LIMIT)
        check_span("within", within, least=timedelta(), most=_MAX_SPAN)
        row = await self._database.row("use", {"key": key, "most": most, "within": within.total_seconds()})
        return timedelta(seconds=row["wait"] if row else 0)

    async def note_write(self, user_id: str) -> None:
        """Record that a user is about to change data. Raises `LimitReached` after too many calls in a minute."""
        check_type("user_id", user_id, str)
        most = self._limits.writes_per_minute
        wait = await self.note(f"write {user_id}", most, _MINUTE)
        if wait:
            raise LimitReached(
                f"You have made {most:,} changes in a minute, which is the limit. Wait a moment, then try again.", wait
            )

    @asynccontextmanager
    async def starting(self, user_id: str) -> AsyncIterator[Start]:
        """Open a transaction to store one job in, after `Start.check`; it is committed at the end of the block."""
        check_type("user_id", user_id, str)
        async with self._database.transaction() as connection:
            params = {
                "user_id": user_id,
                "max_active": self._limits.active,
                "max_per_day": self._limits.per_day,
                "max_waiting": self._limits.waiting,
            }
            use = await self._database.row("quota_use", params, conn=connection)
            yield Start(connection=connection, refusal=self._refusal(use or {}))

    @asynccontextmanager
    async def restarting(self, user_id: str) -> AsyncIterator[AsyncConnection[Any]]:
        """Open a transaction to restart a stored job in. Raises as `Start.check` does."""
        async with self.starting(user_id) as start:
            start.check()
            yield start.connection

    def _refusal(self, use: dict[str, Any]) -> JobsError | None:
        limits = self._limits
        if use["waiting"] >= limits.waiting:
            return TooBusy("The backlog is full, so no new jobs are accepted at the moment. Try again later.")
        if use["active"] >= limits.active:
            return LimitReached(
                f"You have {limits.active:,} unfinished jobs, which is the limit. Wait until one ends.",
                _ASK_AGAIN,
            )
        if use["today"] >= limits.per_day:
            wait = timedelta(seconds=math.ceil(use["day_wait"]))
            return LimitReached(f"You have started {limits.per_day:,} jobs in 24 hours, which is the limit.", wait)
        return None
