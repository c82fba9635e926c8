"""A higher floor: the same loop, but what is under way at once shares round trips, commits and pushes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tools.bench.naked import Naked, Row
from tools.bench.subject import Settings

MAX_TOGETHER = 32
SENDERS = 4


class Sharing(Naked):
    """One pipeline at a time carries all statements that wait; four senders carry the newest view of each job."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._statements: list[tuple[bytes, Mapping[str, Any], asyncio.Future[Row]]] = []
        self._views: dict[str, dict[Any, dict[str, Any]]] = {}
        self._pipelining: asyncio.Task[None] | None = None
        self._senders: set[asyncio.Task[None]] = set()

    async def run(self, in_flight: int) -> None:
        await super().run(in_flight)
        while self._senders:
            await asyncio.wait(self._senders)

    async def query(self, text: bytes, params: Mapping[str, Any]) -> Row:
        future: asyncio.Future[Row] = asyncio.get_running_loop().create_future()
        self._statements.append((text, params, future))
        if self._pipelining is None or self._pipelining.done():
            self._pipelining = asyncio.create_task(self._run_statements())
        return await future

    async def _run_statements(self) -> None:
        conn = await self._free.get()
        try:
            while self._statements:
                group, self._statements = self._statements[:MAX_TOGETHER], self._statements[MAX_TOGETHER:]
                async with conn.pipeline():
                    cursors = [await conn.execute(text, params) for text, params, _ in group]
                for cursor, (_, _, future) in zip(cursors, group, strict=True):
                    row = await cursor.fetchone()
                    if row is None:
                        future.set_exception(RuntimeError("The job was not claimed."))
                    else:
                        future.set_result(row)
        finally:
            self._free.put_nowait(conn)

    async def push(self, row: Row) -> None:
        self._views.setdefault(row["user_id"], {})[row["id"]] = self.view(row)
        if len(self._senders) < SENDERS:
            task = asyncio.create_task(self._send())
            self._senders.add(task)
            task.add_done_callback(self._senders.discard)

    async def _send(self) -> None:
        while self._views:
            user_id = next(iter(self._views))
            views = self._views.pop(user_id)
            await self.post(user_id, list(views.values()))
