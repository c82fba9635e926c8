"""The delays of the host's loops: until an event, and between two polls of a queue."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta

from tools.functions_host.settings import MINIMUM_POLLING_INTERVAL


async def is_set_within(event: asyncio.Event, delay: timedelta) -> bool:
    """Wait until the event is set, at most for the delay; returns whether it is."""
    try:
        await asyncio.wait_for(event.wait(), delay.total_seconds())
    except TimeoutError:
        return False
    return True


class PollingDelay:
    """Randomised exponential backoff between empty polls: 0.1 s, 0.2, 0.3, 0.5, 0.9, 1.7 .. up to the longest."""

    def __init__(self, longest: timedelta, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._longest = longest
        self._uniform = uniform
        self._current = timedelta()
        self._exponent = 0

    def next(self, *, found_message: bool) -> timedelta:
        """The next delay; `found_message` (a message was received since the last one) restarts the backoff."""
        if found_message:
            self._current = MINIMUM_POLLING_INTERVAL
            self._exponent = 1
        elif self._current != self._longest:
            delay = MINIMUM_POLLING_INTERVAL
            if self._exponent > 0:
                delay += self._uniform(0.8, 1.2) * 2 ** (self._exponent - 1) * MINIMUM_POLLING_INTERVAL
            if delay < self._longest:
                self._current = delay
                self._exponent += 1
            else:
                self._current = self._longest
        return self._current
