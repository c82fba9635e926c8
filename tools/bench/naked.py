"""The floor: the statements and pushes of the library in a loop, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from httpx_aiohttp import AiohttpTransport
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from queued_jobs.message import JobMessage
from queued_jobs.model import QueuedJob
from queued_jobs.push.signalr import ConnectionString
from queued_jobs.push.view import JobView
from queued_jobs.registry import JobRegistry
from queued_jobs.schema import TABLES, statement
from tools.bench.kinds import Done, Noop
from tools.bench.subject import CONNECTIONS, Settings, Subject

type Row = dict[str, Any]

CLAIM, SUCCEED = statement("claim"), statement("succeed")
RESULT = Jsonb(Done(n=1, text="a request of ordinary length").model_dump())
ARGUMENTS = {
    "kind": "noop",
    "schema_version": 1,
    "worker_id": "naked:1",
    "lease": 60.0,
    "timeout": 1200.0,
    "max_concurrent": 1,
    "first_key": TABLES.first_key,
}


class Naked(Subject):
    """Two statements and two POSTs for each job. A push is made once, and each later one is a copy of it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._endpoint = ConnectionString.parse(self.hub).endpoint
        self._registry = JobRegistry([Noop])
        self._free: asyncio.Queue[psycopg.AsyncConnection[Row]] = asyncio.Queue()
        self._view: dict[str, Any] | None = None

    async def open(self) -> None:
        await super().open()
        self._client = httpx.AsyncClient(transport=AiohttpTransport(), timeout=2)
        for _ in range(CONNECTIONS):
            self._free.put_nowait(
                await psycopg.AsyncConnection.connect(
                    self.url, autocommit=True, row_factory=dict_row, options="-c timezone=UTC", prepare_threshold=0
                )
            )

    async def run_one(self, message: JobMessage) -> None:
        token = uuid4()
        row = await self.query(CLAIM, {**ARGUMENTS, "id": message.id, "gen": message.gen, "token": token})
        await self.push(row)
        row = await self.query(SUCCEED, {"id": message.id, "token": token, "result": RESULT})
        await self.push(row)

    async def query(self, text: bytes, params: Mapping[str, Any]) -> Row:
        conn = await self._free.get()
        try:
            row = await (await conn.execute(text, params)).fetchone()
        finally:
            self._free.put_nowait(conn)
        if row is None:
            raise RuntimeError("The job was not claimed.")
        return row

    async def push(self, row: Row) -> None:
        """Push the change of a job to its owner."""
        await self.post(row["user_id"], [self.view(row)])

    def view(self, row: Row) -> dict[str, Any]:
        if self._view is None:
            self._view = JobView.of(QueuedJob.from_row(row), self._registry).to_json()
        return self._view

    async def post(self, user_id: str, views: list[dict[str, Any]]) -> None:
        response = await self._client.post(
            f"{self._endpoint}/api/hubs/jobs/users/{user_id}/:send",
            params={"api-version": "2022-11-01"},
            content=json.dumps({"target": "job", "arguments": views}).encode(),
            headers={"Authorization": f"Bearer {'x' * 180}", "Content-Type": "application/json"},
        )
        response.raise_for_status()

    async def close(self) -> None:
        while not self._free.empty():
            await (await self._free.get()).close()
        await self._client.aclose()
