"""Drops expired results, after the data that they refer to."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from queued_jobs.announcements import announce
from queued_jobs.duties import Batch
from queued_jobs.errors import InvalidResult
from queued_jobs.hooks import HookTooLate, call_hook_in_time
from queued_jobs.model import JobKey, QueuedJob
from queued_jobs.notifier import Notifier
from queued_jobs.offload import offload_unless_small
from queued_jobs.repository import Repository
from queued_jobs.runner import JobRunner

logger = logging.getLogger(__name__)

#: Concurrent hooks: most of them wait for a storage account.
MAX_HOOKS = 32
#: Time limit of one hook. Others run in the meantime.
HOOK_TIME = timedelta(seconds=10)
#: How long one step waits for the hooks that it started.
STEP_TIME = timedelta(seconds=1)
#: Consecutive failed hooks of one kind after which the rest of the kind is left for a later sweep.
MAX_FAILURES = 8


class Expiry:
    """Drops results: for a sweep those that are old, or those that `take` returns.

    Hooks run concurrently, and slow hooks keep running while the next batch starts; `finish` waits for the last. A kind
    whose hooks keep failing is skipped for the rest of this sweep. Results that were taken but not dropped are tried
    again after an hour.
    """

    def __init__(
        self,
        repository: Repository,
        notifier: Notifier,
        runners: Mapping[str, JobRunner[Any, Any]],
        *,
        take: Callable[[int], Awaitable[list[QueuedJob]]] | None = None,
        keep: timedelta = timedelta(),
        limit: int,
    ) -> None:
        self._repository = repository
        self._notifier = notifier
        self._runners = runners
        self._take = take or self._take_old
        self._keep = keep
        self._limit = limit
        self._hooks: set[asyncio.Task[None]] = set()
        self._removed: list[JobKey] = []
        self._failures: Counter[str] = Counter()
        self._left: Counter[str] = Counter()

    async def step(self) -> Batch:
        """Take a batch and start its hooks; drop the results whose hooks have ended."""
        due = await self._take(self._limit)
        for job in due:
            runner = self._runners.get(job.kind)
            if runner is None or runner.result_type is None or not runner._has_expiry_hook:
                self._removed.append(job.id)
                continue
            if len(self._hooks) >= MAX_HOOKS:
                await self._wait(asyncio.FIRST_COMPLETED)
            if self._is_skipped(job.kind):
                self._left[job.kind] += 1
            else:
                self._hooks.add(asyncio.create_task(self._call(runner, job)))
        await self._wait(asyncio.ALL_COMPLETED, STEP_TIME.total_seconds())
        return Batch(done=await self._drop(), more=len(due) >= self._limit)

    async def finish(self) -> int:
        """Wait for the running hooks, drop the last results, and log what remains. Returns how many were dropped."""
        await self._wait(asyncio.ALL_COMPLETED)
        for kind, left in self._left.items():
            logger.warning(
                "%s: %d results were not removed after %d failures in a row; they are tried again later",
                kind,
                left,
                MAX_FAILURES,
            )
        return await self._drop()

    async def _take_old(self, limit: int) -> list[QueuedJob]:
        return await self._repository.expiring(older_than=self._keep, kinds=self._kept(), limit=limit)

    def _kept(self) -> dict[str, timedelta]:
        """Return the retention of results by kind. Kinds that are skipped are excluded from this sweep."""
        kept = {
            kind: min(times)
            for kind, runner in self._runners.items()
            if (times := [time for time in (runner.keep_result, runner.keep or self._keep) if time is not None])
        }
        return kept | {kind: timedelta.max for kind in self._failures if self._is_skipped(kind)}

    def _is_skipped(self, kind: str) -> bool:
        return self._failures[kind] >= MAX_FAILURES

    def cancel(self) -> None:
        """Cancel the running hooks, when the sweep itself is cancelled."""
        for hook in self._hooks:
            hook.cancel()

    async def _wait(self, until: str, timeout: float | None = None) -> None:
        if self._hooks:
            _, self._hooks = await asyncio.wait(self._hooks, return_when=until, timeout=timeout)

    async def _drop(self) -> int:
        removed, self._removed = self._removed, []
        dropped = 0
        for start in range(0, len(removed), self._limit):
            expired = await self._repository.expire(removed[start : start + self._limit])
            await announce(self._notifier, *expired)
            dropped += len(expired)
        return dropped

    async def _call(self, runner: JobRunner[Any, Any], job: QueuedJob) -> None:
        if await self._remove(runner, job):
            self._failures[job.kind] = 0
            self._removed.append(job.id)
        elif not self._is_skipped(job.kind):
            self._failures[job.kind] += 1

    async def _remove(self, runner: JobRunner[Any, Any], job: QueuedJob) -> bool:
        try:
            result = await offload_unless_small(job.result, runner.read_result, job)
            await call_hook_in_time(runner.on_result_expired, job, result, within=HOOK_TIME)
        except InvalidResult as exc:
            # it will never fit the type again, so the data it refers to has to expire by itself
            logger.warning(
                "job %s (%s): the expired result no longer matches its type, so on_result_expired was skipped: %s",
                job.id,
                job.kind,
                exc,
            )
            return True
        except HookTooLate:
            logger.warning("job %s (%s): removing the expired result timed out, will retry", job.id, job.kind)
            return False
        except Exception:
            # an unavailable storage account must not keep other results from expiring
            logger.exception("job %s (%s): removing the expired result failed, will retry", job.id, job.kind)
            return False
        return True
