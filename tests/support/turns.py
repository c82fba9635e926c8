"""Whether the event loop goes on while something else is at work, told by its turns and not by the time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_PATIENCE = 30.0


class Turns:
    """Counts the turns of an event loop, for those who are at work in another thread."""

    def __init__(self) -> None:
        self._loop_thread = threading.get_ident()
        self._turned = threading.Condition()
        self._count = 0
        #: For each call of a watched function: did the loop go on meanwhile?
        self.went_on: list[bool] = []

    def watched[T](self, function: Callable[..., T]) -> Callable[..., T]:
        """Return the function, which takes as long as three turns of the loop, and notes whether it made them."""

        def slow(*args: object, **kwargs: object) -> T:
            self.wait()
            return function(*args, **kwargs)

        return slow

    def wait(self) -> None:
        if threading.get_ident() == self._loop_thread:
            self.went_on.append(False)
            return
        with self._turned:
            wanted = self._count + 3
            self.went_on.append(self._turned.wait_for(lambda: self._count >= wanted, _PATIENCE))

    async def count(self) -> None:
        while True:
            await asyncio.sleep(0)
            with self._turned:
                self._count += 1
                self._turned.notify_all()


@asynccontextmanager
async def counted_turns() -> AsyncIterator[Turns]:
    turns = Turns()
    counting = asyncio.create_task(turns.count())
    yield turns
    counting.cancel()
