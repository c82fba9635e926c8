"""Bringing a database up to date."""

from __future__ import annotations

import asyncio

import psycopg

from queued_jobs.schema import migrate, migrations


async def test_a_fresh_database_gets_everything_once(database_url: str) -> None:
    assert await migrate(database_url) == [name for _, name, _ in migrations()]
    assert await migrate(database_url) == []


async def test_several_at_once_share_the_work(database_url: str) -> None:
    applied = await asyncio.gather(*(migrate(database_url) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(migrations())]


def test_numbers_are_in_order_and_apart() -> None:
    numbers = [number for number, _, _ in migrations()]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


async def test_a_broken_row_is_refused_by_the_schema(database_url: str) -> None:
    await migrate(database_url)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        for column, value in [("status", "running"), ("finished_at", "2026-01-01"), ("queue", "a-poison" * 8)]:
            try:
                await conn.execute(
                    psycopg.sql.SQL(
                        "insert into queued_jobs.job (id, kind, queue, user_id, request) "
                        "values (gen_random_uuid(), 'demo', 'demo', 'ann', '{{}}');"
                        "update queued_jobs.job set {} = {}"
                    ).format(psycopg.sql.Identifier(column), psycopg.sql.Literal(value))
                )
            except psycopg.errors.CheckViolation:
                continue
            raise AssertionError(f"{column} = {value} was taken")
