"""Retry and cancel of everything that matches."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

import pytest

from queued_jobs import JobStatus, QueuedJob
from queued_jobs.dashboard import bulk
from queued_jobs.dashboard.search import JobQuery, Page, find_jobs
from queued_jobs.message import JobMessage
from queued_jobs.model import JobError, JobKey
from tests.integration.queued_jobs.conftest import Shop

FAILED = JobQuery(statuses=frozenset({JobStatus.FAILED}))


Meanwhile = Callable[[Callable[[], Awaitable[object]]], AbstractContextManager[None]]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """`with meanwhile(action)`: it happens after jobs were found and before they are changed."""

    @contextmanager
    def between(action: Callable[[], Awaitable[object]]) -> Iterator[None]:
        async def find_and_act(*args: Any, **options: Any) -> Page:
            page = await find_jobs(*args, **options)
            await action()
            return page

        with monkeypatch.context() as patched:
            patched.setattr(bulk, "find_jobs", find_and_act)
            yield

    return between


async def fail(shop: Shop, job: QueuedJob) -> JobKey:
    failed = await shop.repository.fail(job, JobError(type="Boom", message="it broke"), retry_in=None)
    assert failed is not None
    return failed.id


async def run_and_fail(shop: Shop, key: JobKey) -> None:
    job = await shop.tracker.get(key, user_id="ann")
    claimed = await shop.repository.claim(
        JobMessage.of(job), kind="demo", schema_version=1, lease=timedelta(minutes=1), timeout=timedelta(minutes=1)
    )
    assert claimed is not None
    await fail(shop, claimed)


async def make_failed(shop: Shop, count: int) -> None:
    """Make that many failed jobs of several owners, in few statements."""
    await fail(shop, await shop.running())
    async with shop.database.connection() as conn:
        await conn.execute(
            "insert into queued_jobs.job (id, kind, queue, user_id, request, status, attempt, dispatch_gen, sent_gen,"
            " finished_at, error) select gen_random_uuid(), kind, queue, 'user ' || n %% 7, request, status, attempt,"
            " dispatch_gen, sent_gen, finished_at, error from queued_jobs.job, generate_series(2, %s) n",
            (count,),
        )
    shop.queues.sent.clear()
    shop.notifier.pushed.clear()


async def let_reservations_end(shop: Shop) -> None:
    async with shop.database.connection() as conn:
        await conn.execute("update queued_jobs.job set next_send_at = next_send_at - interval '1 minute'")


class TestRetryAll:
    async def test_each_job_runs_once_more_and_its_owner_is_told(self, shop: Shop) -> None:
        await make_failed(shop, 250)
        await shop.succeeded()
        shop.queues.sent.clear()
        shop.notifier.pushed.clear()
        counted = await shop.tracker.count(FAILED.retryable())
        report = await shop.tracker.retry_all(FAILED, as_of=counted.as_of)
        assert (counted.number, report.changed, report.refused, report.next) == (250, 250, {}, None)
        assert len({due.message.id for due in shop.queues.sent}) == len(shop.queues.sent) == 250
        assert {job.status for job in shop.notifier.pushed} == {JobStatus.PENDING}
        assert len(shop.notifier.pushed) == 250
        assert {job.version for job in shop.notifier.pushed} == {2, 4}, "one more than before, which is 1 or 3"
        page = await shop.tracker.search(JobQuery(), limit=300)
        assert Counter(job.status for job in page.jobs) == {"pending": 250, "succeeded": 1}
        await let_reservations_end(shop)
        unsent = await shop.repository.unsent(limit=10)
        assert unsent == [], "what was sent is marked"

    async def test_only_what_matches(self, shop: Shop) -> None:
        await make_failed(shop, 30)
        query = JobQuery(user_id="user 3", text="IT BROKE")
        report = await shop.tracker.retry_all(query)
        assert report.changed == 4
        assert {job.user_id for job in shop.notifier.pushed} == {"user 3"}

    async def test_two_admins_and_a_double_click(self, shop: Shop) -> None:
        await make_failed(shop, 300)
        as_of = (await shop.tracker.count(FAILED)).as_of
        reports = await asyncio.gather(*(shop.tracker.retry_all(FAILED, as_of=as_of) for _ in range(4)))
        assert sum(report.changed for report in reports) == 300
        for report in reports:
            assert len(report.refusals) == min(100, sum(report.refused.values()))
            assert set(report.refused) <= {"The job is now pending."}
        assert Counter(due.message.id for due in shop.queues.sent).most_common(1)[0][1] == 1
        async with shop.database.connection() as conn:
            rows = await (await conn.execute("select distinct dispatch_gen, status from queued_jobs.job")).fetchall()
        assert rows == [{"dispatch_gen": 3, "status": "pending"}]

    async def test_a_job_that_failed_again_since_it_was_counted_is_left_alone(self, shop: Shop) -> None:
        key = await fail(shop, await shop.running())
        as_of = (await shop.tracker.count(FAILED)).as_of
        assert (await shop.tracker.retry_all(FAILED, as_of=as_of)).changed == 1
        await run_and_fail(shop, key)
        again = await shop.tracker.retry_all(FAILED, as_of=as_of)
        assert (again.changed, dict(again.refused)) == (0, {"The job is now failed.": 1})
        assert (await shop.tracker.retry_all(FAILED)).changed == 1

    async def test_a_job_that_somebody_else_took_in_between(self, shop: Shop, meanwhile: Meanwhile) -> None:
        mine, theirs = [await fail(shop, await shop.running()) for _ in range(2)]
        with meanwhile(lambda: shop.tracker.retry(theirs, user_id="ann")):
            report = await shop.tracker.retry_all(FAILED)
        assert (report.changed, dict(report.refused)) == (1, {"The job is now pending.": 1})
        assert report.refusals[0].id == theirs
        assert (await shop.tracker.get(theirs, user_id="ann")).dispatch_gen == 3
        assert (await shop.tracker.get(mine, user_id="ann")).dispatch_gen == 3

    async def test_a_job_that_is_gone_in_between(self, shop: Shop, meanwhile: Meanwhile) -> None:
        await fail(shop, await shop.running())
        await shop.repository.tally(limit=10)
        with meanwhile(lambda: shop.repository.prune(older_than=timedelta(days=-1), limit=10)):
            report = await shop.tracker.retry_all(FAILED)
        assert (report.changed, dict(report.refused)) == (0, {"The job has been deleted.": 1})

    async def test_a_newer_job_is_left_alone(self, shop: Shop) -> None:
        as_of = (await shop.tracker.count(FAILED)).as_of
        await fail(shop, await shop.running())
        report = await shop.tracker.retry_all(FAILED, as_of=as_of)
        assert (report.changed, report.refused) == (0, {})

    async def test_a_taken_unique_key_holds_up_nobody_else(self, shop: Shop) -> None:
        keys = [await fail(shop, await shop.running()) for _ in range(5)]
        taken = [await fail(shop, await shop.running(unique_key=f"u{n % 2}")) for n in range(3)]
        await shop.queue(unique_key="u1")
        report = await shop.tracker.retry_all(FAILED)
        assert report.changed == 6, "of two with the same key one can run"
        assert dict(report.refused) == {"Another job with the same unique key is unfinished.": 2}
        assert {refusal.id for refusal in report.refusals} < set(taken)
        assert (await shop.tracker.count(FAILED)).number == 2
        for key in keys:
            assert (await shop.tracker.get(key, user_id="ann")).status is JobStatus.PENDING

    async def test_a_limit_and_the_rest(self, shop: Shop) -> None:
        await make_failed(shop, 25)
        report = await shop.tracker.retry_all(FAILED, limit=10)
        assert (report.changed, report.next is None) == (10, False)
        report = await shop.tracker.retry_all(FAILED, as_of=report.as_of, before=report.next, limit=100)
        assert (report.changed, report.next) == (15, None)

    async def test_nothing_that_can_be_retried(self, shop: Shop) -> None:
        await shop.succeeded()
        report = await shop.tracker.retry_all(JobQuery(statuses=frozenset({JobStatus.SUCCEEDED})))
        assert (report.changed, report.refused) == (0, {})

    async def test_a_queue_and_a_hub_that_are_away_delay_only(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await make_failed(shop, 220)
        tried = []
        send = shop.queues.send

        async def counted(queue: str, message: JobMessage, **options: timedelta) -> None:
            tried.append(message)
            await send(queue, message, **options)

        monkeypatch.setattr(shop.queues, "send", counted)
        shop.queues.unavailable = shop.notifier.unavailable = True
        assert (await shop.tracker.retry_all(FAILED)).changed == 220
        assert len(tried) <= 8, "each may take seconds"
        assert await shop.repository.unsent(limit=500) == [], "they are reserved for a moment"
        await let_reservations_end(shop)
        assert len(await shop.repository.unsent(limit=500)) == 220, "the sweeper sends them"


class TestCancelAll:
    async def test_the_waiting_end_and_the_running_are_asked(self, shop: Shop) -> None:
        running = await shop.running()
        await asyncio.gather(*(shop.queue(f"user {n % 3}") for n in range(12)))
        done = await shop.succeeded()
        shop.notifier.pushed.clear()
        report = await shop.tracker.cancel_all(JobQuery())
        assert (report.changed, report.refused) == (13, {})
        assert Counter(job.status for job in shop.notifier.pushed) == {"cancelled": 12, "running": 1}
        assert (await shop.tracker.get(running.id, user_id="ann")).cancel_requested
        assert (await shop.tracker.get(done.id, user_id="ann")).status is JobStatus.SUCCEEDED

    async def test_asking_twice_changes_nothing(self, shop: Shop) -> None:
        running = await shop.running()
        await shop.tracker.cancel_all(JobQuery())
        asked = await shop.tracker.get(running.id, user_id="ann")
        report = await shop.tracker.cancel_all(JobQuery())
        assert (report.changed, dict(report.refused)) == (0, {"The job has already been asked to stop.": 1})
        assert (await shop.tracker.get(running.id, user_id="ann")).version == asked.version

    async def test_a_job_that_ended_in_between(self, shop: Shop, meanwhile: Meanwhile) -> None:
        job = await shop.running()
        with meanwhile(lambda: shop.repository.succeed(job, {"text": "done"})):
            report = await shop.tracker.cancel_all(JobQuery())
        assert (report.changed, dict(report.refused)) == (0, {"The job is now succeeded.": 1})
        ended = await shop.tracker.get(job.id, user_id="ann")
        assert (ended.version, ended.cancel_requested) == (job.version + 1, False)

    async def test_two_at_once(self, shop: Shop) -> None:
        for _ in range(150):
            await shop.queue()
        shop.notifier.pushed.clear()
        reports = await asyncio.gather(*(shop.tracker.cancel_all(JobQuery()) for _ in range(3)))
        assert sum(report.changed for report in reports) == 150
        assert len(shop.notifier.pushed) == 150
