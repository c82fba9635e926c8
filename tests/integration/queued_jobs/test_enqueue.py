"""Jobs as part of the caller's own transaction, and keys under real concurrency."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from queued_jobs.errors import KeyReused
from tests.integration.queued_jobs.conftest import Shop


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
