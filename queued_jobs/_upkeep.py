"""The sweeper's operations on the store in Postgres."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter, itemgetter
from typing import Any

from psycopg import AsyncConnection

from queued_jobs.database import Database
from queued_jobs.kind_queues import KindQueues
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import JobKey, Pause, QueuedJob
from queued_jobs.repository import HOLD, NO_KINDS, NO_LIMITS, NO_QUEUES, Line, LinesSeen, Tallied

#: After this time, doubling, a message that was never claimed is assumed lost.
STALE = timedelta(minutes=10)
#: Lost workers after which a job is aborted.
MAX_LOST = 3
#: How long jobs wait for a worker that knows their kind.
UNKNOWN = timedelta(days=1)
#: Chunks that are deleted by one statement, with their jobs.
MAX_CHUNKS = 20_000
_FOR_EVER = timedelta(days=365_000)


class PostgresUpkeep:
    """The part of `Repository` that only the sweeper and operators call."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def now(self) -> datetime:
        (row,) = await self.database.rows("now", {})
        now: datetime = row["now"]
        return now

    async def follow_ups(self, *, limit: int) -> list[QueuedJob]:
        return await self._jobs("follow_up", batch_id=None, n=limit, hold=0)

    async def wake_lines(
        self, *, max_concurrent: Mapping[str, int] = NO_LIMITS, after: Line | None = None, limit: int
    ) -> LinesSeen:
        after_kind, after_key = after or ("", "")
        row = await self.database.row(
            "wake_lines",
            {
                "kinds": list(max_concurrent),
                "limits": list(max_concurrent.values()),
                "after_kind": after_kind,
                "after_key": after_key,
                "first_key": self.database.tables.first_key,
                "n": limit,
            },
        )
        if row is None:
            return LinesSeen(woken=0, last=None)
        last = (row["kind"], row["concurrency_key"]) if row["number"] == limit else None
        return LinesSeen(woken=row["woken"], last=last)

    async def unsent(self, *, limit: int, queues: KindQueues = NO_QUEUES) -> list[Reserved]:
        params = {"n": limit, "hold": HOLD.total_seconds(), **queues.parameters()}
        rows = await self.database.rows("pick_unsent", params)
        return [
            Reserved(
                message=JobMessage(id=row["id"], gen=row["dispatch_gen"]),
                queue=row["queue"],
                delay=timedelta(seconds=row["delay"]),
                until=row["next_send_at"],
            )
            for row in sorted(rows, key=itemgetter("due_at"))
        ]

    async def pause(self, kind: str, *, subject: str) -> Pause:
        (row,) = await self.database.rows("pause", {"kind": kind, "subject": subject})
        return Pause(**row)

    async def resume(self, kind: str) -> Pause | None:
        row = await self.database.row("resume", {"kind": kind})
        return None if row is None else Pause(**row)

    async def pauses(self) -> list[Pause]:
        return [Pause(**row) for row in await self.database.rows("pauses", {})]

    async def wake_paused(self, *, limit: int, hold: timedelta = timedelta()) -> list[QueuedJob]:
        params = {"n": limit, "hold": hold.total_seconds(), "first_key": self.database.tables.first_key}
        woken = await self._jobs("wake_paused", **params)
        return sorted(woken, key=attrgetter("next_send_at"))

    async def rescue(self, *, limit: int) -> list[QueuedJob]:
        return await self._jobs("rescue", n=limit, max_lost=MAX_LOST)

    async def end_unknown(self, kinds: Collection[str], *, limit: int) -> list[QueuedJob]:
        return await self._jobs("end_unknown", n=limit, kinds=list(kinds), wait=UNKNOWN.total_seconds())

    async def latest_key(self, *, kind: str, user_id: str, prefix: str) -> str | None:
        row = await self.database.row("latest_key", {"kind": kind, "user_id": user_id, "prefix": prefix})
        return None if row is None else row["idempotency_key"]

    async def resend_silent(self, *, limit: int) -> int:
        return len(await self.database.rows("resend_silent", {"n": limit, "stale": STALE.total_seconds()}))

    async def expiring(
        self, *, older_than: timedelta, kinds: Mapping[str, timedelta] = NO_KINDS, limit: int
    ) -> list[QueuedJob]:
        return await self._jobs("expiring", n=limit, **_retention(older_than, kinds))

    async def expire(self, ids: Sequence[JobKey]) -> list[QueuedJob]:
        return await self._jobs("expire", ids=list(ids))

    async def prune(self, *, older_than: timedelta, kinds: Mapping[str, timedelta] = NO_KINDS, limit: int) -> int:
        params = {"n": limit, "max_chunks": MAX_CHUNKS, **_retention(older_than, kinds)}
        return len(await self.database.rows("prune", params))

    async def prune_notes(self, *, older_than: timedelta, limit: int) -> int:
        params = {"n": limit, "keep": _kept(older_than)}
        names = ("prune_rejected", "prune_uses", "prune_runs", "prune_audit")
        return max([len(await self.database.rows(name, params)) for name in names])

    async def queue_ages(self) -> dict[str, timedelta]:
        rows = await self.database.rows("queue_ages", {})
        return {row["queue"]: timedelta(seconds=row["age"]) for row in rows}

    async def tally(self, *, limit: int) -> Tallied:
        attempts = len(await self.database.rows("tally_attempts", {"n": limit}))
        created = await self.database.row("tally_created", {"n": limit})
        return Tallied(attempts=attempts, more=attempts >= limit or (created is not None and created["more"]))

    async def fold_tallies(self, *, limit: int) -> int:
        (folded,) = await self.database.rows("tally_fold", {"n": limit})
        return int(folded["moved"])

    async def _jobs(self, name: str, **params: object) -> list[QueuedJob]:
        return [QueuedJob.from_row(row) for row in await self.database.rows(name, params)]

    async def _change(
        self, name: str, *, conn: AsyncConnection[Any] | None = None, **params: object
    ) -> QueuedJob | None:
        row = await self.database.row(name, params, conn=conn)
        return None if row is None else QueuedJob.from_row(row)


def _retention(older_than: timedelta, kinds: Mapping[str, timedelta]) -> dict[str, object]:
    return {
        "keep": _kept(older_than),
        "kinds": list(kinds),
        "keeps": [_kept(keep) for keep in kinds.values()],
    }


def _kept(span: timedelta) -> float:
    # timedelta.max means forever, and Postgres has no timestamp that long ago
    return min(span, _FOR_EVER).total_seconds()
