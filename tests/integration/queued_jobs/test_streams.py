"""What jobs emit: who reads it, how much of it at a time, what it costs, and how it is deleted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection, sql

from queued_jobs import JobContext, JobStatus, QueuedJob
from queued_jobs.chunks import CHUNK_OVERHEAD, MAX_CHUNK_BYTES, NewChunk
from queued_jobs.database import Database, Row
from queued_jobs.errors import JobNotFound
from queued_jobs.message import JobMessage
from queued_jobs.tracker import ANY_USER
from tests.integration.queued_jobs.conftest import Answer, Ask, Demo, Shop
from tests.support.plans import Plan

MIB = 1024 * 1024
DAY = timedelta(days=1)


async def emitted(shop: Shop, *texts: str, topic: str = "log", job: QueuedJob | None = None) -> QueuedJob:
    job = job or await shop.running("ann")
    page = await shop.tracker.stream(job.id, user_id="ann", limit=10_000)
    chunks = [NewChunk(topic=topic, text=text) for text in texts]
    assert await shop.repository.append(job, chunks, written=page.after, max_size=16 * MIB) is not None
    return job


class TestReading:
    async def test_only_the_owner_and_admins_read(self, shop: Shop) -> None:
        job = await emitted(shop, "a")
        for user in ("ann", ANY_USER):
            assert [one.text for one in (await shop.tracker.stream(job.id, user_id=user)).chunks] == ["a"]
        for key, user in ((job.id, "bob"), (uuid4(), "ann"), (uuid4(), ANY_USER)):
            with pytest.raises(JobNotFound):
                await shop.tracker.stream(key, user_id=user)

    async def test_a_job_without_output_has_none(self, shop: Shop) -> None:
        job = await shop.running("ann")
        page = await shop.tracker.stream(job.id, user_id="ann")
        assert (page.chunks, page.after, page.more, page.omitted) == ((), 0, False, False)

    @pytest.mark.parametrize("topic", [None, "a", "b", "none"])
    async def test_pages_together_are_everything_once(self, shop: Shop, topic: str | None) -> None:
        job = await emitted(shop, *map(str, range(10)), topic="a")
        await emitted(shop, *map(str, range(10, 15)), topic="b", job=job)
        await emitted(shop, *map(str, range(15, 30)), topic="a", job=job)
        found: list[int] = []
        after, pages = 0, 0
        while True:
            page = await shop.tracker.stream(job.id, user_id="ann", topic=topic, after=after, limit=4)
            found += [int(one.text) for one in page.chunks]
            after, pages = page.after, pages + 1
            if not page.more:
                break
        expected = {None: range(30), "a": [*range(10), *range(15, 30)], "b": range(10, 15), "none": []}
        assert found == list(expected[topic])
        assert after == 30
        assert pages <= 9

    async def test_a_page_is_not_much_larger_than_a_mebibyte(self, shop: Shop) -> None:
        job = await shop.running("ann")
        three = [NewChunk(topic="log", text="x" * MAX_CHUNK_BYTES)] * 3
        for number in range(20):
            await shop.repository.append(job, three, written=3 * number, max_size=16 * MIB)
        sizes, after = [], 0
        while True:
            page = await shop.tracker.stream(job.id, user_id="ann", after=after, limit=1_000)
            sizes.append(sum(len(one.text) for one in page.chunks))
            after = page.after
            if not page.more:
                break
        assert sum(sizes) == 60 * MAX_CHUNK_BYTES
        assert max(sizes) <= MIB + MAX_CHUNK_BYTES

    @pytest.mark.parametrize("after", [-(2**63), -1, 3, 10**12, 2**63 - 1])
    async def test_a_forged_number_shows_nothing_else(self, shop: Shop, after: int) -> None:
        job, other = await emitted(shop, "a", "b"), await emitted(shop, "theirs")
        assert other.id != job.id
        page = await shop.tracker.stream(job.id, user_id="ann", after=after)
        assert [one.text for one in page.chunks] == (["a", "b"] if after < 0 else [])
        assert (page.after, page.more) == (2, False)

    async def test_what_is_gone_is_told(self, shop: Shop) -> None:
        job = await shop.running("ann")
        for number in range(20):
            chunk = NewChunk(topic="log", text=f"{number:02}")
            await shop.repository.append(job, [chunk], written=number, max_size=5 * (CHUNK_OVERHEAD + 2))
        seen = [await shop.tracker.stream(job.id, user_id="ann", after=after) for after in (0, 14, 15, 20)]
        assert [page.omitted for page in seen] == [True, True, False, False]
        assert [len(page.chunks) for page in seen] == [5, 5, 5, 0]


class TestWriting:
    async def test_a_job_that_emits_pays_for_its_batches_and_another_pays_nothing(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ran: list[str] = []
        run = Database._run

        async def counting(self: Database, conn: object, name: str, *args: object, **options: object) -> list[Row]:
            ran.append(name)
            return await run(self, conn, name, *args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(Database, "_run", counting)

        class Talkative(Demo):
            async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
                for number in range(request.n):
                    await ctx.emit("tokens", f"{number}")
                return Answer(text="done")

        for count, expected in ((0, ["claim", "succeed"]), (1_000, ["claim", "append", "succeed"])):
            handle = await shop.manager.queue_job(Demo, Ask(n=count), user_id="ann")
            ran.clear()
            await Talkative(shop.backend).execute(JobMessage.of(handle.job))
            assert [name for name in ran if name in ("claim", "append", "heartbeat", "succeed")] == expected
            assert (await shop.tracker.get(handle.id, user_id="ann")).status is JobStatus.SUCCEEDED

    @pytest.mark.parametrize("commits", [True, False])
    async def test_what_is_emitted_beside_a_transaction_is_stored_with_it_or_after_it(
        self, shop: Shop, commits: bool
    ) -> None:
        """The transaction holds the job's row, for which the append waits."""

        class Transfer(Demo):
            async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
                await ctx.emit("tokens", "a")
                async with ctx.transaction() as conn:
                    await ctx.save(1, conn=conn)
                    await ctx.emit("tokens", "b")
                    await asyncio.sleep(0.2)
                    await ctx.emit("tokens", "c")
                    await ctx.complete(Answer(text="done"), conn=conn)
                    if not commits:
                        raise ValueError
                return Answer(text="done")

        handle = await shop.manager.queue_job(Demo, Ask(n=1), user_id="ann")
        await Transfer(shop.backend).execute(JobMessage.of(handle.job))
        ended = await shop.tracker.get(handle.id, user_id="ann")
        assert ended.status is (JobStatus.SUCCEEDED if commits else JobStatus.RETRYING)
        page = await shop.tracker.stream(handle.id, user_id="ann")
        assert [one.text for one in page.chunks] == ["a", "b", "c"]

    async def test_two_attempts_that_append_at_once_do_not_mix(self, shop: Shop) -> None:
        """The lease goes over while a loser's appends are under way."""
        for _ in range(10):
            job = await emitted(shop, "first")
            late = [
                shop.repository.append(job, [NewChunk(topic="log", text=f"{number}")], written=1, max_size=MIB)
                for number in range(10)
            ]
            *appended, released = await asyncio.gather(*late, shop.repository.release(job))
            assert released is not None
            stored = (await shop.tracker.stream(job.id, user_id="ann")).chunks
            assert len(stored) <= 2, "the same place was appended once"
            assert len([one for one in appended if one]) >= len(stored) - 1
            assert await shop.repository.append(job, [NewChunk(topic="log", text="x")], written=2, max_size=MIB) is None

    async def test_a_chunk_that_is_hostile_in_sql_is_text(self, shop: Shop) -> None:
        texts = ["'; drop table queued_jobs.chunk; --", "%s %(id)s", "{a,b}", "NULL", '"', "\\"]
        job = await emitted(shop, *texts)
        assert [one.text for one in (await shop.tracker.stream(job.id, user_id="ann")).chunks] == texts


class TestDeletion:
    @pytest.fixture
    def conn(self, jobs_url: str) -> Connection[tuple[int, ...]]:
        return psycopg.connect(jobs_url, autocommit=True)

    async def test_a_statement_deletes_few_chunks_and_all_go_in_the_end(
        self, shop: Shop, conn: Connection[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("queued_jobs._upkeep.MAX_CHUNKS", 10)
        jobs = [await emitted(shop, *["a"] * count) for count in (30, 4, 4, 4, 1)]
        for job in [*jobs, await shop.running("ann")]:
            await shop.repository.finish_cancelled(job) or await shop.repository.succeed(job, None)
        await shop.repository.tally(limit=100)
        with conn:
            conn.execute("update queued_jobs.job set finished_at = now() - interval '40 days'")
        deleted = []
        while (count := await shop.repository.prune(older_than=DAY, limit=100)) > 0:
            deleted.append(count)
        assert sum(deleted) == 6
        assert len(deleted) >= 3

    async def test_the_sweeper_goes_on_until_nothing_is_left(
        self, shop: Shop, jobs_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("queued_jobs._upkeep.MAX_CHUNKS", 1)
        for _ in range(5):
            await shop.repository.succeed(await emitted(shop, "a", "b"), None)
        with psycopg.connect(jobs_url) as conn:
            conn.execute("update queued_jobs.job set finished_at = now() - interval '400 days'")
            conn.execute("update queued_jobs.attempt set tallied = true")
        assert (await shop.manager.sweeper.run_once()).pruned == 5
        with psycopg.connect(jobs_url) as conn:
            for table in ("job", "stream", "chunk"):
                query = sql.SQL("select count(*) from queued_jobs.{}").format(sql.Identifier(table))
                assert conn.execute(query).fetchone() == (0,), table


class TestCost:
    """Rows that are looked at do not grow with what was emitted before, nor with other jobs."""

    @pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
    def test_nothing_reads_more_than_its_page(self, connection: Connection[Row], mode: str) -> None:
        looked = []
        for count in (2_000, 4_000, 8_000):
            with connection.transaction(force_rollback=True):
                connection.execute(sql.SQL("set local plan_cache_mode = {}").format(sql.Literal(mode)))
                token = uuid4()
                (job,) = connection.execute(
                    "update queued_jobs.job set status = 'running', lease_token = %s, lease_until = now(),"
                    " deadline_at = now(), result = null, finished_at = null, expired_at = null, cleared_at = null"
                    " where id = (select id from queued_jobs.job order by id limit 1) returning id",
                    (token,),
                ).fetchall()
                connection.execute(
                    "insert into queued_jobs.stream (job_id, gen, written, last_seq, ends_at)"
                    " select id, 1, 0, %(n)s, 65 * %(n)s from queued_jobs.job where id = %(id)s or status = 'succeeded'"
                    " and id in (select id from queued_jobs.job where status = 'succeeded' order by id limit 20)",
                    {"n": count, "id": job["id"]},
                )
                connection.execute(
                    "insert into queued_jobs.chunk (job_id, seq, topic, text, starts_at)"
                    " select job_id, n, 'log', 'x', 65 * (n - 1)"
                    " from queued_jobs.stream, generate_series(1, last_seq) n"
                )
                connection.execute("analyze queued_jobs.chunk")
                page = {"id": job["id"], "any_user": True, "user_id": None, "topic": None, "n": 100, "max_size": MIB}
                append = {
                    **{"id": job["id"], "token": token, "n": 1, "size": 65, "written": 0, "topics": ["log"]},
                    **{"texts": ["x"], "skips": [0], "starts": [0], "max_size": 64 * count, "most": 2},
                }
                plans = [
                    Plan(connection, "stream", page | {"after": 0}),
                    Plan(connection, "stream", page | {"after": count - 50}),
                    Plan(connection, "append", append),
                ]
                # of the few that have emitted something
                assert all(plan.scanned <= {"stream"} for plan in plans)
                looked.append([plan.looked_at for plan in plans])
        assert looked[0] == looked[1] == looked[2], looked
        assert all(one < 150 for one in looked[0])
