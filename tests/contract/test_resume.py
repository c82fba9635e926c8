"""What an attempt has saved is what the next one begins with, and an attempt that has advanced does not count."""

from __future__ import annotations

import contextlib
import random
from datetime import timedelta
from typing import Any

import pytest

from queued_jobs import JobStatus, QueuedJob
from queued_jobs.errors import InvalidCursor
from queued_jobs.resume import as_json
from tests.contract.conftest import BOOM, HOUR, Helpers

LOST = 3


async def save(jobs: Helpers, job: QueuedJob, cursor: Any, *, max_resumes: int = 100) -> bool:
    return await jobs.repository.save(job, {"cursor": cursor}, max_resumes=max_resumes)


async def lose(jobs: Helpers, job: QueuedJob) -> QueuedJob:
    await jobs.shift(job.id, lease_until=-HOUR)
    (rescued,) = await jobs.repository.rescue(limit=10)
    return rescued


async def again(jobs: Helpers, job: QueuedJob) -> QueuedJob:
    claimed = await jobs.claim(job)
    assert claimed is not None
    return claimed


async def test_the_next_attempt_gets_what_was_saved_last(jobs: Helpers) -> None:
    job = await jobs.running()
    assert job.saved is None
    assert await save(jobs, job, 1)
    assert await save(jobs, job, {"row": 7, "name": "ä"})
    job = await again(jobs, await lose(jobs, job))
    assert job.saved == {"cursor": {"row": 7, "name": "ä"}}
    job = await jobs.repository.release(job) or job
    assert (await again(jobs, job)).saved == {"cursor": {"row": 7, "name": "ä"}}


LEAVES = (
    *("", "a\0", "\ud83d", "\ud83d\ude00", "\U0001f600", "\\u0000", '"', "\x7f", "\u2028", "\ufffe", "ä" * 300),
    *(None, True, 0, -0.0, 0.1, 1e300, 5e-324, 2**53 + 1, -(10**400), 10**5000, float("nan"), float("inf")),
)
#: Deeper than any parser of JSON goes, and than a body needs.
DEPTHS = (1, 50, 900, 5_000)


def values() -> list[Any]:
    """Each leaf as it is, and in random surroundings; and nested ones."""
    dice = random.Random(20)

    def any_value(depth: int) -> Any:
        if depth == 0:
            return dice.choice(LEAVES)
        parts = [any_value(depth - 1) for _ in range(dice.randrange(1, 3))]
        return parts if dice.random() < 0.5 else {str(dice.choice(LEAVES[:11])): part for part in parts}

    nested = []
    for depth in DEPTHS:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        nested.append(value)
    return [
        *LEAVES,
        *({leaf: 1} for leaf in LEAVES[:11]),
        *(any_value(dice.randrange(1, 4)) for _ in range(100)),
        *nested,
    ]


async def test_a_value_is_refused_at_once_or_read_as_it_was(jobs: Helpers) -> None:
    job = await jobs.running()
    refused = 0
    for value in values():
        try:
            cursor = as_json(value)
        except InvalidCursor:
            refused += 1
            continue
        assert await save(jobs, job, cursor)
        job = await again(jobs, await jobs.repository.release(job) or job)
        assert job.saved == {"cursor": cursor}
    assert 10 < refused < len(values()) - 50


async def test_a_save_is_nothing_that_a_reader_sees(jobs: Helpers) -> None:
    job = await jobs.running()
    await save(jobs, job, 1)
    assert await jobs.row(job.id) == job


async def test_progress_stays_while_a_job_that_saved_waits_for_its_next_attempt(jobs: Helpers) -> None:
    saved, other = await jobs.running(), await jobs.running()
    await save(jobs, saved, 1)
    for job in (saved, other):
        await jobs.repository.heartbeat(job, lease=HOUR, progress=0.5, message="half")
        waiting = await jobs.repository.release(job)
        assert waiting is not None
        assert (await again(jobs, waiting)).progress == (0.5 if job is saved else None)


async def test_a_loser_saves_nothing(jobs: Helpers) -> None:
    late = await jobs.running()
    await save(jobs, late, 1)
    rescued = await lose(jobs, late)
    assert not await save(jobs, late, 2)
    winner = await again(jobs, rescued)
    assert not await save(jobs, late, 3)
    assert winner.saved == {"cursor": 1}
    await jobs.repository.succeed(winner, None)
    assert not await save(jobs, winner, 4)


async def test_lost_attempts_that_advanced_do_not_count(jobs: Helpers) -> None:
    job = await jobs.running(max_attempts=2)
    for number in range(2 * LOST):
        await save(jobs, job, number)
        rescued = await lose(jobs, job)
        assert (rescued.status, rescued.tries, rescued.lost_count) == (JobStatus.RETRYING, 0, 0)
        assert rescued.error is not None
        assert rescued.error.type == "worker-lost"
        job = await again(jobs, rescued)
    assert (job.attempt, job.tries) == (2 * LOST + 1, 1)
    assert [one.outcome for one in await jobs.attempts(job.id)] == ["lost"] * 2 * LOST + [None]


async def test_saving_the_same_again_is_no_advance(jobs: Helpers) -> None:
    job = await jobs.running()
    await save(jobs, job, 1)
    job = await again(jobs, await lose(jobs, job))
    await save(jobs, job, 1)
    for lost in range(1, LOST + 1):
        rescued = await lose(jobs, job)
        assert rescued.lost_count == lost
        if not rescued.status.is_final:
            job = await again(jobs, rescued)
    assert rescued.status is JobStatus.ABORTED


async def test_no_job_resumes_for_ever(jobs: Helpers) -> None:
    job = await jobs.running(max_attempts=2)
    ends: list[QueuedJob] = []
    for number in range(10):
        await save(jobs, job, number, max_resumes=2)
        ends.append(await lose(jobs, job))
        if ends[-1].status.is_final:
            break
        job = await again(jobs, ends[-1])
    assert [end.tries for end in ends] == [0, 0, 1, 2]
    assert ends[-1].status is JobStatus.ABORTED


@pytest.mark.parametrize("late", ["timeout", "timeout and lost"])
async def test_a_timeout_counts_and_a_cancel_ends(jobs: Helpers, late: str) -> None:
    job = await jobs.running(max_attempts=1)
    await save(jobs, job, 1)
    if late == "timeout":
        await jobs.shift(job.id, deadline_at=-HOUR)
        (ended,) = await jobs.repository.rescue(limit=10)
        assert ended.status is JobStatus.FAILED
    else:
        await jobs.set(job.id, cancel_requested=True)
        ended = await lose(jobs, job)
        assert ended.status is JobStatus.CANCELLED
    assert ended.finished_at is not None


@pytest.mark.parametrize("resume", [False, True])
async def test_an_error_counts_unless_the_kind_resumes_after_errors(jobs: Helpers, resume: bool) -> None:
    job = await jobs.running(max_attempts=1)
    await save(jobs, job, 1)
    failed = await jobs.repository.fail(job, BOOM, retry_in=timedelta(), resume=resume)
    assert failed is not None
    assert failed.status is (JobStatus.RETRYING if resume else JobStatus.FAILED)
    assert (failed.finished_at is None) is resume
    assert failed.tries == (0 if resume else 1)
    assert failed.error == BOOM


@pytest.mark.parametrize("reason", ["permanent", "no advance", "too often"])
async def test_resuming_after_errors_has_its_limits(jobs: Helpers, reason: str) -> None:
    job = await jobs.running(max_attempts=1)
    if reason != "no advance":
        await save(jobs, job, 1, max_resumes=0 if reason == "too often" else 9)
    retry_in = None if reason == "permanent" else timedelta()
    failed = await jobs.repository.fail(job, BOOM, retry_in=retry_in, resume=True)
    assert failed is not None
    assert failed.status is JobStatus.FAILED


async def test_what_is_rolled_back_was_not_saved(jobs: Helpers) -> None:
    job = await jobs.running()
    await save(jobs, job, 1)
    with contextlib.suppress(KeyError):
        async with jobs.repository.transaction() as conn:
            assert await jobs.repository.save(job, {"cursor": 2}, max_resumes=9, conn=conn)
            raise KeyError
    async with jobs.repository.transaction() as conn:
        other = await jobs.running()
        assert await jobs.repository.save(other, {"cursor": 3}, max_resumes=9, conn=conn)
    assert (await again(jobs, await lose(jobs, job))).saved == {"cursor": 1}
    assert (await again(jobs, await lose(jobs, other))).saved == {"cursor": 3}
