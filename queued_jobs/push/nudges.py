"""Rate-limited notifications to admins that jobs changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

from queued_jobs.outbox import LAST_CALL, PAUSE, log_failure

#: Minimum time between two notifications of one process.
EVERY = timedelta(seconds=1)
#: Maximum ids in one notification. With more, readers reload their page anyway.
MAX_IDS = 100


class Nudges:
    """Collects ids and sends them in the background, at most once a second, the first one immediately.

    A crash loses pending ids; admins' pages also reload by themselves.
    """

    def __init__(self, send: Callable[[list[str]], Awaitable[None]], *, every: timedelta = EVERY) -> None:
        self._send = send
        self._every = every.total_seconds()
        self._ids: dict[str, None] = {}
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._away = False

    def add(self, ids: Iterable[str]) -> None:
        self._ids |= dict.fromkeys(ids)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send_all())

    async def close(self) -> None:
        """Send pending ids, for a few seconds at most."""
        self._closing.set()
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=LAST_CALL.total_seconds())
            for task in late:
                task.cancel()
                await asyncio.wait({task})

    async def _send_all(self) -> None:
        while self._ids:
            ids = list(self._ids)[:MAX_IDS]
            self._ids.clear()
            await self._try(ids)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), PAUSE.total_seconds() if self._away else self._every)

    async def _try(self, ids: list[str]) -> None:
        try:
            await self._send(ids)
            self._away = False
        except Exception as exc:  # noqa: BLE001 (a lost notification is harmless)
            if not self._away:
                log_failure(exc, "notifying admins of changed jobs fails for now")
            self._away = True
