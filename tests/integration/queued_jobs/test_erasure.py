"""A user is erased: jobs in every state, their history, cursors and output, and the data of their results."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from queued_jobs import JobStatus, QueuedJob, QueueManager, erasure
from queued_jobs.chunks import NewChunk
from queued_jobs.errors import JobConflict, JobNotFound
from queued_jobs.message import JobMessage
from queued_jobs.model import JobError
from tests.integration.queued_jobs.conftest import Answer, Ask, Demo, Shop

HOUR = timedelta(hours=1)
TABLES = ("job", "attempt", "cursor", "stream", "chunk", "past_run")


class Filed(Demo):
    """A kind whose results refer to files."""

    refuses = False
    removed: list[str]

    async def on_result_expired(self, job: QueuedJob, result: Answer) -> None:
        if self.refuses:
            raise OSError("the storage account is away")
        self.removed.append(f"{job.user_id}: {result.text}")


@pytest.fixture
def manager(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> QueueManager:
    monkeypatch.setattr(Filed, "removed", [], raising=False)
    monkeypatch.setattr(Filed, "refuses", False)

    def on_erase(user_id: str) -> None:  # a plain def works, too; the app has an async one
        Filed.removed.append(f"{user_id}: uploads")

    return QueueManager([Filed], repository=shop.repository, queues=shop.queues, on_erase=on_erase)


async def lives(shop: Shop, user_id: str) -> QueuedJob:
    """Give a user jobs in every state, and return the running one."""
    await shop.queue(user_id, idempotency_key="a", unique_key=f"of {user_id}")
    await shop.queue(user_id, delay=HOUR)
    await shop.succeeded(user_id)
    failed = await shop.running(user_id)
    await shop.repository.save(failed, {"cursor": 1}, max_resumes=1)
    chunk = NewChunk(topic="log", text="a secret")
    await shop.repository.append(failed, [chunk, chunk], written=0, max_size=1_000)
    await shop.repository.fail(failed, JobError(type="Boom", message="it broke"), retry_in=None)
    await shop.tracker.retry(failed.id, user_id=user_id)
    await shop.manager.queue_jobs(Demo, [Ask(n=n) for n in range(3)], user_id=user_id)
    return await shop.running(user_id)


def stored(url: str, user_id: str) -> dict[str, int]:
    """How many rows each table has of a user."""
    with psycopg.connect(url, row_factory=dict_row) as conn:
        return {
            table: conn.execute(
                sql.SQL("select user_id from queued_jobs.{} {} where user_id = %s").format(
                    sql.Identifier(table),
                    sql.SQL("join queued_jobs.job on job.id = job_id" if table not in ("job", "past_run") else ""),
                ),
                (user_id,),
            ).rowcount
            for table in TABLES
        }


async def test_all_of_a_user_goes_and_nothing_of_others(shop: Shop, manager: QueueManager, jobs_url: str) -> None:
    running = await lives(shop, "ann")
    await lives(shop, "ben")
    before = stored(jobs_url, "ben")
    assert (await manager.erasure.count("ann")).number == before["job"] == 8
    erased = await manager.erasure.erase("ann")
    assert (erased.jobs, erased.left.number, erased.complete) == (7, 1, False), "a running job cannot be deleted"
    asked = await shop.tracker.get(running.id, user_id="ann")
    assert (asked.status, asked.cancel_requested) == (JobStatus.RUNNING, True)
    await shop.repository.succeed(running, {"text": "done"})
    assert (await manager.erasure.erase("ann")).complete
    assert stored(jobs_url, "ann") == dict.fromkeys(TABLES, 0)
    assert stored(jobs_url, "ben") == before
    assert sorted(Filed.removed) == ["ann: done", "ann: done", "ann: uploads", "ann: uploads"]
    assert (await manager.erasure.erase("ann")).complete, "and again"
    assert (await shop.tracker.stats(window=HOUR, bucket=timedelta(minutes=5))).total.counts.succeeded == 3, "of both"


async def test_data_that_cannot_be_removed_keeps_its_job(shop: Shop, manager: QueueManager, jobs_url: str) -> None:
    job = await shop.succeeded()
    Filed.refuses = True
    assert (await manager.erasure.erase("ann")).left.number == 1
    Filed.refuses = False
    with psycopg.connect(jobs_url, autocommit=True) as conn:
        conn.execute("update queued_jobs.job set next_send_at = now() - interval '1 minute'")
    assert (await manager.erasure.erase("ann")).complete
    with pytest.raises(JobNotFound):
        await shop.tracker.get(job.id, user_id="ann")


async def test_a_worker_whose_job_was_erased_loses_it(shop: Shop, manager: QueueManager) -> None:
    handle = await shop.queue()
    await manager.erasure.erase("ann")
    claimed = await shop.repository.claim(
        JobMessage.of(handle.job), kind="demo", schema_version=1, lease=HOUR, timeout=HOUR
    )
    assert claimed is None


@pytest.mark.parametrize("blocks", [False, True], ids=["async", "in a thread"])
async def test_an_application_that_does_not_answer_holds_nobody_up(
    blocks: bool, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "HOOK_TIME", timedelta(milliseconds=50))
    freed = threading.Event()

    async def waits(user_id: str) -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1)
            if freed.is_set():
                return

    hook = (lambda user_id: freed.wait(30)) if blocks else waits
    manager = QueueManager([Filed], repository=shop.repository, queues=shop.queues, on_erase=hook)
    await shop.succeeded("ann")
    try:
        with pytest.raises(JobConflict, match="on_erase"):
            await manager.erasure.erase("ann")
    finally:
        freed.set()
    assert (await manager.erasure.count("ann")).number == 1
