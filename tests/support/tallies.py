"""The statistics' sums, from the sweeper's side."""

from __future__ import annotations

from queued_jobs.dashboard.stats import Counts
from queued_jobs.database import Database
from queued_jobs.postgres import PostgresRepository


async def tally(database: Database, *, limit: int = 500, most: int = 100) -> int:
    repository, tallied = PostgresRepository(database), 0
    for _ in range(most):
        batch = await repository.tally(limit=limit)
        tallied += batch.attempts
        if not batch.attempts and not batch.more:
            break
    return tallied


async def summed(database: Database, grain: str) -> Counts:
    """What the sums hold by themselves."""
    async with database.connection() as conn:
        row = await (
            await conn.execute(
                "select sum(created) as created, sum(succeeded) as succeeded, sum(failed) as failed,"
                " sum(retried) as retried from queued_jobs.tally where grain = %s",
                (grain,),
            )
        ).fetchone()
    assert row is not None
    return Counts(**{name: value or 0 for name, value in row.items()})
