"""Bodies that start jobs, borrow transactions, and wait on the worker's loop from a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, ClassVar

import psycopg
import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobHandle, JobRunner, JobStatus, QueuedJob, QueueManager
from queued_jobs.database import Database
from queued_jobs.errors import KeyReused, StoreUnavailable
from queued_jobs.message import JobMessage
from queued_jobs.postgres import PostgresRepository
from queued_jobs.retry import RetryPolicy
from tests.integration.queued_jobs.conftest import Answer, Ask, Shop

LONG = timedelta(minutes=3)


class Page(BaseModel):
    number: int = 0
    words: list[str] = []


class Child(JobRunner[Page, Answer]):
    kind = "child"
    queue = "child"
    priorities = ("urgent",)

    async def on_execute(self, request: Page, ctx: JobContext[Answer]) -> Answer:
        return Answer(text=f"page {request.number}")


type Body = Callable[[JobContext[Answer]], Awaitable[Answer | None]]


class Parent(JobRunner[Ask, Answer]):
    kind = "parent"
    queue = "parent"
    retry = RetryPolicy(max_attempts=9, base=timedelta(milliseconds=1))
    body: ClassVar[Body]

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        return await type(self).body(ctx) or Answer(text="done")


class Threaded(JobRunner[Ask, Answer]):
    kind = "threaded"
    queue = "threaded"

    def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        handle = ctx.wait(ctx.queue_job(Child, Page(number=request.n)))
        return ctx.wait(handle.result(timeout=LONG))


class Family:
    """A shop whose parent has a body that a test brings along."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.manager = QueueManager(
            [Parent, Child, Threaded], repository=shop.repository, queues=shop.queues, notifier=shop.notifier
        )

    async def start(self, body: Body) -> JobHandle[Answer]:
        Parent.body = body
        return await self.manager.queue_job(Parent, Ask(), user_id="ann")

    async def run(self, handle: JobHandle[Any]) -> QueuedJob:
        """Run one attempt of the job as it stands now."""
        job = await self.shop.tracker.get(handle.id, user_id="ann")
        await self.manager.runner(job.kind).execute(JobMessage.of(job))
        return await self.shop.tracker.get(handle.id, user_id="ann")

    async def children(self) -> list[QueuedJob]:
        async with self.shop.database.connection() as conn:
            rows = await (
                await conn.execute("select id from queued_jobs.job where kind = 'child' order by created_at, id")
            ).fetchall()
        return [await self.shop.tracker.get(row["id"], user_id="ann") for row in rows]

    async def notes(self) -> list[str]:
        async with self.shop.database.connection() as conn:
            rows = await (await conn.execute("select text from notes order by text")).fetchall()
        return [row["text"] for row in rows]


@pytest.fixture
async def family(shop: Shop) -> Family:
    async with shop.database.connection() as conn:
        await conn.execute("create table notes (text text primary key)")
    return Family(shop)


class TestChildren:
    async def test_a_child_belongs_to_the_owner_and_to_its_parent(self, family: Family) -> None:
        async def body(ctx: JobContext[Answer]) -> None:
            handle = await ctx.queue_job(Child, Page(number=7), priority="urgent", delay=timedelta(hours=1))
            assert (handle.duplicate, handle.sent) == (False, False)

        parent = await family.run(await family.start(body))
        assert parent.status is JobStatus.SUCCEEDED
        (child,) = await family.children()
        assert (child.user_id, child.parent_id, child.queue) == ("ann", parent.id, "child-urgent")
        assert child.available_at > child.created_at + timedelta(minutes=59)

    async def test_an_attempt_that_runs_again_starts_nothing_twice(self, family: Family) -> None:
        """In another order, with a time that a default makes, and where the first attempt got half way."""
        orders = [[1, 2], [3, 2, 1], [2, 1, 3, 3]]
        found: list[list[Any]] = []

        async def body(ctx: JobContext[Answer]) -> None:
            numbers = orders[ctx.job.attempt - 1]
            found.append([(await ctx.queue_job(Child, Page(number=number))).id for number in numbers])
            if ctx.job.attempt < 3:
                raise OSError("half way")

        handle = await family.start(body)
        for _ in orders:
            parent = await family.run(handle)
        assert parent.status is JobStatus.SUCCEEDED
        assert [child.request["number"] for child in await family.children()] == [1, 2, 3, 3]
        assert found[1][1:] == [found[0][1], found[0][0]]
        assert found[2][:3] == [found[0][1], found[0][0], found[1][0]]
        assert len(family.shop.queues.sent) == 4 + 3, "four children, and three wake-ups of the parent"

    async def test_equal_ones_are_as_many_as_were_asked_for(self, family: Family) -> None:
        async def body(ctx: JobContext[Answer]) -> None:
            await asyncio.gather(*(ctx.queue_job(Child, Page()) for _ in range(5)))
            if ctx.job.attempt == 1:
                raise OSError

        handle = await family.start(body)
        await family.run(handle)
        await family.run(handle)
        assert len(await family.children()) == 5

    async def test_a_key_stands_for_a_child_whose_request_differs(self, family: Family) -> None:
        errors: list[str] = []

        async def body(ctx: JobContext[Answer]) -> None:
            try:
                await ctx.queue_job(Child, Page(number=ctx.job.attempt), key="report")
            except KeyReused as exc:
                errors.append(type(exc).__name__)
            await ctx.queue_job(Child, Page(number=10), key="a")
            await ctx.queue_job(Child, Page(number=10), key="b")
            if ctx.job.attempt == 1:
                raise OSError

        handle = await family.start(body)
        await family.run(handle)
        await family.run(handle)
        assert errors == ["KeyReused"]
        assert sorted(child.request["number"] for child in await family.children()) == [1, 10, 10]

    async def test_two_parents_have_children_of_their_own(self, family: Family) -> None:
        async def body(ctx: JobContext[Answer]) -> None:
            await ctx.queue_job(Child, Page(), key="k")
            await ctx.queue_job(Child, Page())

        for _ in range(2):
            await family.run(await family.start(body))
        assert len(await family.children()) == 4

    async def test_asking_again_after_an_answer_that_was_lost_finds_the_child(
        self, family: Family, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add = family.shop.repository.add
        lost = True

        async def stored_unheard(*jobs: Any, **options: Any) -> Any:
            nonlocal lost
            added = await add(*jobs, **options)
            if lost:
                lost = False
                raise StoreUnavailable
            return added

        async def body(ctx: JobContext[Answer]) -> None:
            monkeypatch.setattr(family.shop.repository, "add", stored_unheard)
            with pytest.raises(StoreUnavailable):
                await ctx.queue_job(Child, Page())
            assert (await ctx.queue_job(Child, Page())).duplicate

        assert (await family.run(await family.start(body))).status is JobStatus.SUCCEEDED
        assert len(await family.children()) == 1

    async def test_a_parent_awaits_the_typed_result_of_its_child(self, family: Family) -> None:
        async def body(ctx: JobContext[Answer]) -> Answer:
            handle = await ctx.queue_job(Child, Page(number=3))
            await family.manager.runner("child").execute(JobMessage.of(handle.job))
            return await handle.result(timeout=LONG)

        parent = await family.run(await family.start(body))
        assert parent.result == {"text": "page 3"}


class TestTransactions:
    async def test_the_bodys_rows_the_child_and_the_result_stand_together(self, family: Family) -> None:
        async def body(ctx: JobContext[Answer]) -> Answer:
            sent = len(family.shop.queues.sent)
            async with ctx.transaction() as conn:
                await conn.execute("insert into notes values ('kept')")
                handle = await ctx.queue_job(Child, Page(), conn=conn)
                await ctx.complete(Answer(text="by the transaction"), conn=conn)
                assert len(family.shop.queues.sent) == sent, "nobody looks for a row that is not there"
            assert handle.sent
            return Answer(text="by the transaction")

        parent = await family.run(await family.start(body))
        assert (parent.status, parent.result) == (JobStatus.SUCCEEDED, {"text": "by the transaction"})
        assert await family.notes() == ["kept"]
        (child,) = await family.children()
        assert [due.message.id for due in family.shop.queues.sent][-1] == child.id

    async def test_a_failure_leaves_nothing_of_it(self, family: Family) -> None:
        async def body(ctx: JobContext[Answer]) -> Answer:
            async with ctx.transaction() as conn:
                await conn.execute("insert into notes values ('lost')")
                await ctx.queue_job(Child, Page(), conn=conn)
                await ctx.complete(Answer(text="never"), conn=conn)
                raise OSError("too late")

        handle = await family.start(body)
        parent = await family.run(handle)
        assert (parent.status, parent.result) == (JobStatus.RETRYING, None)
        assert (await family.notes(), await family.children()) == ([], [])
        assert {due.message.id for due in family.shop.queues.sent} == {handle.id}

    async def test_a_transaction_that_the_body_repeats_starts_its_child_once(self, family: Family) -> None:
        async def body(ctx: JobContext[Answer]) -> None:
            for turn in (1, 2):
                try:
                    async with ctx.transaction() as conn:
                        await ctx.queue_job(Child, Page(), conn=conn)
                        if (ctx.job.attempt, turn) == (1, 1):
                            raise OSError("a deadlock, say")
                    break
                except OSError:
                    continue
            if ctx.job.attempt == 1:
                raise OSError

        handle = await family.start(body)
        await family.run(handle)
        await family.run(handle)
        assert len(await family.children()) == 1

    async def test_bodies_that_hold_transactions_leave_a_connection_for_heartbeats(self, family: Family) -> None:
        inside, leave = 0, asyncio.Event()

        async def body(ctx: JobContext[Answer]) -> None:
            nonlocal inside
            async with ctx.transaction() as conn:
                await conn.execute("select 1")
                inside += 1
                await leave.wait()

        handles = [await family.start(body) for _ in range(8)]
        runs = [asyncio.create_task(family.run(handle)) for handle in handles]
        while inside < 3:
            await asyncio.sleep(0.01)
        for _ in range(5):
            await family.shop.database.ping()  # as a heartbeat would
        assert inside == 3
        leave.set()
        assert [job.status for job in await asyncio.gather(*runs)] == [JobStatus.SUCCEEDED] * 8


class TestThreads:
    async def test_a_plain_def_starts_a_child_and_waits_for_its_result(self, family: Family) -> None:
        parent = await family.manager.queue_job(Threaded, Ask(n=4), user_id="ann")
        run = asyncio.create_task(family.run(parent))
        while not await family.children():
            await asyncio.sleep(0.01)
        (child,) = await family.children()
        await family.manager.runner("child").execute(JobMessage.of(child))
        assert (await run).result == {"text": "page 4"}
        assert child.parent_id == parent.id

    async def test_on_the_loop_itself_it_is_an_error_and_no_deadlock(self, family: Family) -> None:
        async def body(ctx: JobContext[Answer]) -> None:
            with pytest.raises(RuntimeError, match="await"):
                ctx.wait(ctx.queue_job(Child, Page()))

        assert (await family.run(await family.start(body))).status is JobStatus.SUCCEEDED
        assert await family.children() == []


async def test_one_connection_is_lent_too_where_there_is_no_other(jobs_url: str, shop: Shop) -> None:
    database = Database(jobs_url, max_size=1)
    async with PostgresRepository(database).transaction() as conn:
        assert isinstance(conn, psycopg.AsyncConnection)
        await conn.execute("select 1")
    await database.ping()
    await database.close()
