"""Rows with JSON that no version of the library writes: every reader serves them, and the other rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from queued_jobs.dashboard.search import JobQuery
from queued_jobs.model import JobError
from queued_jobs.push.view import JobView
from queued_jobs.tracker import ANY_USER
from tests.integration.queued_jobs.conftest import Shop

SHAPES: list[Any] = [
    None,
    [],
    ["x"],
    "x",
    "",
    5,
    1.5,
    True,
    {},
    {"message": "without a class"},
    {"type": None, "message": None, "traceback": None},
    {"type": 5, "message": ["x"], "traceback": {"a": 1}},
    {"type": "Known", "message": "m", "traceback": "t", "of the next version": [1]},
]


def json_columns(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "select c.table_name, c.column_name from information_schema.columns c "
            "join information_schema.tables t using (table_schema, table_name) "
            "where c.table_schema = 'queued_jobs' and t.table_type = 'BASE TABLE' and c.data_type = 'jsonb'"
        ).fetchall()


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
async def test_all_readers_serve_malformed_json(shape: Any, shop: Shop, jobs_url: str) -> None:
    failed, succeeded, running = [await shop.running() for _ in range(3)]
    await shop.repository.fail(failed, JobError(type="E", message="m", traceback="t"), retry_in=None)
    await shop.repository.succeed(succeeded, {"text": "x"})
    changed = set()
    for table, column in json_columns(jobs_url):
        with psycopg.connect(jobs_url, autocommit=True) as connection:
            name = Identifier(column)
            try:
                cursor = connection.execute(
                    SQL("update queued_jobs.{} set {} = %s where {} is not null").format(Identifier(table), name, name),
                    [Jsonb(shape)],
                )
            except psycopg.errors.CheckViolation:
                continue
            changed |= {(table, column)} if cursor.rowcount else set()
    assert changed >= {("job", "request"), ("job", "result"), ("job", "error"), ("attempt", "error")}

    page = await shop.tracker.for_user("ann")
    assert {job.id for job in page.jobs} == {failed.id, succeeded.id, running.id}
    views = [JobView.of(job, shop.manager.registry).to_json() for job in page.jobs]
    assert len(views) == 3
    assert len((await shop.tracker.search(JobQuery(text="x"))).jobs) <= 3
    assert len((await shop.tracker.search(JobQuery())).jobs) == 3
    for job in page.jobs:
        await shop.tracker.get(job.id, user_id=ANY_USER)
        assert len(await shop.tracker.attempts(job.id, user_id=ANY_USER)) == 1
    await shop.tracker.stats(window=timedelta(hours=1), bucket=timedelta(minutes=1))
    await shop.tracker.failures(window=timedelta(hours=1))
    await shop.tracker.workers()
    await shop.manager.sweeper.run_once()
    await shop.tracker.retry(failed.id, user_id="ann")
    assert (await shop.manager.erasure.erase("ann")).jobs >= 1
