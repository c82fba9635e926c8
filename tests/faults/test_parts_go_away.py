"""Parts of the running system die, hang or stay away, and every job still ends once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from tests.support.client import Person
from tests.support.held_jobs import HeldJob
from tests.support.waiting import wait_until
from tools.local_stack.stack import Stack

Database = psycopg.Connection[tuple[object, ...]]


def let_time_pass(database: Database) -> None:
    """Bring what waits for a lease, a hold or a delay to its time."""
    database.execute(
        "update queued_jobs.job set lease_until = lease_until - interval '1 hour' where status = 'running'"
    )
    database.execute(
        "update queued_jobs.job set next_send_at = next_send_at - interval '1 hour' where finished_at is null"
    )


def test_the_host_is_killed_in_mid_job(stack: Stack, ann: Person, database: Database) -> None:
    held = HeldJob(stack, ann)
    stack.host.kill()
    held.let_go()
    let_time_pass(database)
    stack.host.start()
    job = ann.wait_for_end(held.key)
    assert (job["status"], job["attempt"]) == ("succeeded", 2)
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["lost", "succeeded"]
    assert held.results() == [job["result"]["blob"]], "the first attempt published nothing"
    assert ann.download(held.key) == held.files


def test_the_host_is_stopped_in_mid_job(stack: Stack, ann: Person) -> None:
    held = HeldJob(stack, ann)
    with ThreadPoolExecutor() as pool:
        stopped = pool.submit(stack.host.stop)
        wait_until(lambda: _is_draining(stack) or stopped.done(), "the host takes no more work")
        held.let_go()
        stopped.result()
    stack.host.start()
    job = ann.wait_for_end(held.key)
    assert job["status"] == "succeeded"
    outcomes = Counter(attempt["outcome"] for attempt in job["attempts"])
    assert outcomes["succeeded"] == 1
    assert outcomes["lost"] == 0, "an orderly stop gives the job back, or lets it end"


def _is_draining(stack: Stack) -> bool:
    return any("stopping: accepting no new work" in line for line in stack.host.last_lines)


def test_the_hub_is_away_during_a_job(stack: Stack, ann: Person) -> None:
    stack.hub.kill()
    try:
        key = ann.start(ann.upload({"a.txt": b"hello"}))
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


def test_postgres_crashes_during_a_job(stack: Stack, ann: Person) -> None:
    assert stack.postgres is not None
    held = HeldJob(stack, ann)
    stack.postgres.kill()
    stack.postgres.start()
    wait_until(lambda: ann.status("GET", "/api/health") == 200, "the app has its database again")
    held.let_go()
    job = ann.wait_for_end(held.key)
    assert job["status"] == "succeeded"
    assert len(held.results()) == 1


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
    wait_until(lambda: _rejected(database) == {("packer", "Not a job message"): 2}, "two messages are kept")
    with QueueClient.from_connection_string(settings, "packer-poison") as poison:
        wait_until(lambda: poison.get_queue_properties().approximate_message_count == 1, "one was moved by the host")


def _rejected(database: Database) -> Counter[tuple[object, ...]]:
    return Counter(database.execute("select queue, left(reason, 17) from queued_jobs.rejected_message").fetchall())
