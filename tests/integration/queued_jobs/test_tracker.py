"""The bell's view, and what its buttons do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from uuid_utils.compat import uuid7

from queued_jobs import JobStatus, QueuedJob, QueueManager
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.errors import JobConflict, JobNotFound
from queued_jobs.message import JobMessage
from queued_jobs.model import JobError
from queued_jobs.tracker import ANY_USER, Cursor
from tests.integration.queued_jobs.conftest import Demo, Shop

BOOM = JobError(type="Boom", message="it broke")


class TestBell:
    async def test_an_empty_bell(self, shop: Shop) -> None:
        page = await shop.tracker.for_user("ann")
        assert (page.jobs, page.more, page.unseen, page.running) == ((), False, 0, 0)
        assert page.now.tzinfo is not None

    async def test_own_jobs_newest_first_with_counts(self, shop: Shop) -> None:
        done = await shop.succeeded()
        waiting = (await shop.queue()).job
        await shop.queue("bob")
        page = await shop.tracker.for_user("ann")
        assert [job.id for job in page.jobs] == [waiting.id, done.id]
        assert (page.unseen, page.running) == (1, 1)

    async def test_pages_have_no_gap_and_no_overlap(self, shop: Shop) -> None:
        ids = [(await shop.queue()).id for _ in range(7)]
        async with shop.database.connection() as conn:  # equal times: the id decides
            await conn.execute("update queued_jobs.job set created_at = '2026-01-01'")
        seen, cursor = [], None
        for more in (True, True, True, False):
            page = await shop.tracker.for_user("ann", before=cursor, limit=2)
            assert page.more is more
            assert page.running == 7, "counts are over all pages"
            seen += [job.id for job in page.jobs]
            cursor = Cursor.after(page.jobs[-1])
        assert seen == sorted(ids, reverse=True)

    async def test_cleared_jobs_leave_and_their_counts_too(self, shop: Shop) -> None:
        job = await shop.succeeded()
        await shop.tracker.clear("ann", job.id)
        page = await shop.tracker.for_user("ann")
        assert (page.jobs, page.unseen) == ((), 0)


class TestSeen:
    async def test_only_own_ended_jobs_and_once(self, shop: Shop) -> None:
        done, other = await shop.succeeded(), await shop.succeeded("bob")
        running = await shop.running()
        ids = [done.id, other.id, running.id, uuid7()]
        (changed,) = await shop.tracker.mark_seen("ann", ids)
        assert (changed.id, changed.version) == (done.id, done.version + 1)
        assert await shop.tracker.mark_seen("ann", ids) == []
        assert (await shop.tracker.for_user("ann")).unseen == 0
        assert (await shop.tracker.for_user("bob")).unseen == 1
        assert shop.notifier.pushed[-1].seen_at is not None


class TestClear:
    async def test_it_is_told_to_the_owners_other_tabs(self, shop: Shop) -> None:
        job = await shop.succeeded()
        await shop.tracker.clear("ann", job.id)
        ((user, change),) = shop.notifier.removed
        assert (user, change.id, change.version) == ("ann", job.id, job.version + 1)

    async def test_once_more_is_harmless(self, shop: Shop) -> None:
        job = await shop.succeeded()
        await shop.tracker.clear("ann", job.id)
        await shop.tracker.clear("ann", job.id)
        assert len(shop.notifier.removed) == 1

    async def test_a_job_that_has_not_ended_stays(self, shop: Shop) -> None:
        job = await shop.running()
        with pytest.raises(JobConflict):
            await shop.tracker.clear("ann", job.id)

    async def test_all_finished_and_back_again(self, shop: Shop) -> None:
        earlier = await shop.succeeded()
        await shop.tracker.clear("ann", earlier.id)
        done = [await shop.succeeded() for _ in range(3)]
        running, foreign = await shop.running(), await shop.succeeded("bob")
        cleared, since = await shop.tracker.clear_finished("ann")
        assert {change.id for change in cleared} == {job.id for job in done}
        assert [job.id for job in (await shop.tracker.for_user("ann")).jobs] == [running.id]
        ids = [change.id for change in cleared]
        assert await shop.tracker.undo_clear("bob", ids, since=since) == []
        back = await shop.tracker.undo_clear("ann", [*ids, earlier.id, foreign.id], since=since)
        assert {change.id for change in back} == set(ids), "what was cleared before stays cleared"
        assert len((await shop.tracker.for_user("ann")).jobs) == 4

    async def test_nothing_to_clear(self, shop: Shop) -> None:
        assert (await shop.tracker.clear_finished("ann"))[0] == []
        assert shop.notifier.removed == []


class TestCancel:
    async def test_a_waiting_job_ends_now(self, shop: Shop) -> None:
        handle = await shop.queue()
        job = await shop.tracker.cancel(handle.id, user_id="ann")
        assert job.status is JobStatus.CANCELLED
        assert shop.notifier.pushed[-1] == job
        late = await shop.repository.claim(
            JobMessage.of(handle.job), kind="demo", schema_version=1, lease=timedelta(1), timeout=timedelta(1)
        )
        assert late is None

    async def test_a_running_job_is_asked(self, shop: Shop) -> None:
        job = await shop.running()
        asked = await shop.tracker.cancel(job.id, user_id="ann")
        assert (asked.status, asked.cancel_requested) == (JobStatus.RUNNING, True)
        again = await shop.tracker.cancel(job.id, user_id="ann")
        assert again.version == asked.version

    async def test_an_ended_job_cannot_be_cancelled(self, shop: Shop) -> None:
        job = await shop.succeeded()
        with pytest.raises(JobConflict, match="succeeded"):
            await shop.tracker.cancel(job.id, user_id="ann")

    async def test_an_admin_may(self, shop: Shop) -> None:
        handle = await shop.queue()
        assert (await shop.tracker.cancel(handle.id, user_id=ANY_USER)).status is JobStatus.CANCELLED


class TestRetry:
    async def test_a_failed_job_runs_afresh_with_its_history(self, shop: Shop) -> None:
        job = await shop.running()
        await shop.repository.fail(job, JobError(type="Boom", message="it broke"), retry_in=None)
        again = await shop.tracker.retry(job.id, user_id="ann")
        assert (again.status, again.tries, again.error) == (JobStatus.PENDING, 0, None)
        assert again.version > job.version
        assert shop.queues.sent[-1].message == JobMessage.of(again)
        assert shop.notifier.pushed[-1] == again
        (attempt,) = await shop.tracker.attempts(job.id, user_id="ann")
        assert attempt.error is not None
        assert (attempt.outcome, attempt.error.message) == ("failed", "it broke")

    @pytest.mark.parametrize("together", [False, True])
    @pytest.mark.parametrize(("stored", "now"), [("demo", "renamed"), ("demo-urgent", "renamed-urgent")])
    async def test_a_retry_uses_the_queue_that_its_kind_has_now(
        self, shop: Shop, stored: str, now: str, together: bool
    ) -> None:
        job = await shop.running()
        await shop.repository.fail(job, JobError(type="Boom", message="it broke"), retry_in=None)
        async with shop.database.connection() as conn:
            await conn.execute("update queued_jobs.job set queue = %s", (stored,))
        renamed = type("Renamed", (Demo,), {"queue": "renamed", "priorities": ("urgent",)})
        tracker = QueueManager([renamed], repository=shop.repository, queues=shop.queues).tracker
        if together:
            assert (await tracker.retry_all(JobQuery())).changed == 1
        else:
            await tracker.retry(job.id, user_id="ann")
        assert shop.queues.sent[-1].queue == now
        assert (await tracker.get(job.id, user_id="ann")).queue == now

    @pytest.mark.parametrize("by", ["its owner", "an admin"])
    async def test_each_retry_has_all_its_attempts_under_new_numbers(self, shop: Shop, by: str) -> None:
        """Twelve times, with a release in each: more numbers than a kind may allow at once."""
        job, numbers = (await shop.queue()).job, []
        for _ in range(12):
            for outcome in ("released", *["failed"] * 5):
                claimed = await shop.claim(job)
                numbers.append(claimed.attempt)
                if outcome == "released":
                    await shop.repository.release(claimed)
                else:
                    await shop.repository.fail(claimed, JobError(type="Boom", message=""), retry_in=timedelta())
                job = await shop.tracker.get(job.id, user_id="ann")
            assert (job.status, job.tries, job.max_attempts - job.uncounted) == (JobStatus.FAILED, 5, 5)
            if by == "its owner":
                job = await shop.tracker.retry(job.id, user_id="ann")
            else:
                assert (await shop.tracker.retry_all(JobQuery(statuses=frozenset({JobStatus.FAILED})))).changed == 1
                job = await shop.tracker.get(job.id, user_id="ann")
            assert (job.status, job.tries, job.max_attempts - job.attempt) == (JobStatus.PENDING, 0, 5)
        assert numbers == list(range(1, 73))
        history = await shop.tracker.attempts(job.id, user_id="ann")
        assert [attempt.attempt for attempt in history] == numbers

    async def test_a_job_that_did_not_end_badly_is_left_alone(self, shop: Shop) -> None:
        for job in (await shop.succeeded(), await shop.running(), (await shop.queue()).job):
            with pytest.raises(JobConflict, match=job.status.value):
                await shop.tracker.retry(job.id, user_id="ann")

    async def test_a_unique_key_that_is_taken_meanwhile_is_a_conflict(self, shop: Shop) -> None:
        first = await shop.queue(unique_key="u")
        await shop.tracker.cancel(first.id, user_id="ann")
        await shop.queue(unique_key="u")
        with pytest.raises(JobConflict, match="unique key"):
            await shop.tracker.retry(first.id, user_id="ann")


class TestOwnership:
    async def test_another_users_job_is_not_there(self, shop: Shop) -> None:
        job = await shop.running()
        tracker = shop.tracker
        for action in (tracker.get, tracker.cancel, tracker.retry):
            with pytest.raises(JobNotFound) as theirs:
                await action(job.id, user_id="bob")
            with pytest.raises(JobNotFound) as unknown:
                await action(uuid7(), user_id="bob")
            assert str(theirs.value) == str(unknown.value)
        with pytest.raises(JobNotFound):
            await tracker.clear("bob", job.id)
        assert await tracker.attempts(job.id, user_id="bob") == []
        assert (await tracker.get(job.id, user_id="ann")).version == job.version

    async def test_a_hub_that_is_away_changes_nothing(self, shop: Shop) -> None:
        job = await shop.succeeded()
        shop.notifier.unavailable = True
        await shop.tracker.mark_seen("ann", [job.id])
        await shop.tracker.clear("ann", job.id)
        assert (await shop.tracker.get(job.id, user_id="ann")).cleared_at is not None


class TestResuming:
    """A retry of a job that has saved a cursor."""

    async def failed(self, shop: Shop) -> QueuedJob:
        """A job that has saved something in each of two attempts, and may resume no further."""
        job = await shop.running()
        for cursor in (1, 2):
            assert await shop.repository.save(job, {"cursor": cursor}, max_resumes=1)
            failed = await shop.repository.fail(job, BOOM, retry_in=timedelta() if cursor == 1 else None, resume=True)
            assert failed is not None
            job = failed if cursor == 2 else await shop.claim(failed)
        assert job.status is JobStatus.FAILED
        return job

    @pytest.mark.parametrize("from_start", [False, True])
    async def test_it_resumes_or_starts_over(self, shop: Shop, from_start: bool) -> None:
        job = await self.failed(shop)
        again = await shop.claim(await shop.tracker.retry(job.id, user_id="ann", from_start=from_start))
        assert again.saved == (None if from_start else {"cursor": 2})

    @pytest.mark.parametrize("many", [False, True])
    async def test_it_may_resume_as_often_as_at_first(self, shop: Shop, many: bool) -> None:
        job = await self.failed(shop)
        if many:
            assert (await shop.tracker.retry_all(JobQuery(user_id="ann"))).changed == 1
        else:
            await shop.tracker.retry(job.id, user_id="ann")
        again = await shop.claim(await shop.tracker.get(job.id, user_id="ann"))
        assert await shop.repository.save(again, {"cursor": 3}, max_resumes=1)
        failed = await shop.repository.fail(again, BOOM, retry_in=timedelta(), resume=True)
        assert failed is not None
        assert failed.tries == 0

    async def test_a_retry_that_is_refused_deletes_nothing(self, shop: Shop) -> None:
        job = await self.failed(shop)
        with pytest.raises(JobNotFound):
            await shop.tracker.retry(job.id, user_id="bob", from_start=True)
        await shop.tracker.retry(job.id, user_id="ann")
        with pytest.raises(JobConflict):
            await shop.tracker.retry(job.id, user_id="ann", from_start=True)
        assert (await shop.claim(await shop.tracker.get(job.id, user_id="ann"))).saved == {"cursor": 2}
