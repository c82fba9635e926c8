"""A Postgres that comes and goes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from queued_jobs.database import Database
from queued_jobs.errors import StoreRefused, StoreUnavailable
from queued_jobs.postgres import PostgresRepository
from queued_jobs.schema import migrate
from tests.integration.queued_jobs.conftest import Shop
from tools.local_stack.postgres import PostgresServer


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of this test's own, to be stopped at will."""
    server = PostgresServer(tmp_path_factory.mktemp("own") / "postgres", durable=False)
    server.start()
    yield server
    server.stop()
    server.delete_data()


async def test_a_server_that_was_restarted_is_used_again(server: PostgresServer) -> None:
    await migrate(server.url)
    database = Database(server.url)
    await database.ping()
    await asyncio.to_thread(server.stop)
    with pytest.raises(StoreUnavailable):
        await database.ping()
    await asyncio.to_thread(server.start)
    await database.ping()
    await database.close()


async def test_each_caller_with_time_left_has_a_connection_when_the_server_is_back(jobs_url: str) -> None:
    """Each of these callers waits three seconds at most; they arrive at all moments of the attempts that fail."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    back_at = start + 5.0

    async def password() -> str:
        if loop.time() < back_at:
            await asyncio.sleep(0.25)  # so that callers arrive during an attempt
            raise psycopg.OperationalError("away")
        return str(conninfo_to_dict(jobs_url)["password"])

    database = Database(jobs_url, password=password, max_size=20)

    async def arrive(after: float) -> float | None:
        await asyncio.sleep(after)
        try:
            await database.ping()
        except StoreUnavailable:
            return None
        return loop.time()

    moments = [n / 10 for n in range(48)]
    served = await asyncio.gather(*(arrive(moment) for moment in moments))
    refused = {moment for moment, at in zip(moments, served, strict=True) if at is None}
    assert refused, "the first of them had no time left"
    assert max(refused) < 3.5, "those after them had a second and a half and more when it was back"
    await database.close()


async def test_connections_that_the_server_cut_are_replaced(shop: Shop, jobs_url: str) -> None:
    await shop.database.ping()
    async with await psycopg.AsyncConnection.connect(jobs_url, autocommit=True) as other:
        await other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
    await shop.database.ping()


async def test_a_value_that_cannot_be_kept_is_told_apart_from_a_server_that_is_away(shop: Shop) -> None:
    with pytest.raises(StoreRefused):
        await shop.database.rows("reject", {"queue": "a\0b", "reason": "", "body_sha256": b"", "body_start": ""})


async def test_text_that_cannot_be_sent_is_refused_like_text_that_cannot_be_kept(shop: Shop) -> None:
    job = (await shop.queue()).job
    for look in (
        shop.tracker.get(job.id, user_id="\ud800"),
        shop.tracker.for_user("\ud800"),
        shop.tracker.clear("\ud800", job.id),
        shop.database.rows("mark_sent", {"ids": ["\ud800"], "gens": [1], "untils": [job.created_at]}),
    ):
        with pytest.raises(StoreRefused):
            await look
    await shop.database.ping()


async def test_times_are_utc_wherever_the_server_is(shop: Shop) -> None:
    job = (await shop.queue()).job
    assert str(job.created_at.tzinfo) == "UTC"


async def test_a_slow_statement_is_given_up(shop: Shop) -> None:
    async with shop.database.connection() as conn:
        row = await (await conn.execute("show statement_timeout")).fetchone()
    assert row == {"statement_timeout": "10s"}


def test_each_event_loop_has_a_pool_of_its_own(jobs_url: str) -> None:
    repository = PostgresRepository(database := Database(jobs_url))
    seen = []

    async def use() -> None:
        seen.append(await repository.unsent(limit=1))
        await database.close()

    threads = [threading.Thread(target=asyncio.run, args=(use(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [[], []]


async def test_cold_starts_at_once_open_one_pool(jobs_url: str) -> None:
    database = Database(jobs_url)
    await asyncio.gather(*(database.ping() for _ in range(10)))
    await database.close()
