"""What workers run now, by the leases in the rows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from queued_jobs.database import Database
from queued_jobs.model import JobKey

#: Attempts that are listed.
LISTED: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """An attempt that runs now.

    Attributes
    ----------
    worker_id
        Host and process that hold the lease; None if unknown.
    lease_until
        When the lease ends unless a heartbeat extends it.
    is_overdue
        Whether it has ended: the worker was lost, and the sweeper will send the job again.
    """

    worker_id: str | None
    id: JobKey
    kind: str
    attempt: int
    started_at: datetime
    lease_until: datetime
    is_overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """The running attempts, by worker and start; up to 500, and whether there are `more`."""

    running: tuple[RunningJob, ...]
    more: bool


async def read_workers(database: Database) -> Workers:
    """Read who holds a lease. A worker without a job has none, so it is not listed."""
    rows = await database.rows("running", {"limit": LISTED + 1})
    names = [field.name for field in dataclasses.fields(RunningJob)]
    running = tuple(RunningJob(**{name: row[name] for name in names}) for row in rows[:LISTED])
    return Workers(running=running, more=len(rows) > LISTED)
