"""A migration of the next version runs while the hosts of this one work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from azure.storage.queue import QueueClient

from tests.support.alterations import alterations
from tests.support.client import Person
from tools.local_stack.stack import Stack

PEOPLE = 6
#: As many as each of them may have at once.
JOBS_EACH = 5

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def people(stack: Stack) -> Iterator[list[Person]]:
    with ExitStack() as stack_of_people:
        yield [stack_of_people.enter_context(Person(stack.page_url, stack.invite)) for _ in range(PEOPLE)]


def start_jobs(people: list[Person], count: int) -> list[tuple[Person, str]]:
    prefixes = {person.user_id: person.upload({"a.txt": b"hello"}) for person in people}
    return [(person, person.start(prefixes[person.user_id])) for _ in range(count) for person in people]


def poisoned(stack: Stack) -> int:
    with QueueClient.from_connection_string(stack.settings()["QueuesConn"], "packer-poison") as queue:
        return queue.get_queue_properties().approximate_message_count or 0


@pytest.fixture(autouse=True)
def prepared(people: list[Person]) -> None:
    """The host's connections have run their statements so often that psycopg has prepared them."""
    for _ in range(2):
        assert_all_end_once(start_jobs(people, JOBS_EACH))


def test_a_column_is_added_while_jobs_run(stack: Stack, people: list[Person], database: Connection) -> None:
    waiting = start_jobs(people, JOBS_EACH - 1)
    database.execute("alter table queued_jobs.job add column added_while_jobs_run text")
    assert_all_end_once(waiting + start_jobs(people, 1))
    assert poisoned(stack) == 0


def test_everything_is_altered_while_jobs_run(stack: Stack, people: list[Person], database: Connection) -> None:
    jobs = []
    for _, changes in alterations(database):
        people.append(people.pop(0))
        jobs += start_jobs(people[:1], 1)
        for change in changes:
            database.execute(change)
    assert_all_end_once(jobs)
    assert poisoned(stack) == 0


def assert_all_end_once(jobs: list[tuple[Person, str]]) -> None:
    for person, key in jobs:
        job = person.wait_for_end(key)
        assert job["status"] == "succeeded"
        assert [attempt["outcome"] for attempt in job["attempts"]] == ["succeeded"]
