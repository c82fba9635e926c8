"""Runs batched duties in turns, so that none of them delays the others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

logger = logging.getLogger(__name__)

#: Failed duties after which the store is considered unavailable.
_MAX_FAILED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How many items one step of a duty processed, and whether there are more."""

    done: int
    more: bool

    @classmethod
    def of(cls, done: int, limit: int) -> Batch:
        """Return a batch. If it is full, more items may remain."""
        return cls(done=done, more=done >= limit)


class Duty:
    """A task that is processed in batches of bounded size.

    Parameters
    ----------
    feeds
        A duty for which each non-empty batch of this one creates work.

    Attributes
    ----------
    name
        Name in reports and logs.
    done
        Items processed by all of its batches.
    more
        Whether items remain after the last batch.
    error
        The error of its last batch.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[Batch]], *, feeds: Duty | None = None) -> None:
        self.name = name
        self.done = 0
        self.more = True
        self.error: Exception | None = None
        self._step = step
        self._feeds = feeds

    async def run_batch(self) -> None:
        """Process one batch. An exception is kept in `error`, so that other duties are not affected."""
        try:
            batch = await self._step()
        except Exception as exc:  # noqa: BLE001 (raised by `Rounds.run` at the end)
            self.error, self.more = exc, False
        else:
            self.error = None
            self.done += batch.done
            self.more = batch.more
            if batch.done and self._feeds is not None:
                self._feeds.more = True


@asynccontextmanager
async def running_by_itself(duty: Duty, *, every: timedelta) -> AsyncIterator[None]:
    """Run a batch of a duty, then the block and, beside it, further batches: after a pause, or at once if more remains.

    Nothing in the block delays the duty. Raises the error of the first batch without running the block.
    """
    await duty.run_batch()
    if duty.error is not None:
        raise duty.error
    over = asyncio.Event()
    repeating = asyncio.create_task(_repeat(duty, every, over))
    try:
        yield
    finally:
        over.set()
        try:
            await asyncio.wait({repeating})
        finally:
            repeating.cancel()


async def _repeat(duty: Duty, every: timedelta, over: asyncio.Event) -> None:
    while not over.is_set():
        if not duty.more:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), every.total_seconds())
                return
        await duty.run_batch()


class Rounds:
    """Runs duties in rounds, one batch per duty and round, until all are done or the time is over.

    Every duty gets at least one batch, even if there is no time.

    Parameters
    ----------
    urgent
        Run first, in order, in each round.
    beside
        Waits for other systems, so it runs concurrently with the rest.
    rest
        Take turns.
    by_itself
        Not run here (see `running_by_itself`), but the rounds continue while it has more.
    """

    def __init__(
        self, *, urgent: Sequence[Duty], beside: Duty, rest: Sequence[Duty], by_itself: Duty | None = None
    ) -> None:
        self._urgent = urgent
        self._beside = beside
        self._rest = rest
        self._by_itself = by_itself

    @property
    def _all(self) -> Sequence[Duty]:
        return [*self._urgent, self._beside, *self._rest]

    async def run(self, time: timedelta) -> None:
        """Run all duties, then raise the error of the first duty that failed, if any.

        While only the duty that runs by itself has more, the rounds are short: the urgent duties look for work.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + time.total_seconds()
        while True:
            for duty in self._urgent:
                if not self._is_unavailable:
                    await duty.run_batch()
            await asyncio.gather(self._run(self._beside), self._run(*self._rest))
            if self._is_unavailable or clock() >= until or not self._has_more:
                break
        failed = [duty for duty in self._all if duty.error is not None]
        for duty in failed[1:]:
            logger.warning("%s failed too: %s", duty.name, duty.error)
        if failed and failed[0].error is not None:
            raise failed[0].error

    @property
    def _has_more(self) -> bool:
        by_itself = self._by_itself is not None and self._by_itself.more
        return by_itself or any(duty.more for duty in self._all)

    @property
    def _is_unavailable(self) -> bool:
        return sum(duty.error is not None for duty in self._all) >= _MAX_FAILED

    async def _run(self, *duties: Duty) -> None:
        for duty in duties:
            if duty.more and not self._is_unavailable:
                await duty.run_batch()
