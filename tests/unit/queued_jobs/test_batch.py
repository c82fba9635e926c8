"""Many jobs at once, the one that follows them, those that go one at a time, and the queues of priorities."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, JobStatus, PermanentError
from queued_jobs.batch import Batch, FollowUp
from queued_jobs.errors import InvalidRequest, KeyReused
from queued_jobs.message import JobMessage
from queued_jobs.registry import JobRegistry
from queued_jobs.testing import JobBench


class Page(BaseModel):
    number: int


class Words(BaseModel):
    words: int


class Count(JobRunner[Page, Words]):
    kind = "count"
    queue = "count"
    priorities = ("urgent",)

    async def on_execute(self, request: Page, ctx: JobContext[Words]) -> Words:
        if request.number == 13:
            raise PermanentError("There is no page 13.")
        return Words(words=100 * request.number)


class Book(BaseModel):
    title: str


class Sum(JobRunner[Book, Words]):
    kind = "sum"
    queue = "sum"

    async def on_execute(self, request: Book, ctx: JobContext[Words]) -> Words:
        pages = await ctx.batch()
        return Words(words=sum(page.result["words"] for page in pages if page.result is not None))


class Export(JobRunner[Page, Words]):
    kind = "export"
    queue = "export"
    order: list[int] = []  # noqa: RUF012 (one list for all, emptied by the fixture)

    @classmethod
    def concurrency_key(cls, request: Page, user_id: str) -> str | None:
        return user_id

    async def on_execute(self, request: Page, ctx: JobContext[Words]) -> Words:
        self.order.append(request.number)
        return Words(words=1)


@pytest.fixture
def bench() -> JobBench:
    Export.order.clear()
    return JobBench(Count, Sum, Export)


async def queue(bench: JobBench, numbers: list[int], **options: Any) -> Batch[Words]:
    values: dict[str, Any] = {"user_id": "ann"}
    return await bench.manager.queue_jobs(Count, [Page(number=number) for number in numbers], **(values | options))


SUM = FollowUp(runner=Sum, request=Book(title="Atlas"))


class TestBatch:
    async def test_all_are_stored_sent_and_shown(self, bench: JobBench) -> None:
        batch = await queue(bench, [1, 2, 3])
        assert [handle.job.request["number"] for handle in batch.handles] == [1, 2, 3]
        assert {handle.job.batch_id for handle in batch.handles} == {batch.id}
        assert all(handle.sent for handle in batch.handles)
        assert len(bench.queues.sent) == len(bench.notifier.pushed) == 3
        await batch.send()
        assert len(bench.queues.sent) == 3, "a second call is harmless"
        assert await bench.drain() == 3

    async def test_a_repeated_call_finds_the_same_jobs(self, bench: JobBench) -> None:
        first = await queue(bench, [1, 2], idempotency_key="k", follow_up=SUM)
        again = await queue(bench, [1, 2], idempotency_key="k", follow_up=SUM)
        assert [handle.id for handle in again.handles] == [handle.id for handle in first.handles]
        assert again.follow_up is not None
        assert first.follow_up is not None
        assert again.follow_up.id == first.follow_up.id
        assert again.id == first.id
        assert len(bench.repository.jobs) == 3
        with pytest.raises(KeyReused):
            await queue(bench, [1, 5], idempotency_key="k")

    async def test_a_batch_has_a_most(self, bench: JobBench) -> None:
        with pytest.raises(InvalidRequest, match="10,000 jobs, not 10,001"):
            await queue(bench, [1] * 10_001)
        assert bench.repository.jobs == {}

    async def test_nothing_of_a_batch_is_stored_if_one_request_is_wrong(self, bench: JobBench) -> None:
        with pytest.raises(InvalidRequest, match="idempotency_key"):
            await queue(bench, [1], idempotency_key="k" * 191)
        assert bench.repository.jobs == {}


class TestFollowUp:
    async def test_it_runs_after_the_last_one_and_reads_the_others(self, bench: JobBench) -> None:
        batch = await queue(bench, [1, 2, 13], follow_up=SUM)
        assert batch.follow_up is not None
        assert bench.job(batch.follow_up).is_held
        assert batch.follow_up.job in bench.notifier.pushed, "its owner sees that it waits"
        await bench.drain()
        assert bench.job(batch.handles[2]).status is JobStatus.FAILED
        assert bench.job(batch.follow_up).result == {"words": 300}

    async def test_without_any_others_it_runs_at_once(self, bench: JobBench) -> None:
        batch = await queue(bench, [], follow_up=SUM)
        await bench.drain()
        assert batch.follow_up is not None
        assert bench.job(batch.follow_up).result == {"words": 0}

    async def test_it_waits_for_a_retry(self, bench: JobBench) -> None:
        batch = await queue(bench, [1, 2], follow_up=SUM, delay=timedelta(hours=1))
        assert batch.follow_up is not None
        await bench.drain()
        assert bench.job(batch.follow_up).is_held
        bench.clock.advance(timedelta(hours=2))
        await bench.drain()
        assert bench.job(batch.follow_up).result == {"words": 300}

    async def test_a_crash_before_the_wake_up_delays_it_to_the_next_sweep(self, bench: JobBench) -> None:
        bench.queues.unavailable = True
        batch = await queue(bench, [1], follow_up=SUM)
        bench.queues.unavailable = False
        assert batch.follow_up is not None
        hour = timedelta(hours=1)
        message = JobMessage.of(batch.handles[0].job)
        running = await bench.repository.claim(message, kind="count", schema_version=1, lease=hour, timeout=hour)
        assert running is not None
        await bench.repository.succeed(running, {"words": 5})
        assert bench.job(batch.follow_up).is_held
        await bench.drain()
        assert bench.job(batch.follow_up).result == {"words": 5}


class TestOneAtATime:
    async def test_they_run_in_their_order(self, bench: JobBench) -> None:
        handles = [await bench.manager.queue_job(Export, Page(number=number), user_id="ann") for number in range(5)]
        await bench.drain()
        assert Export.order == [0, 1, 2, 3, 4]
        assert {bench.job(handle).status for handle in handles} == {JobStatus.SUCCEEDED}

    async def test_messages_in_another_order_change_nothing(self, bench: JobBench) -> None:
        for number in range(5):
            await bench.manager.queue_job(Export, Page(number=number), user_id="ann")
        bench.queues._lying.reverse()
        await bench.drain()
        bench.clock.advance(timedelta(minutes=11))
        await bench.drain()
        assert Export.order == [0, 1, 2, 3, 4]


class TestPriorities:
    async def test_a_job_goes_through_the_queue_of_its_priority(self, bench: JobBench) -> None:
        handle = await bench.manager.queue_job(Count, Page(number=1), priority="urgent", user_id="ann")
        assert [due.queue for due in bench.queues.sent] == ["count-urgent"]
        await bench.drain()
        assert bench.job(handle).status is JobStatus.SUCCEEDED

    async def test_an_unknown_one_is_refused(self, bench: JobBench) -> None:
        with pytest.raises(InvalidRequest, match=r"count .*'high'.* urgent"):
            await bench.manager.queue_job(Count, Page(number=1), priority="high", user_id="ann")
        with pytest.raises(InvalidRequest, match=r"sum .*'high'.* none"):
            await bench.manager.queue_job(Sum, Book(title="x"), priority="high", user_id="ann")

    def test_each_queue_belongs_to_one_kind(self) -> None:
        class Urgent(JobRunner[Page, Words]):
            kind = "urgent"
            queue = "count-urgent"

            async def on_execute(self, request: Page, ctx: JobContext[Words]) -> Words:
                return Words(words=1)

        assert JobRegistry([Count, Sum]).queues == ("count", "count-urgent", "sum")
        with pytest.raises(TypeError, match="The queue 'count-urgent' is registered twice"):
            JobRegistry([Count, Urgent])

    def test_names_that_make_no_queue_are_refused(self) -> None:
        for priority in ("Very", "a--b", "x" * 60, "poison"):
            with pytest.raises(TypeError, match="of a priority must be"):
                type("Wrong", (Count,), {"kind": "wrong", "queue": "wrong", "priorities": (priority,)})
        with pytest.raises(TypeError, match="concurrency is 0"):
            type("Wrong", (Count,), {"kind": "wrong", "queue": "wrong", "concurrency": 0})
