"""A table is locked as a whole, by an operator or a migration: every request is answered in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from psycopg import sql

from queued_jobs import database as jobs_database
from queued_jobs.errors import StoreUnavailable
from tests.integration.functions.conftest import Site
from tests.support.waiting import eventually

#: The limit of a request in these tests, and the time in which all must have been answered: a busy machine needs some.
LIMIT, ANSWERED = timedelta(seconds=1.5), 5.0
#: More than there are connections, so that each waits for a connection, too.
PEOPLE = [f"user {number}" for number in range(8)]
KEY = "01a20f71-90cb-7027-842a-5ce2fd999aaa"
WRITES = [
    ("POST", "/api/jobs/packer", {"prefix": "0/"}),
    ("POST", "/api/jobs/seen", {"ids": [KEY]}),
    ("POST", "/api/jobs/clear-finished", {}),
    ("POST", "/api/jobs/undo-clear", {"ids": [KEY], "since": "2026-01-01T00:00:00Z"}),
    ("DELETE", f"/api/jobs/{KEY}", None),
    ("POST", f"/api/jobs/{KEY}/cancel", {}),
    ("POST", f"/api/jobs/{KEY}/retry", {}),
]
READS = [
    ("GET", "/api/jobs/mine", None),
    ("GET", f"/api/jobs/{KEY}", None),
    ("GET", f"/api/jobs/{KEY}/download", None),
    ("GET", f"/api/jobs/{KEY}/stream", None),
]
ADMIN = [
    ("GET", "/api/admin/jobs", None),
    ("GET", "/api/admin/jobs.csv", None),
    ("GET", "/api/admin/jobs/count", None),
    ("GET", "/api/admin/jobs/statuses", None),
    ("GET", f"/api/admin/jobs/{KEY}", None),
    ("GET", f"/api/admin/jobs/{KEY}/payload/request", None),
    ("GET", f"/api/admin/jobs/{KEY}/stream", None),
    ("GET", "/api/admin/stats", None),
    ("GET", "/api/admin/failures", None),
    ("GET", "/api/admin/queues", None),
    ("POST", "/api/admin/jobs/bulk", {"action": "retry", "filters": {}}),
    ("POST", "/api/admin/jobs/bulk", {"action": "cancel", "filters": {}}),
]


def tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("select tablename from pg_tables where schemaname = 'queued_jobs'").fetchall()
    return sorted(name for (name,) in rows)


@asynccontextmanager
async def locked(url: str, *names: str) -> AsyncIterator[None]:
    async with await psycopg.AsyncConnection.connect(url) as connection, connection.transaction(force_rollback=True):
        for name in names:
            table = sql.Identifier("queued_jobs", name)
            await connection.execute(sql.SQL("lock table {} in access exclusive mode").format(table))
        yield


async def blocked_call(site: Site) -> None:
    """Keep a connection, without the limit of a request: as a worker does."""
    with contextlib.suppress(StoreUnavailable):
        await site.services.database.rows("queue_ages", {})


async def all_wait(url: str, count: int) -> bool:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            " and backend_type = 'client backend'"
        )
        return await cursor.fetchone() == (count,)


async def test_every_request_is_answered(site: Site, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for who in (*PEOPLE, "admin"):
        await site.token(who)
    monkeypatch.setattr(jobs_database, "REQUEST_TIME", LIMIT)
    url = settings["DATABASE_URL"]
    names = tables(url)
    assert {"job", "attempt", "recent_use", "tally", "tally_turn"} <= {*names}
    refused: set[str] = set()
    for name in names:
        async with locked(url, name):
            calls = [(PEOPLE[number % len(PEOPLE)], call) for number, call in enumerate([*WRITES, *READS] * 2)]
            calls += [("admin", call) for call in ADMIN]
            blocked = [asyncio.create_task(blocked_call(site)) for _ in range(site.services.database.max_size)]
            if name == "job":
                await eventually(partial(all_wait, url, len(blocked)), "every connection waits for the table")
            async with asyncio.timeout(ANSWERED):
                answers = await asyncio.gather(
                    *(site.call(who, method, path, json=body) for who, (method, path, body) in calls)
                )
            await asyncio.gather(*blocked)
        for answer in answers:
            assert answer.status_code < 500 or answer.status_code == 503, (name, answer.request.url, answer.text)
            if answer.status_code == 503:
                assert "Retry-After" in answer.headers
                refused.add(name)
    assert refused >= {"job", "recent_use", "tally_turn"}
    async with asyncio.timeout(ANSWERED):
        assert (await site.call("admin", "GET", "/api/health")).status_code == 200
