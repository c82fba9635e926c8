"""Takes turns among things that are done in batches, so that none of them keeps the others waiting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

logger = logging.getLogger(__name__)

#: After so many duties that failed the store is taken to be away.
_MAX_FAILED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How much one step of a duty did, and whether there is more to do."""

    done: int
    more: bool

    @classmethod
    def of(cls, done: int, limit: int) -> Batch:
        """A batch that is full may have left something."""
        return cls(done=done, more=done >= limit)


class Duty:
    """Something that is done in batches of bounded size.

    Attributes
    ----------
    name
        What reports and logs call it.
    done
        How much all of its batches did.
    more
        Whether the last one left something.
    error
        What made it give up, until the next run.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[Batch]]) -> None:
        self.name = name
        self.done = 0
        self.more = True
        self.error: Exception | None = None
        self._step = step

    async def run_batch(self) -> None:
        """Do one batch. What it raises is kept in `error`: no other duty suffers from it."""
        try:
            batch = await self._step()
        except Exception as exc:  # noqa: BLE001 (raised by `Rounds.run` in the end)
            self.error, self.more = exc, False
        else:
            self.done += batch.done
            self.more = batch.more


class Rounds:
    """Runs duties in rounds, each duty one batch a round, until all are done or the time is over.

    Every duty gets at least one batch, however little time there is.

    Parameters
    ----------
    first
        Done to its end before anything else, and looked at again in each round.
    urgent
        Come next, in their order, in each round.
    beside
        Waits for other systems, so it runs beside the rest.
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
        """The names of the duties that have more to do than there was time for."""
        return tuple(duty.name for duty in self._all if duty.more)

    async def run(self, time: timedelta) -> None:
        """Raises what the first of the duties raised that failed, after the others have done their part."""
        clock = asyncio.get_running_loop().time
        until = clock() + time.total_seconds()
        while True:
            await self._first.run_batch()
            while self._first.more and clock() < until:
                await self._first.run_batch()
            if self._first.error is not None:
                raise self._first.error
            for duty in self._urgent:
                if not self._is_away:
                    await duty.run_batch()
            await asyncio.gather(self._run(self._beside), self._run(*self._rest))
            if self._is_away or clock() >= until or not self.behind:
                break
        failed = [duty for duty in self._all if duty.error is not None]
        for duty in failed[1:]:
            logger.warning("%s failed too: %s", duty.name, duty.error)
        if failed and failed[0].error is not None:
            raise failed[0].error

    @property
    def _is_away(self) -> bool:
        return sum(duty.error is not None for duty in self._all) >= _MAX_FAILED

    async def _run(self, *duties: Duty) -> None:
        for duty in duties:
            if duty.more and not self._is_away:
                await duty.run_batch()
