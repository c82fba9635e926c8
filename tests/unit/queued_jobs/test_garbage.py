"""Messages that are not job messages, and messages that the host has poisoned."""

from __future__ import annotations

import pytest

from queued_jobs.message import JobMessage
from tests.unit.queued_jobs.conftest import Demo, World


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{}",
        b"[]",
        b'"x"',
        b"null",
        b'{"v":2,"id":"01a20f71-90cb-7027-842a-5ce2fd999aaa","gen":1}',
        b'{"v":1,"id":"1","gen":1}',
        b'{"v":1,"id":5,"gen":1}',
        b'{"v":1,"id":"01a20f71-90cb-7027-842a-5ce2fd999aaa","gen":true}',
        b'{"v":1,"id":"01a20f71-90cb-7027-842a-5ce2fd999aaa","gen":9223372036854775808}',
        b'{"v":1,"id":"01a20f71-90cb-7027-842a-5ce2fd999aaa","gen":-1}',
        b"[" * 100_000,
        b"x" * 65_536,
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_it_is_kept_and_acknowledged(world: World, body: bytes) -> None:
    await world.runner().receive(body)
    ((queue, kept, reason),) = world.repository.rejected
    assert (queue, kept) == ("demo", body)
    assert reason.startswith("Not a job message")


async def test_poison_wakes_the_job_again(world: World) -> None:
    job = await world.queued()
    await world.runner().receive_poison(JobMessage.of(job).encode().encode())
    row = world.row(job)
    assert (row.poisoned_count, row.sent_gen) == (1, 0)
    assert world.repository.rejected[0][0] == "demo-poison"


async def test_copies_of_a_poison_message_are_kept_once(world: World) -> None:
    job = await world.queued()
    for _ in range(8):
        await world.runner().receive_poison(JobMessage.of(job).encode().encode())
    assert (world.row(job).poisoned_count, len(world.repository.rejected)) == (1, 1)


async def test_a_message_on_another_kinds_queue_touches_no_job(world: World) -> None:
    class Other(Demo):
        kind = "other"
        queue = "other"

    job = await world.queued()
    body = JobMessage.of(job).encode().encode()
    before = world.row(job)
    other = world.runner(of=Other)
    await other.receive(body)
    await other.receive_poison(body)
    assert world.row(job) == before


async def test_poison_that_names_no_job_is_kept(world: World) -> None:
    await world.runner().receive_poison(b"garbage")
    assert len(world.repository.rejected) == 1
