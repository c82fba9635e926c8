"""Messages are copied and forged while the system runs: every job runs once, and none is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
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


@pytest.fixture
def impatient_host(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The host tries many messages at once, and again after a second instead of half a minute, so it soon gives up."""
    for name, value in (("batchSize", "32"), ("newBatchThreshold", "16"), ("visibilityTimeout", "00:00:01")):
        monkeypatch.setenv(f"AzureFunctionsJobHost__extensions__queues__{name}", value)
    stack.host.stop()
    stack.host.start()
    yield
    monkeypatch.undo()
    stack.host.stop()
    stack.host.start()


@pytest.fixture
def jobs(stack: Stack, ann: Person) -> list[QueuedJob]:
    """Some jobs whose messages have been sent, and which the queue hides for some more seconds."""
    with QueueClient.from_connection_string(stack.settings()["QueuesConn"], POISON) as left:
        left.clear_messages()
    request = PackRequest(prefix=ann.upload({"a.txt": b"hello"}))

    async def queued() -> list[QueuedJob]:
        settings = stack.settings()
        database, queues = Database(settings["DATABASE_URL"]), StorageQueues(settings["QueuesConn"])
        try:
            manager = QueueManager((), repository=PostgresRepository(database), queues=queues)
            handles = [
                await manager.queue_job(
                    Packer,
                    request,
                    user_id=ann.user_id,
                    delay=timedelta(seconds=6),
                )
                for _ in range(JOBS)
            ]
        finally:
            await queues.close()
            await database.close()
        return [handle.job for handle in handles]

    return asyncio.run(queued())


def put(stack: Stack, queue: str, jobs: Sequence[QueuedJob], *, copies: int, hidden_for: int = 0) -> None:
    connection = stack.settings()["QueuesConn"]
    with QueueClient.from_connection_string(
        connection, queue, message_encode_policy=TextBase64EncodePolicy()
    ) as client:
        for job in jobs:
            for _ in range(copies):
                client.send_message(JobMessage.of(job).encode(), visibility_timeout=hidden_for)


def count(stack: Stack, queue: str) -> int:
    """How many messages lie there, also those that are hidden or being worked on."""
    with QueueClient.from_connection_string(stack.settings()["QueuesConn"], queue) as client:
        return client.get_queue_properties().approximate_message_count or 0


def each_looked_at(database: Connection, jobs: Sequence[QueuedJob], *, copies: int) -> bool:
    """Whether at least this many messages of each of these jobs reached the poison queue's function."""
    kept = kept_messages(database, jobs)
    assert len(kept) <= JOBS, "one row for each body"
    return len(kept) == JOBS and min(kept) >= copies


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
    stack: Stack, impatient_host: None, ann: Person, database: Connection, jobs: list[QueuedJob]
) -> None:
    assert stack.postgres is not None
    put(stack, QUEUE, jobs, copies=6, hidden_for=6)
    database.close()
    stack.postgres.kill()
    try:
        wait_until(lambda: count(stack, POISON) >= 7 * JOBS, "the host has given up on every copy")
    finally:
        stack.postgres.start()
    wait_until(lambda: ann.status("GET", "/api/health") == 200, "the app has its database again")
    # some were tried without success on the poison queue too, and come back after ten minutes: these take their place
    put(stack, POISON, jobs, copies=7)
    with psycopg.connect(stack.settings()["DATABASE_URL"], autocommit=True) as again:
        wait_until(lambda: each_looked_at(again, jobs, copies=7), "all of them were looked at")
        assert statuses(again, jobs) == [("pending", 1, None)]
        again.execute(
            "update queued_jobs.job set next_send_at = next_send_at - interval '1 hour' where finished_at is null"
        )
        for job in jobs:
            assert ann.wait_for_end(str(job.id))["status"] == "succeeded"
        assert statuses(again, jobs) == [("succeeded", 1, None)]
        check_each_ran_once(again, jobs)
        assert len(kept_messages(again, jobs)) == JOBS


def test_forged_messages_on_the_poison_queue_right_after_the_start(
    stack: Stack, ann: Person, database: Connection, jobs: list[QueuedJob]
) -> None:
    keys = [job.id for job in jobs]
    # due, and sent, while the queue still hides the messages
    database.execute("update queued_jobs.job set available_at = clock_timestamp() where id = any(%s)", (keys,))
    put(stack, POISON, jobs, copies=8)
    wait_until(lambda: each_looked_at(database, jobs, copies=8), "all of them were looked at")
    assert statuses(database, jobs) in ([("pending", 1, None)], [("succeeded", 1, None)])
    for job in jobs:
        assert ann.wait_for_end(str(job.id))["status"] == "succeeded"
    check_each_ran_once(database, jobs)
    assert kept_messages(database, jobs) == [8] * JOBS
