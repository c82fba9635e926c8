"""The stores that the contract suite runs on."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import sql

from queued_jobs import QueuedJob
from queued_jobs.chunks import Chunk
from queued_jobs.database import Database
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import Added, Attempt, JobError, JobKey, NewJob
from queued_jobs.postgres import PostgresRepository
from queued_jobs.repository import Repository
from queued_jobs.schema import Tables, migrate
from queued_jobs.testing import InMemoryRepository
from queued_jobs.testing.rows import StoredStream
from tests.support.own_database import own_database
from tools.local_stack.pgbouncer import PgBouncer
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.state import temporary_folder

HOUR = timedelta(hours=1)
BOOM = JobError(type="Boom", message="it broke")
NUMBERED = Tables(schema="desk", prefix="export_", key_type=int)


class Store(Protocol):
    """A repository, and the means to look behind it."""

    repository: Repository

    async def row(self, key: JobKey) -> QueuedJob: ...
    async def attempts(self, key: JobKey) -> list[Attempt]: ...
    async def shift(self, key: JobKey, **by: timedelta) -> None:
        """Move times of a row: `shift(key, lease_until=-hour)`."""

    async def set(self, key: JobKey, **values: Any) -> None: ...
    async def chunks(self, key: JobKey) -> list[Chunk]: ...
    async def rejected(self) -> int:
        """How many messages are kept for the admin."""


class Helpers:
    """What a test says often."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.repository = store.repository
        self.row, self.attempts, self.shift, self.set = store.row, store.attempts, store.shift, store.set
        self.rejected, self.chunks = store.rejected, store.chunks

    async def add(self, **changes: Any) -> Added:
        values: dict[str, Any] = {
            "id": (await self.repository.new_keys(1))[0],
            "kind": "demo",
            "schema_version": 1,
            "queue": "demo",
            "user_id": "ann",
            "request": {"n": 1},
            "max_attempts": 5,
        }
        (added,) = await self.repository.add(NewJob(**(values | changes)))
        return added

    async def waiting(self, **changes: Any) -> QueuedJob:
        return (await self.add(**changes)).job

    async def batch(self, count: int) -> list[QueuedJob]:
        keys = await self.repository.new_keys(count)
        values: dict[str, Any] = {"kind": "demo", "schema_version": 1, "queue": "demo", "user_id": "ann"}
        added = await self.repository.add(*(NewJob(id=key, request={}, max_attempts=5, **values) for key in keys))
        return [one.job for one in added]

    async def claim(self, job: QueuedJob, *, gen: int | None = None, **changes: Any) -> QueuedJob | None:
        values: dict[str, Any] = {
            "kind": "demo",
            "schema_version": 1,
            "lease": timedelta(seconds=60),
            "timeout": timedelta(minutes=20),
        }
        message = JobMessage(id=job.id, gen=job.dispatch_gen if gen is None else gen)
        return await self.repository.claim(message, **(values | changes))

    async def sent(self, **changes: Any) -> QueuedJob:
        """A job whose message has gone out."""
        job = await self.waiting(**changes)
        await self.repository.mark_sent([Reserved.of(job)])
        return await self.row(job.id)

    async def running(self, **changes: Any) -> QueuedJob:
        claimed = await self.claim(await self.waiting(**changes))
        assert claimed is not None
        return claimed


class MemoryStore:
    def __init__(self) -> None:
        self._memory = InMemoryRepository()
        self.repository: Repository = self._memory

    async def row(self, key: JobKey) -> QueuedJob:
        return self._memory.jobs[key]

    async def attempts(self, key: JobKey) -> list[Attempt]:
        return self._memory.attempts.get(key, [])

    async def shift(self, key: JobKey, **by: timedelta) -> None:
        job = self._memory.jobs[key]
        await self.set(key, **{name: getattr(job, name) + span for name, span in by.items()})

    async def set(self, key: JobKey, **values: Any) -> None:
        self._memory.jobs[key] = dataclasses.replace(self._memory.jobs[key], **values)

    async def chunks(self, key: JobKey) -> list[Chunk]:
        return [chunk for _, chunk in self._memory.streams.get(key, StoredStream()).chunks]

    async def rejected(self) -> int:
        return len(self._memory.rejected)


class PostgresStore:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.repository: Repository = PostgresRepository(database)
        self._table = sql.Identifier(database.tables.schema, f"{database.tables.prefix}job")

    async def row(self, key: JobKey) -> QueuedJob:
        row = await self.database.row("get", {"id": key, "any_user": True, "user_id": None})
        assert row is not None
        return QueuedJob.from_row(row)

    async def attempts(self, key: JobKey) -> list[Attempt]:
        rows = await self.database.rows("attempts", {"id": key, "any_user": True, "user_id": None})
        return [Attempt.from_row(row) for row in rows]

    async def chunks(self, key: JobKey) -> list[Chunk]:
        page = {"topic": None, "after": 0, "n": 10_000, "max_size": 10**9}
        rows = await self.database.rows("stream", {"id": key, "any_user": True, "user_id": None, **page})
        return [Chunk(**{name: row[name] for name in Chunk.__slots__}) for row in rows if row["seq"] is not None]

    async def shift(self, key: JobKey, **by: timedelta) -> None:
        async with self.database.connection() as conn:
            for name, span in by.items():
                column = sql.Identifier(name)
                update = sql.SQL("update {} set {} = {} + %s where id = %s").format(self._table, column, column)
                await conn.execute(update, (span, key))

    async def set(self, key: JobKey, **values: Any) -> None:
        columns = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
        async with self.database.connection() as conn:
            update = sql.SQL("update {} set {} where id = %s").format(self._table, columns)
            await conn.execute(update, (*values.values(), key))

    async def rejected(self) -> int:
        table = sql.Identifier(self.database.tables.schema, f"{self.database.tables.prefix}rejected_message")
        async with self.database.connection() as conn:
            cursor = await conn.execute(sql.SQL("select id from {}").format(table))
            return len(await cursor.fetchall())


@pytest.fixture(scope="session")
def template_with_numbers(postgres: PostgresServer, migrated_template: str) -> str:
    """The name of a database that has tables with numbers for keys beside the ordinary ones."""
    name = "migrated_numbers"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create database {name} template {migrated_template} strategy file_copy")
    asyncio.run(migrate(postgres.url_of(name), NUMBERED))
    return name


@pytest.fixture(scope="session")
def pooler(postgres: PostgresServer) -> Iterator[PgBouncer]:
    with temporary_folder() as folder:
        server = PgBouncer(folder / "pgbouncer", postgres.url)
        server.start()
        yield server
        server.stop()


@pytest.fixture(params=["memory", "uuid", "bigint-pooler"])
def store(request: pytest.FixtureRequest) -> Iterator[Database | None]:
    """Where the store is; None for memory. The one with numbers for keys is behind a pooler in transaction mode."""
    if request.param == "memory":
        yield None
    elif request.param == "uuid":
        yield Database(request.getfixturevalue("jobs_url"))
    else:
        postgres, template = request.getfixturevalue("postgres"), request.getfixturevalue("template_with_numbers")
        pooler: PgBouncer = request.getfixturevalue("pooler")
        with own_database(postgres, template) as url:
            yield Database(pooler.url_of(url), tables=NUMBERED, transaction_pooler=True)


@pytest.fixture
async def jobs(store: Database | None) -> AsyncIterator[Helpers]:
    if store is None:
        yield Helpers(MemoryStore())
        return
    database = store
    yield Helpers(PostgresStore(database))
    await database.close()
