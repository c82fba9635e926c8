"""A host dies right after its job succeeded, before it wakes the next job of the same concurrency key."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg

from queued_jobs import QueuedJob, QueueManager
from queued_jobs.database import Database
from queued_jobs.message import JobMessage
from queued_jobs.postgres import PostgresRepository
from queued_jobs.queues import StorageQueues
from tests.support.client import Person
from tests.support.waiting import wait_until
from tools.local_stack.stack import Stack
from tools.test_app.jobs.packer import Packer, PackRequest

Connection = psycopg.Connection[tuple[object, ...]]

#: So many that the last one, when it is told to wait, is told to wait for minutes.
JOBS = 12


class OneAtATime(Packer):
    """The same kind; its rows share one concurrency key."""

    @classmethod
    def concurrency_key(cls, request: PackRequest, user_id: str) -> str:
        return "one at a time"


def test_the_next_in_line_runs_within_a_sweep(stack: Stack, ann: Person, database: Connection) -> None:
    request = PackRequest(prefix=ann.upload({"a.txt": b"hello"}))
    last = asyncio.run(_stand_in_line_behind_jobs_that_end_unnoticed(stack, database, ann.user_id, request))
    assert _waits_for_minutes(database, last), "nothing but a sweep can wake it in time"
    stack.host.start()
    job = ann.wait_for_end(str(last.id))
    assert job["status"] == "succeeded"
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["succeeded"]


async def _stand_in_line_behind_jobs_that_end_unnoticed(
    stack: Stack, database: Connection, user_id: str, request: PackRequest
) -> QueuedJob:
    """Queue jobs of one line and run all but the last, as hosts do that die right after each success."""
    settings = stack.settings()
    store, queues = Database(settings["DATABASE_URL"]), StorageQueues(settings["QueuesConn"])
    repository = PostgresRepository(store)
    manager = QueueManager((), repository=repository, queues=queues)

    async def claim(job: QueuedJob) -> QueuedJob:
        claimed = await repository.claim(
            JobMessage.of(job),
            kind=Packer.kind,
            schema_version=Packer.schema_version,
            lease=timedelta(minutes=10),
            timeout=timedelta(minutes=10),
        )
        assert claimed is not None
        return claimed

    async def queue() -> QueuedJob:
        return (await manager.queue_job(OneAtATime, request, user_id=user_id)).job

    try:
        stack.host.stop()  # so that no job runs before all stand in line
        *jobs, last = [await queue() for _ in range(JOBS)]
        running = await claim(jobs.pop(0))
        stack.host.start()
        await asyncio.to_thread(wait_until, lambda: _waits_for_minutes(database, last), "the last one stands in line")
        stack.host.kill()
        while True:
            assert await repository.succeed(running, None) is not None
            if not jobs:
                return last
            running = await claim(jobs.pop(0))
    finally:
        await queues.close()
        await store.close()


def _waits_for_minutes(database: Connection, job: QueuedJob) -> bool:
    row = database.execute(
        "select status = 'pending' and parked_at is not null and next_send_at > now() + interval '3 minutes'"
        " from queued_jobs.job where id = %s",
        (job.id,),
    ).fetchone()
    assert row is not None
    return bool(row[0])
