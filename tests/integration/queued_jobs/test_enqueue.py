"""Jobs as part of the caller's own transaction, and keys under real concurrency."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import psycopg
import pytest

from queued_jobs import QueueManager
from queued_jobs.batch import Batch
from queued_jobs.errors import KeyReused
from queued_jobs.queues import Queues, StorageQueues
from tests.integration.queued_jobs.conftest import Answer, Ask, Demo, Shop


async def test_a_job_exists_if_the_transaction_commits(shop: Shop) -> None:
    async with shop.database.connection() as conn, conn.transaction():
        handle = await shop.queue(conn=conn)
        assert await shop.count() == 0, "nobody else sees it yet"
        assert shop.queues.sent == [], "no worker is woken for a row that it cannot see"
    assert await shop.count() == 1
    await handle.send()
    await handle.send()
    assert len(shop.queues.sent) == 1


async def test_a_rolled_back_transaction_leaves_nothing(shop: Shop) -> None:
    async with shop.database.connection() as conn, conn.transaction(force_rollback=True):
        await shop.queue(conn=conn)
    assert await shop.count() == 0
    assert shop.queues.sent == []
    assert shop.notifier.pushed == []


async def test_twenty_at_once_under_one_key_are_one_job(shop: Shop) -> None:
    handles = await asyncio.gather(*(shop.queue(idempotency_key="k") for _ in range(20)))
    assert len({handle.id for handle in handles}) == 1
    assert sum(not handle.duplicate for handle in handles) == 1
    assert await shop.count() == 1


async def test_twenty_at_once_under_one_unique_key_are_one_job(shop: Shop) -> None:
    handles = await asyncio.gather(*(shop.queue(unique_key="u", n=n) for n in range(20)))
    assert len({handle.id for handle in handles}) == 1


async def test_another_request_under_the_same_key_is_refused_while_the_first_commits(shop: Shop) -> None:
    results = await asyncio.gather(*(shop.queue(idempotency_key="k", n=n) for n in range(8)), return_exceptions=True)
    assert sum(isinstance(result, KeyReused) for result in results) == 7
    assert await shop.count() == 1


async def test_a_serialization_failure_in_the_callers_transaction_reaches_the_caller(shop: Shop) -> None:
    async with shop.database.connection() as conn:
        await conn.execute("begin isolation level repeatable read")
        await conn.execute("select 1")
        await shop.queue(idempotency_key="k")
        with pytest.raises(psycopg.errors.SerializationFailure):
            await shop.queue(idempotency_key="k", conn=conn)
        await conn.execute("rollback")


async def many(shop: Shop, count: int, *, queues: Queues | None = None, **options: Any) -> Batch[Answer]:
    manager = QueueManager((), repository=shop.repository, queues=queues or shop.queues, notifier=shop.notifier)
    return await manager.queue_jobs(Demo, [Ask(n=number) for number in range(count)], user_id="ann", **options)


class Statements:
    """How often each statement runs from now on."""

    def __init__(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count: Counter[str] = Counter()
        run = shop.database._run

        async def counted(conn: Any, name: str, *args: Any, **options: Any) -> Any:
            self.count[name] += 1
            return await run(conn, name, *args, **options)

        monkeypatch.setattr(shop.database, "_run", counted)


class TestLargeBatches:
    async def test_a_queue_that_hangs_keeps_the_caller_for_one_timeout_and_loses_nothing(self, shop: Shop) -> None:
        connections: list[asyncio.StreamWriter] = []

        async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            while await reader.read(65536):
                continue  # and never answer

        async with await asyncio.start_server(swallow, "127.0.0.1", 0) as hole:
            port = hole.sockets[0].getsockname()[1]
            account = (
                "DefaultEndpointsProtocol=http;AccountName=hangs;AccountKey=bm9uZQ==;"
                f"QueueEndpoint=http://127.0.0.1:{port}/hangs;"
            )
            async with StorageQueues(account) as queues:
                batch = await many(shop, 10_000, queues=queues)
            for writer in connections:
                writer.close()
        # ten thousand, eight at a time and five seconds each, would take more than an hour and a half
        assert len(connections) <= 16, "eight sends with a retry"
        assert not any(handle.sent for handle in batch.handles)
        assert await shop.count() == 10_000
        async with shop.database.connection() as conn:
            await conn.execute("update queued_jobs.job set next_send_at = created_at")
        report = await shop.manager.sweeper.run_once()
        assert report.sent == 10_000
        assert {due.message.id for due in shop.queues.sent} == {handle.id for handle in batch.handles}
        assert await shop.repository.unsent(limit=10) == []

    async def test_a_repeated_one_is_looked_up_at_once(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        first = await many(shop, 10_000, idempotency_key="import")
        statements = Statements(shop, monkeypatch)
        again = await many(shop, 10_000, idempotency_key="import")
        assert statements.count == {"enqueue": 1, "find_existing": 1}
        assert all(handle.duplicate and handle.sent for handle in again.handles)
        assert [handle.id for handle in again.handles] == [handle.id for handle in first.handles]
        assert len(shop.queues.sent) == await shop.count() == 10_000

    async def test_an_idempotency_key_goes_before_a_unique_key(self, shop: Shop) -> None:
        by_unique = await shop.queue(unique_key="u")
        by_key = await shop.queue(idempotency_key="k")
        assert (await shop.queue(idempotency_key="k", unique_key="u")).id == by_key.id
        assert (await shop.queue(idempotency_key="other", unique_key="u")).id == by_unique.id
        with pytest.raises(KeyReused):
            await shop.queue(n=2, idempotency_key="k", unique_key="u")
