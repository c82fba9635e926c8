"""Fills a database with many realistic jobs, for demonstrations and performance tests.

Run `python -m tools.sample_jobs.generate_jobs postgresql://...` for a million jobs of the last 30 days. It brings
the schema up to date, adds jobs and their attempts by COPY, and counts them as the sweeper would. Use a separate
database: a running system would soon look for workers of these kinds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from queued_jobs.database import Database
from queued_jobs.postgres import PostgresRepository
from queued_jobs.schema import migrate
from queued_jobs.urls import is_conninfo
from tools.sample_jobs.generator import ATTEMPT_COLUMNS, JOB_COLUMNS, JobGenerator

CHUNK = 20_000
_MAX_DAYS = 3_650

_INDEXES = """
select indexname, indexdef from pg_indexes
where schemaname = 'queued_jobs' and tablename in ('job', 'attempt') and indexname !~ '_pkey$'
"""


_DELETE_WAITING = """
delete from queued_jobs.job where finished_at is null and user_id like 'https://issuer.example|user-%'
"""


async def add_jobs(url: str, count: int, *, days: float, seed: int = 1, ended_only: bool = False) -> None:
    """Add jobs to a migrated database, all or none; its sweeper will count them. Locks the tables while it runs.

    With `ended_only` those that would wait for a worker are not kept, so that a running system is not disturbed.
    """
    jobs = iter(JobGenerator(count, until=datetime.now(UTC), days=days, seed=seed))
    async with await AsyncConnection.connect(url, autocommit=True) as conn:
        async with conn.transaction():
            indexes = await (await conn.execute(_INDEXES)).fetchall()
            for name, _ in indexes:  # creating them at the end takes a third of the time
                await conn.execute(sql.SQL("drop index {}").format(sql.Identifier("queued_jobs", name)))
            chunk = list(islice(jobs, CHUNK))
            while chunk:
                # generate the next rows while Postgres works
                _, chunk = await asyncio.gather(
                    _copy(conn, chunk), asyncio.to_thread(lambda: list(islice(jobs, CHUNK)))
                )
            if ended_only:
                await conn.execute(_DELETE_WAITING)
            for _, definition in indexes:
                await conn.execute(definition)
            # dated in a period whose statistics are already complete
            await conn.execute("update queued_jobs.tally set created = 0")
            await conn.execute("update queued_jobs.tally_turn set created_until = 'epoch'")
        await conn.execute("vacuum analyze")


async def count_jobs(url: str) -> None:
    """Bring the statistics up to date."""
    database = Database(url)
    repository = PostgresRepository(database)
    while (tallied := await repository.tally(limit=20_000)).attempts or tallied.more:
        continue
    while await repository.fold_tallies(limit=20_000):
        continue
    await database.close()
    async with await AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute("vacuum analyze")


async def _copy(conn: AsyncConnection[Any], chunk: list[tuple[str, list[str]]]) -> None:
    job_lines = [job for job, _ in chunk]
    attempt_lines = [attempt for _, attempts in chunk for attempt in attempts]
    for table, columns, lines in (("job", JOB_COLUMNS, job_lines), ("attempt", ATTEMPT_COLUMNS, attempt_lines)):
        command = sql.SQL("copy {} ({}) from stdin").format(
            sql.Identifier("queued_jobs", table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        async with conn.cursor() as cursor, cursor.copy(command) as copy:
            await copy.write("".join(f"{line}\n" for line in lines))


async def _generate(url: str, count: int, days: float, seed: int) -> None:
    await migrate(url)
    await add_jobs(url, count, days=days, seed=seed)
    await count_jobs(url)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid number of jobs; use 1 or more")
    return int(text)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0
    if not 0 < days <= _MAX_DAYS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a valid number of days; use more than 0, and at most {_MAX_DAYS}"
        )
    return days


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="the database, as postgresql://...")
    parser.add_argument("--jobs", type=_count, default=1_000_000)
    parser.add_argument("--days", type=_days, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not is_conninfo(arguments.url):
        parser.error(
            "the url is not a valid Postgres connection string; use postgresql://user:password@host:port/database"
        )
    started = time.monotonic()
    try:
        asyncio.run(_generate(arguments.url, arguments.jobs, arguments.days, arguments.seed))
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        sys.exit(f"no connection to Postgres: {reason} Check the url, and whether the server is running.")
    print(f"{arguments.jobs:,} jobs in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
