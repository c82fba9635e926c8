"""Lets the thread of a plain `def` body wait for coroutines on the worker's event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable
from concurrent.futures import CancelledError, Future, wait
from typing import Any

from queued_jobs.errors import JobsError, LeaseLost

#: Interval at which a waiting thread checks that the loop still runs. An orderly end of the loop ends the wait itself.
_LOOK_EVERY = 1.0


class ThreadBridge:
    """Connects one attempt's threads with its event loop, until it is closed."""

    def __init__(self) -> None:
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self._lock = threading.Lock()
        self._waiting: set[Future[Any]] = set()
        self._closed: JobsError | None = None

    def wait[T](self, awaitable: Awaitable[T]) -> T:
        """See `JobContext.wait`."""
        loop = self._loop
        if loop is None or _running_loop() is loop:
            _drop(awaitable)
            raise RuntimeError(
                "ctx.wait works only in a plain `def` body, which has its own thread. On the event loop it would "
                "deadlock; use `await`."
            )
        with self._lock:
            if self._closed is not None:
                _drop(awaitable)
                raise self._closed
            coroutine = _awaited(awaitable)
            try:
                future = asyncio.run_coroutine_threadsafe(coroutine, loop)
            except RuntimeError as exc:  # the loop is closed
                _drop(coroutine)
                _drop(awaitable)
                raise LeaseLost("The worker has ended.") from exc
            self._waiting.add(future)
        try:
            while not wait([future], _LOOK_EVERY).done:
                if loop.is_closed():
                    raise LeaseLost("The worker has ended.")
            return future.result()
        except CancelledError:
            if self._closed is not None:
                raise self._closed from None
            raise
        except BaseException:
            future.cancel()
            raise
        finally:
            with self._lock:
                self._waiting.discard(future)

    def close(self, reason: JobsError) -> None:
        """Cancel the awaited coroutines; current and later calls of `wait` raise `reason`."""
        with self._lock:
            self._closed = reason
            waiting = list(self._waiting)
        for future in waiting:
            future.cancel()


async def _awaited[T](awaitable: Awaitable[T]) -> T:
    return await awaitable


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _drop(awaitable: Awaitable[object]) -> None:
    if inspect.iscoroutine(awaitable):
        awaitable.close()  # else Python warns that it was never awaited
