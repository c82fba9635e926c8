"""Jobs as they come into the store, and the keys that hold a second one off."""

from __future__ import annotations

from datetime import timedelta

import pytest

from queued_jobs import JobStatus
from queued_jobs.errors import JobConflict, KeyReused, StoreRefused
from tests.contract.conftest import Helpers


class TestAdd:
    async def test_a_new_job_waits_and_owes_its_message(self, jobs: Helpers) -> None:
        added = await jobs.add()
        job = added.job
        assert not added.duplicate
        assert (job.status, job.attempt, job.version) == (JobStatus.PENDING, 0, 1)
        assert (job.dispatch_gen, job.sent_gen) == (1, 0)
        assert job.created_at.utcoffset() == timedelta()
        assert await jobs.row(job.id) == job
        assert job.user_name is None
        assert (await jobs.add(user_name="Ann")).job.user_name == "Ann"

    async def test_the_same_idempotency_key_returns_the_first_job(self, jobs: Helpers) -> None:
        first = await jobs.add(idempotency_key="k")
        again = await jobs.add(idempotency_key="k")
        assert again.duplicate
        assert again.job.id == first.job.id

    async def test_an_idempotency_key_holds_after_the_end(self, jobs: Helpers) -> None:
        job = await jobs.running(idempotency_key="k")
        await jobs.repository.succeed(job, None)
        assert (await jobs.add(idempotency_key="k")).job.id == job.id

    async def test_an_idempotency_key_with_another_request_is_refused(self, jobs: Helpers) -> None:
        await jobs.add(idempotency_key="k")
        with pytest.raises(KeyReused):
            await jobs.add(idempotency_key="k", request={"n": 2})

    async def test_what_was_asked_counts_and_not_what_defaults_made_of_it(self, jobs: Helpers) -> None:
        first = await jobs.add(idempotency_key="k", asked="a")
        assert (await jobs.add(idempotency_key="k", asked="a", request={"n": 2})).job == first.job
        for asked in ("b", None):
            with pytest.raises(KeyReused):
                await jobs.add(idempotency_key="k", asked=asked, request={"n": 2})
        assert (await jobs.add(idempotency_key="k", asked="b")).duplicate

    async def test_older_code_left_no_note_of_what_was_asked(self, jobs: Helpers) -> None:
        await jobs.add(idempotency_key="k")
        assert (await jobs.add(idempotency_key="k", asked="a")).duplicate
        with pytest.raises(KeyReused):
            await jobs.add(idempotency_key="k", asked="a", request={"n": 2})

    @pytest.mark.parametrize("other", [{"user_id": "bob"}, {"kind": "other"}])
    async def test_idempotency_keys_are_apart_by_user_and_kind(self, jobs: Helpers, other: dict[str, str]) -> None:
        await jobs.add(idempotency_key="k")
        assert not (await jobs.add(idempotency_key="k", **other)).duplicate

    async def test_a_unique_key_holds_while_the_job_lives(self, jobs: Helpers) -> None:
        job = await jobs.running(unique_key="u")
        assert (await jobs.add(unique_key="u", request={"n": 2})).job.id == job.id
        await jobs.repository.succeed(job, None)
        assert not (await jobs.add(unique_key="u")).duplicate

    async def test_another_users_unique_key_is_a_conflict_that_shows_nothing(self, jobs: Helpers) -> None:
        job = await jobs.waiting(unique_key="u")
        with pytest.raises(JobConflict) as caught:
            await jobs.add(unique_key="u", user_id="bob")
        assert str(job.id) not in str(caught.value)

    @pytest.mark.parametrize("value", ["nul \0", "half \ud800", float("nan"), float("inf")])
    async def test_what_cannot_be_stored_is_refused(self, jobs: Helpers, value: object) -> None:
        with pytest.raises(StoreRefused):
            await jobs.add(request={"n": value})
