"""Hints to admins that jobs changed: few and short, however many changes there are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

from queued_jobs.outbox import LAST_CALL, PAUSE, log_failure

#: The least time between two nudges of one process.
EVERY = timedelta(seconds=1)
#: Ids in one nudge. Beyond that a reader reads its page again anyway.
MAX_IDS = 100


class Nudges:
    """Gathers ids and sends them at most once a second, the first at once, off the caller's path.

    What is gathered when the process dies is lost; admins' pages also read again by themselves.
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
        """Send what is left, as far as that takes no longer than a few seconds."""
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
        except Exception as exc:  # noqa: BLE001 (a hint that is lost changes nothing)
            if not self._away:
                log_failure(exc, "nudges about changed jobs do not get through for now")
            self._away = True
