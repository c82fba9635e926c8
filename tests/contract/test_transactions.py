"""Transactions that the store lends to bodies."""

from __future__ import annotations

from typing import Any

import pytest

from queued_jobs import JobStatus
from queued_jobs.errors import JobNotFound
from queued_jobs.model import JobKey, NewJob
from tests.contract.conftest import Helpers


async def new(jobs: Helpers, conn: Any) -> JobKey:
    (key,) = await jobs.repository.new_keys(1, conn=conn)
    values: dict[str, Any] = {"kind": "demo", "schema_version": 1, "queue": "demo", "user_id": "ann"}
    await jobs.repository.add(NewJob(id=key, request={"n": 1}, max_attempts=5, **values), conn=conn)
    return key


async def test_the_end_of_the_block_keeps_all_of_it(jobs: Helpers) -> None:
    running = await jobs.running()
    async with jobs.repository.transaction() as conn:
        key = await new(jobs, conn)
        await jobs.repository.succeed(running, {"n": 2}, conn=conn)
    assert (await jobs.row(key)).status is JobStatus.PENDING
    assert (await jobs.row(running.id)).status is JobStatus.SUCCEEDED


async def test_an_exception_takes_all_of_it_back(jobs: Helpers) -> None:
    running = await jobs.running()
    keys: list[JobKey] = []

    async def fails() -> None:
        async with jobs.repository.transaction() as conn:
            keys.append(await new(jobs, conn))
            await jobs.repository.succeed(running, {"n": 2}, conn=conn)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    with pytest.raises(JobNotFound):
        await jobs.repository.ended(keys[0])
    assert (await jobs.row(running.id)).status is JobStatus.RUNNING
    assert [attempt.outcome for attempt in await jobs.attempts(running.id)] == [None]
    assert await jobs.repository.succeed(running, {"n": 3}) is not None, "the attempt still owns the job"
