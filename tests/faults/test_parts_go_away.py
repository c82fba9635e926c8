"""Parts of the running system die, hang or stay away, and every job still ends once."""

from __future__ import annotations

import random
from collections import Counter
from uuid import uuid4

import psycopg
import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from tests.support.client import Person
from tests.support.waiting import wait_until
from tools.local_stack.stack import Stack

Database = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def large_files() -> dict[str, bytes]:
    """Takes long enough to zip for something to happen meanwhile."""
    return {f"{number}.bin": random.Random(number).randbytes(12_000_000) for number in range(4)}


def running(job: dict[str, object]) -> bool:
    return job["status"] == "running"


def let_time_pass(database: Database) -> None:
    """Make everything due that waits for a lease, a hold or a delay."""
    database.execute(
        "update queued_jobs.job set lease_until = lease_until - interval '1 hour' where status = 'running'"
    )
    database.execute(
        "update queued_jobs.job set next_send_at = next_send_at - interval '1 hour' where finished_at is null"
    )


def results(stack: Stack, key: str) -> list[str]:
    service = BlobServiceClient.from_connection_string(stack.settings()["BlobsConn"])
    with service:
        return [blob.name for blob in service.get_container_client("results").list_blobs(key)]


def test_the_host_is_killed_in_mid_job(
    stack: Stack, ann: Person, database: Database, large_files: dict[str, bytes]
) -> None:
    key = ann.start(ann.upload(large_files))
    ann.wait(key, running)
    stack.host.kill()
    let_time_pass(database)
    stack.host.start()
    job = ann.wait_for_end(key)
    assert (job["status"], job["attempt"]) == ("succeeded", 2)
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["lost", "succeeded"]
    assert results(stack, key) == [job["result"]["blob"]], "the first attempt published nothing"
    assert ann.download(key) == large_files


def test_the_host_is_stopped_in_mid_job(stack: Stack, ann: Person, large_files: dict[str, bytes]) -> None:
    key = ann.start(ann.upload(large_files))
    ann.wait(key, running)
    stack.host.stop()
    stack.host.start()
    job = ann.wait_for_end(key)
    assert job["status"] == "succeeded"
    outcomes = Counter(attempt["outcome"] for attempt in job["attempts"])
    assert outcomes["succeeded"] == 1
    assert outcomes["lost"] == 0, "an orderly stop gives the job back, or lets it end"


def test_the_hub_is_away_during_a_job(stack: Stack, ann: Person, large_files: dict[str, bytes]) -> None:
    stack.hub.kill()
    try:
        key = ann.start(ann.upload(large_files))
        assert ann.wait_for_end(key)["status"] == "succeeded"
    finally:
        stack.hub.start()


def test_the_queue_is_away_at_the_start(stack: Stack, ann: Person, database: Database) -> None:
    prefix = ann.upload({"a.txt": b"hello"})
    stack.azurite.stop()  # killed, it would forget the upload: it writes to disk every few seconds
    try:
        key = ann.start(prefix)
        assert ann.job(key)["status"] == "pending"
    finally:
        stack.azurite.start()
    let_time_pass(database)
    assert ann.wait_for_end(key)["status"] == "succeeded"
    assert ann.download(key) == {"a.txt": b"hello"}


def test_postgres_crashes_during_a_job(stack: Stack, ann: Person, large_files: dict[str, bytes]) -> None:
    assert stack.postgres is not None
    key = ann.start(ann.upload(large_files))
    ann.wait(key, running)
    stack.postgres.kill()
    stack.postgres.start()
    wait_until(lambda: ann.status("GET", "/api/health") == 200, "the app has its database again")
    job = ann.wait_for_end(key)
    assert job["status"] == "succeeded"
    assert len(results(stack, key)) == 1


def test_garbage_on_the_queue_is_kept_and_stops_nobody(stack: Stack, ann: Person, database: Database) -> None:
    settings = stack.settings()["QueuesConn"]
    policy = TextBase64EncodePolicy()
    with QueueClient.from_connection_string(settings, "packer", message_encode_policy=policy) as queue:
        for text in ("{}", "[" * 10_000, f'{{"v":1,"id":"{uuid4()}","gen":1}}'):
            queue.send_message(text)
    with QueueClient.from_connection_string(settings, "packer") as queue:
        queue.send_message("not base64 at all!")  # which the host moves to the poison queue without calling anybody
    key = ann.start(ann.upload({"a.txt": b"hello"}))
    assert ann.wait_for_end(key)["status"] == "succeeded"
    rows = database.execute("select queue, left(reason, 17) from queued_jobs.rejected_message").fetchall()
    assert Counter(rows) == {("packer", "Not a job message"): 2}
    with QueueClient.from_connection_string(settings, "packer-poison") as poison:
        assert poison.get_queue_properties().approximate_message_count == 1
