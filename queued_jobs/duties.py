"""Runs batched duties in turns, so that none of them delays the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
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

    Attributes
    ----------
    name
        Name in reports and logs.
    done
        Items processed by all of its batches.
    more
        Whether items remain after the last batch.
    error
        The error that stopped it, until the next run.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[Batch]]) -> None:
        self.name = name
        self.done = 0
        self.more = True
        self.error: Exception | None = None
        self._step = step

    async def run_batch(self) -> None:
        """Process one batch. An exception is kept in `error`, so that other duties are not affected."""
        try:
            batch = await self._step()
        except Exception as exc:  # noqa: BLE001 (raised by `Rounds.run` at the end)
            self.error, self.more = exc, False
        else:
            self.done += batch.done
            self.more = batch.more


class Rounds:
    """Runs duties in rounds, one batch per duty and round, until all are done or the time is over.

    Every duty gets at least one batch, even if there is no time.

    Parameters
    ----------
    first
        Completed before anything else, and run again in each round.
    urgent
        Run next, in order, in each round.
    beside
        Waits for other systems, so it runs concurrently with the rest.
    rest
        Take turns.
    """

    def __init__(self, *, first: Duty, urgent: Sequence[Duty], beside: Duty, rest: Sequence[Duty]) -> None:
        self._first = first
        self._urgent = urgent
        self._beside = beside
        self._rest = rest

    @property
    def _all(self) -> Sequence[Duty]:
        return [self._first, *self._urgent, self._beside, *self._rest]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(duty.name for duty in self._all)

    @property
    def behind(self) -> tuple[str, ...]:
        """Names of the duties that ran out of time."""
        return tuple(duty.name for duty in self._all if duty.more)

    async def run(self, time: timedelta) -> None:
        """Run all duties, then raise the error of the first duty that failed, if any."""
        clock = asyncio.get_running_loop().time
        until = clock() + time.total_seconds()
        while True:
            await self._first.run_batch()
            while self._first.more and clock() < until:
                await self._first.run_batch()
            if self._first.error is not None:
                raise self._first.error
            for duty in self._urgent:
                if not self._is_unavailable:
                    await duty.run_batch()
            await asyncio.gather(self._run(self._beside), self._run(*self._rest))
            if self._is_unavailable or clock() >= until or not self.behind:
                break
        failed = [duty for duty in self._all if duty.error is not None]
        for duty in failed[1:]:
            logger.warning("%s failed too: %s", duty.name, duty.error)
        if failed and failed[0].error is not None:
            raise failed[0].error

    @property
    def _is_unavailable(self) -> bool:
        return sum(duty.error is not None for duty in self._all) >= _MAX_FAILED

    async def _run(self, *duties: Duty) -> None:
        for duty in duties:
            if duty.more and not self._is_unavailable:
                await duty.run_batch()
