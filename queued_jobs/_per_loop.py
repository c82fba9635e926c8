"""Keeps one pool or client per running event loop: they cannot be shared between loops, and end with theirs."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import cache
from typing import NamedTuple

import httpx

logger = logging.getLogger(__name__)


class _Kept[T](NamedTuple):
    value: T
    #: Ends with the loop: see `PerLoop._until_the_end`.
    end: AsyncGenerator[None]


class PerLoop[T]:
    """Makes a value on first use within a running loop and closes it with that loop.

    A loop that ends as `asyncio.run` ends it (by `loop.shutdown_asyncgens()`) closes its value itself. The value of a
    loop that was only closed is freed when the next loop asks.

    Parameters
    ----------
    make
        Called once per loop, while it runs.
    close
        Closes a value in its own loop.
    abandon
        Frees what a value still holds after its loop was closed, without awaiting. Must not raise.
    """

    def __init__(
        self,
        make: Callable[[], T],
        *,
        close: Callable[[T], Awaitable[None]] | None = None,
        abandon: Callable[[T], None] | None = None,
    ) -> None:
        self._make = make
        self._close = close
        self._abandon = abandon
        # no weak keys: the values hold references to their loop, so such a key would never be collected
        self._kept: dict[asyncio.AbstractEventLoop, _Kept[T]] = {}

    def get(self) -> T:
        loop = asyncio.get_running_loop()
        kept = self._kept.get(loop)
        if kept is None:
            self._forget_closed_loops()
            end = self._until_the_end(loop)
            kept = self._kept[loop] = _Kept(self._make(), end)
            _start(end)
        return kept.value

    async def close(self) -> None:
        """Close this loop's value, if there is one. A later `get` makes another."""
        kept = self._kept.pop(asyncio.get_running_loop(), None)
        if kept is not None:
            await kept.end.aclose()
            if self._close is not None:
                await self._close(kept.value)

    async def _until_the_end(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        """Close the value when the loop ends: the loop then closes all generators that were started in it."""
        try:
            yield
        finally:
            kept = self._kept.pop(loop, None)
            if kept is not None:
                await self._end(kept.value)

    async def _end(self, value: T) -> None:
        try:
            if self._close is not None:
                await self._close(value)
        except asyncio.CancelledError:
            pass  # the loop has cancelled the value's tasks
        except Exception as exc:  # noqa: BLE001 (any error: the loop ends)
            logger.warning("closing %s failed: %s: %s", type(value).__name__, type(exc).__name__, exc)
        finally:
            if self._abandon is not None:
                self._abandon(value)

    def _forget_closed_loops(self) -> None:
        for loop in list(self._kept):
            if loop.is_closed():
                kept = self._kept.pop(loop, None)  # another thread may have taken it
                if kept is not None and self._abandon is not None:
                    self._abandon(kept.value)


@cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS context that all loops share, since loading the CA certificates takes a tenth of a second."""
    return httpx.create_ssl_context()


def _start(generator: AsyncGenerator[None]) -> None:
    """Run an async generator to its first `yield`, before which it never suspends: this registers it with the loop."""
    try:
        generator.__anext__().send(None)
    except StopIteration:
        return
