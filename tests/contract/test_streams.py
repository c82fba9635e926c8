"""What an attempt appends is kept once, in order, with numbers that a later attempt continues."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from uuid import uuid4

import pytest

from queued_jobs import QueuedJob
from queued_jobs.chunks import CHUNK_OVERHEAD, MAX_CHUNK_BYTES, NewChunk
from tests.contract.conftest import HOUR, Helpers
from tests.contract.test_resume import again, lose

LARGE = 1024 * 1024
LATE = 500


async def append(
    jobs: Helpers, job: QueuedJob, *texts: str, written: int = 0, max_size: int = LARGE, topic: str = "log"
) -> int | None:
    chunks = [NewChunk(topic=topic, text=text) for text in texts]
    segment = await jobs.repository.append(job, chunks, written=written, max_size=max_size)
    return None if segment is None else segment.last


async def texts(jobs: Helpers, job: QueuedJob) -> list[str]:
    return [chunk.text for chunk in await jobs.chunks(job.id)]


async def numbers(jobs: Helpers, job: QueuedJob) -> list[int]:
    return [chunk.seq for chunk in await jobs.chunks(job.id)]


async def test_chunks_are_kept_in_order(jobs: Helpers) -> None:
    job, other = await jobs.running(), await jobs.running()
    assert await append(jobs, job, "a", "b") == 2
    assert await append(jobs, other, "x") == 1
    marked = NewChunk(topic="other-topic", text="c", skipped=7)
    assert await jobs.repository.append(job, [marked], written=2, max_size=LARGE) is not None
    found = await jobs.chunks(job.id)
    assert [(one.seq, one.topic, one.text, one.skipped) for one in found] == [
        *((1, "log", "a", 0), (2, "log", "b", 0), (3, "other-topic", "c", 7)),
    ]
    assert all(one.emitted_at.tzinfo is not None for one in found)
    assert await texts(jobs, other) == ["x"]


async def test_a_batch_that_is_sent_twice_is_kept_once(jobs: Helpers) -> None:
    job = await jobs.running()
    assert await append(jobs, job, "a", "b") == 2
    assert await append(jobs, job, "a", "b") == 2
    assert await append(jobs, job, "c", written=2) == 3
    assert await append(jobs, job, "c", written=2) == 3
    assert await append(jobs, job, "d", written=3) == 4
    assert await texts(jobs, job) == ["a", "b", "c", "d"]


async def test_what_was_appended_is_returned_as_readers_get_it(jobs: Helpers) -> None:
    job = await jobs.running()
    new = [NewChunk(topic="a", text="x"), NewChunk(topic="b", text="", skipped=3)]
    first = await jobs.repository.append(job, new, written=0, max_size=LARGE)
    second = await jobs.repository.append(job, new[:1], written=2, max_size=LARGE)
    assert first is not None
    assert second is not None
    assert [*first.chunks, *second.chunks] == await jobs.chunks(job.id)
    assert [(one.id, one.after, one.last) for one in (first, second)] == [(job.id, 0, 2), (job.id, 2, 3)]
    again = await jobs.repository.append(job, new[:1], written=2, max_size=LARGE)
    assert again == second.bare()


@pytest.mark.parametrize("end", ["lost", "released", "lost first"])
async def test_the_next_attempt_continues_the_numbers(jobs: Helpers, end: str) -> None:
    job = await jobs.running()
    if end != "lost first":
        await append(jobs, job, "a", "b")
    waiting = await jobs.repository.release(job) if end == "released" else await lose(jobs, job)
    assert waiting is not None
    job = await again(jobs, waiting)
    await append(jobs, job, "c")
    await append(jobs, job, "d", written=1)
    assert await numbers(jobs, job) == list(range(1, 5 if end != "lost first" else 3))
    assert (await texts(jobs, job))[-2:] == ["c", "d"]


async def test_a_loser_appends_nothing(jobs: Helpers) -> None:
    late = await jobs.running()
    assert await append(jobs, late, "a") == 1
    rescued = await lose(jobs, late)
    assert await append(jobs, late, "b", written=1) is None
    winner = await again(jobs, rescued)
    assert [await append(jobs, late, "late", written=number) for number in range(LATE)] == [None] * LATE
    forged = dataclasses.replace(winner, lease_token=uuid4())
    assert await append(jobs, forged, "forged") is None
    assert await append(jobs, winner, "c") == 2
    await jobs.repository.succeed(winner, None)
    assert await append(jobs, winner, "d", written=1) is None
    assert await texts(jobs, winner) == ["a", "c"]


async def test_the_oldest_chunks_go_and_their_numbers_are_not_used_again(jobs: Helpers) -> None:
    job = await jobs.running()
    size = 10 * (CHUNK_OVERHEAD + 1)
    for number in range(25):
        assert await append(jobs, job, chr(97 + number), written=number, max_size=size) == number + 1
    assert await numbers(jobs, job) == list(range(16, 26))
    assert await append(jobs, job, "x" * (3 * CHUNK_OVERHEAD), written=25, max_size=size) == 26
    assert await numbers(jobs, job) == list(range(20, 27))
    job = await again(jobs, await lose(jobs, job))
    many = ["y" * CHUNK_OVERHEAD] * 5
    assert await append(jobs, job, *many, max_size=size) == 31
    assert await numbers(jobs, job) == list(range(27, 32))


async def test_a_large_chunk_takes_the_place_of_many_small_ones(jobs: Helpers) -> None:
    job = await jobs.running()
    await append(jobs, job, *([""] * 2_000), max_size=MAX_CHUNK_BYTES * 2)
    await append(jobs, job, "ä" * (MAX_CHUNK_BYTES // 2), written=2_000, max_size=MAX_CHUNK_BYTES * 2)
    found = await jobs.chunks(job.id)
    assert found[-1].seq == 2_001
    kept = MAX_CHUNK_BYTES // CHUNK_OVERHEAD - 1
    assert [one.seq for one in found[:-1]] == list(range(2_001 - kept, 2_001))


async def test_appending_is_nothing_that_a_reader_of_the_job_sees(jobs: Helpers) -> None:
    job = await jobs.running()
    await append(jobs, job, "a")
    assert await jobs.row(job.id) == job


async def test_concurrent_jobs_do_not_mix(jobs: Helpers) -> None:
    running = [await jobs.running() for _ in range(20)]

    async def write(job: QueuedJob) -> None:
        for number in range(10):
            assert await append(jobs, job, f"{job.id} {number}", written=number) == number + 1

    await asyncio.gather(*map(write, running))
    for job in running:
        assert await texts(jobs, job) == [f"{job.id} {number}" for number in range(10)]


async def test_what_is_rolled_back_was_not_appended(jobs: Helpers) -> None:
    job = await jobs.running()
    await append(jobs, job, "a")
    new = [NewChunk(topic="log", text="b")]
    with contextlib.suppress(KeyError):
        async with jobs.repository.transaction() as conn:
            assert await jobs.repository.append(job, new, written=1, max_size=LARGE, conn=conn) is not None
            raise KeyError
    assert await texts(jobs, job) == ["a"]
    async with jobs.repository.transaction() as conn:
        assert await jobs.repository.append(job, new, written=1, max_size=LARGE, conn=conn) is not None
    assert await texts(jobs, job) == ["a", "b"]


async def test_chunks_go_with_their_job(jobs: Helpers) -> None:
    job, other = await jobs.running(), await jobs.running()
    for one in (job, other):
        await append(jobs, one, "a")
    await jobs.repository.succeed(job, None)
    await jobs.repository.tally(limit=10)
    await jobs.shift(job.id, finished_at=-2 * HOUR)
    assert await jobs.repository.prune(older_than=HOUR, limit=10) == 1
    assert await jobs.chunks(job.id) == []
    assert await texts(jobs, other) == ["a"]
