"""Messages are copied and forged while the system runs: every job runs once, and none is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import psycopg
import pytest
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

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

QUEUE, POISON = "packer", "packer-poison"
JOBS = 5

#: The host tries many messages at once, and again after a second instead of half a minute.
SOON_GIVES_UP = {
    f"AzureFunctionsJobHost__extensions__queues__{name}": value
    for name, value in (("batchSize", "32"), ("newBatchThreshold", "16"), ("visibilityTimeout", "00:00:01"))
}
#: Nothing sends a job again half a minute after its message was poisoned, while the test looks at it.
NO_SWEEP = {"AzureWebJobs.sweep.Disabled": "true"}


def queue_jobs(stack: Stack, ann: Person, *, hidden_for: timedelta = timedelta()) -> list[QueuedJob]:
    """Stop the host, and send the messages of some jobs, which the queue hides for that long."""
    request = PackRequest(prefix=ann.upload({"a.txt": b"hello"}))
    stack.host.stop()
    clear(stack, POISON)

    async def queued() -> list[QueuedJob]:
        settings = stack.settings()
        database, queues = Database(settings["DATABASE_URL"]), StorageQueues(settings["QueuesConn"])
        try:
            manager = QueueManager((), repository=PostgresRepository(database), queues=queues)
            handles = [
                await manager.queue_job(Packer, request, user_id=ann.user_id, delay=hidden_for) for _ in range(JOBS)
            ]
        finally:
            await queues.close()
            await database.close()
        return [handle.job for handle in handles]

    return asyncio.run(queued())


def clear(stack: Stack, queue: str) -> None:
    with QueueClient.from_connection_string(stack.settings()["QueuesConn"], queue) as client:
        client.clear_messages()


def put(stack: Stack, queue: str, jobs: Sequence[QueuedJob], *, copies: int) -> None:
    connection = stack.settings()["QueuesConn"]
    with QueueClient.from_connection_string(
        connection, queue, message_encode_policy=TextBase64EncodePolicy()
    ) as client:
        for job in jobs:
            for _ in range(copies):
                client.send_message(JobMessage.of(job).encode())


def count(stack: Stack, queue: str) -> int:
    """How many messages lie there, also those that are hidden or being worked on."""
    with QueueClient.from_connection_string(stack.settings()["QueuesConn"], queue) as client:
        return client.get_queue_properties().approximate_message_count or 0


def kept_messages(database: Connection, jobs: Sequence[QueuedJob]) -> list[int]:
    """How often each of the messages came that are kept for the admin."""
    rows = database.execute(
        "select copies from queued_jobs.rejected_message where queue = %s and body_start = any(%s)",
        (POISON, [JobMessage.of(job).encode() for job in jobs]),
    )
    return [copies for (copies,) in rows if isinstance(copies, int)]


def statuses(database: Connection, jobs: Sequence[QueuedJob]) -> list[tuple[object, ...]]:
    return database.execute(
        "select distinct status, poisoned_count, error->>'type' from queued_jobs.job where id = any(%s)",
        ([job.id for job in jobs],),
    ).fetchall()


def check_each_ran_once(database: Connection, jobs: Sequence[QueuedJob]) -> None:
    keys = [job.id for job in jobs]
    attempts = database.execute(
        "select outcome, count(*), count(distinct job_id) from queued_jobs.attempt where job_id = any(%s) group by 1",
        (keys,),
    ).fetchall()
    assert attempts == [("succeeded", JOBS, JOBS)]


def test_copies_of_each_message_while_the_database_is_away(
    stack: Stack, ann: Person, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stack.postgres is not None
    jobs = queue_jobs(stack, ann)
    put(stack, QUEUE, jobs, copies=6)
    database.close()
    stack.postgres.kill()
    for name, value in {**SOON_GIVES_UP, **NO_SWEEP}.items():
        monkeypatch.setenv(name, value)
    stack.host.spawn()
    try:
        wait_until(lambda: count(stack, POISON) >= 7 * JOBS, "the host has given up on every copy")
    finally:
        stack.postgres.start()
    stack.host.wait_until_ready()
    # some were tried without success on the poison queue too, and come back after ten minutes: these take their place
    clear(stack, POISON)
    put(stack, POISON, jobs, copies=7)
    wait_until(lambda: count(stack, POISON) == 0, "all of them were looked at")
    with psycopg.connect(stack.settings()["DATABASE_URL"], autocommit=True) as again:
        kept = kept_messages(again, jobs)
        assert len(kept) == JOBS, "one row for each body"
        assert min(kept) >= 7
        assert statuses(again, jobs) == [("pending", 1, None)]
        again.execute(
            "update queued_jobs.job set next_send_at = next_send_at - interval '1 hour' where finished_at is null"
        )
        monkeypatch.undo()
        stack.host.stop()
        stack.host.start()
        for job in jobs:
            assert ann.wait_for_end(str(job.id))["status"] == "succeeded"
        assert statuses(again, jobs) == [("succeeded", 1, None)]
        check_each_ran_once(again, jobs)
        assert len(kept_messages(again, jobs)) == JOBS


def test_forged_messages_on_the_poison_queue_right_after_the_start(
    stack: Stack, ann: Person, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = queue_jobs(stack, ann, hidden_for=timedelta(minutes=9))
    keys = [job.id for job in jobs]
    # due, and sent, while the queue still hides the messages
    database.execute("update queued_jobs.job set available_at = clock_timestamp() where id = any(%s)", (keys,))
    put(stack, POISON, jobs, copies=8)
    for name, value in NO_SWEEP.items():
        monkeypatch.setenv(name, value)
    stack.host.start()
    wait_until(lambda: count(stack, POISON) == 0, "all of them were looked at")
    assert statuses(database, jobs) == [("pending", 1, None)]
    put(stack, QUEUE, jobs, copies=1)  # as when the hidden ones come
    for job in jobs:
        assert ann.wait_for_end(str(job.id))["status"] == "succeeded"
    assert statuses(database, jobs) == [("succeeded", 1, None)]
    check_each_ran_once(database, jobs)
    assert kept_messages(database, jobs) == [8] * JOBS
