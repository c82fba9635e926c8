"""Keeps the lease of one attempt: sends heartbeats and reports, and reads cancel requests."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from queued_jobs.context import JobContext
from queued_jobs.errors import JobCancelled, LeaseLost
from queued_jobs.model import QueuedJob
from queued_jobs.repository import Repository

#: Seconds between checks for new reports of the body.
_TICK = 0.2
#: Minimum seconds between two stored reports.
_MIN_REPORT_INTERVAL = 1.0


class Lease:
    """The time for which the job's row belongs to an attempt; each heartbeat renews it.

    There are four heartbeats per lease. If none has succeeded for three quarters of it, or the row belongs to another
    attempt, the lease counts as lost: the last quarter is the body's time to stop.

    Attributes
    ----------
    until
        End of the lease, in seconds of the monotonic clock.
    """

    def __init__(
        self,
        repository: Repository,
        ctx: JobContext[Any],
        *,
        length: timedelta,
        since: float,
        on_report: Callable[[QueuedJob], None],
        on_lost: Callable[[], object],
        log: Callable[..., None],
    ) -> None:
        self._repository = repository
        self._ctx = ctx
        self._length = length
        self._seconds = length.total_seconds()
        self._on_report = on_report
        self._on_lost = on_lost
        self._log = log
        self._ended = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.until = since + self._seconds

    def start(self) -> None:
        """Send heartbeats until `end`, or until the lease is lost. Costs nothing if the body ends at once."""

        def begin() -> None:
            self._keeping = asyncio.create_task(self._keep(last_beat=started))

        started = time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(min(_TICK, self._seconds / 4), begin)

    async def end(self) -> None:
        """Stop the heartbeats."""
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._keeping is not None:
            await asyncio.wait({self._keeping})

    async def _keep(self, *, last_beat: float) -> None:
        every = self._seconds / 4
        report_every = min(_MIN_REPORT_INTERVAL, every)
        last_report = float("-inf")
        wait = 0.0  # the first tick is over
        while not await self._ends_within(wait):
            wait = min(_TICK, every)
            now = time.monotonic()
            report = self._ctx.reports.unwritten() if now - last_report >= report_every else None
            if report is None and now - last_beat < every:
                continue
            progress, message = report or (None, None)
            beat = asyncio.create_task(
                self._repository.heartbeat(self._ctx.job, lease=self._length, progress=progress, message=message)
            )
            # even if the store never responds
            await asyncio.wait({beat}, timeout=max(0.0, self.until - every - now))
            if not beat.done():
                beat.cancel()
                self._lose()
                return
            try:
                row = beat.result()
            except Exception as exc:  # noqa: BLE001 (any error: without a heartbeat the lease ends)
                self._log("heartbeat failed: %s: %s", type(exc).__name__, exc)
                if time.monotonic() >= self.until - every:
                    self._lose()
                    return
                last_beat = time.monotonic() - every + report_every
                last_report = time.monotonic()
                continue
            if row is None:
                if not self._ctx.completed:  # else the body's own commit ended the job
                    self._lose()
                return
            last_beat, self.until = now, now + self._seconds
            if report is not None:
                last_report = now
                self._ctx.reports.wrote(report)
                self._on_report(row)
            if row.cancel_requested:
                self._ctx.stop(JobCancelled())

    def _lose(self) -> None:
        self._ctx.stop(LeaseLost())
        self._on_lost()

    async def _ends_within(self, seconds: float) -> bool:
        if not seconds:
            return self._ended.is_set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()
