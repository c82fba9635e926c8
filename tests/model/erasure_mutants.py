"""Guards of the statements that erase a user, each removed on purpose."""

from __future__ import annotations

from typing import cast

from queued_jobs.model import JobKey
from queued_jobs.postgres import PostgresRepository
from tests.contract.conftest import BOOM, HOUR, Helpers
from tests.model.contract_mutant import Mutant


async def run(jobs: Helpers, statement: str) -> set[JobKey]:
    database = cast("PostgresRepository", jobs.repository).database
    return {row["id"] for row in await database.rows(statement, {"user_id": "ann", "n": 10, "max_chunks": 10})}


async def only_ended_jobs_of_the_user_go(jobs: Helpers) -> None:
    await jobs.waiting()
    await jobs.repository.succeed(await jobs.running(), {"text": "done"})
    for user in ("ann", "ben"):
        await jobs.repository.fail(await jobs.running(user_id=user), BOOM, retry_in=None)
    scheduled = await jobs.running(idempotency_key="schedule:1")
    await jobs.repository.fail(scheduled, BOOM, retry_in=None)
    gone = await run(jobs, "erase")
    assert len(gone) == 1
    assert scheduled.id not in gone


async def only_results_of_the_user_are_taken_once(jobs: Helpers) -> None:
    for user in ("ann", "ben"):
        done = await jobs.repository.succeed(await jobs.running(user_id=user), {"text": "done"})
        assert done is not None
        await jobs.shift(done.id, next_send_at=-HOUR)
    without = await jobs.waiting()
    await jobs.shift(without.id, next_send_at=-HOUR)
    assert [len(await run(jobs, "erasing")) for _ in range(2)] == [1, 0]


_USER = ("user_id = %(user_id)s and", "%(user_id)s::text is not null and")

ERASURE_MUTANTS = {
    "jobs of others go": Mutant("erase", *_USER, only_ended_jobs_of_the_user_go),
    "unfinished jobs go": Mutant("erase", "finished_at is not null and ", "", only_ended_jobs_of_the_user_go),
    "a job is erased before its result": Mutant("erase", " and result is null", "", only_ended_jobs_of_the_user_go),
    "the latest occurrence is erased": Mutant(
        "erase", "idempotency_key is null or not", "true or not", only_ended_jobs_of_the_user_go
    ),
    "results of others are taken": Mutant("erasing", *_USER, only_results_of_the_user_are_taken_once),
    "jobs without results are taken": Mutant(
        "erasing", "result is not null and ", "", only_results_of_the_user_are_taken_once
    ),
    "results are taken twice at a time": Mutant(
        "erasing", "+ interval '1 minute'", "- interval '1 minute'", only_results_of_the_user_are_taken_once
    ),
}
