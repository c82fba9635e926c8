"""One thread with one event loop, which any other thread may call into."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from weakref import WeakSet

from anyio.from_thread import BlockingPortal, start_blocking_portal

_CLOSED = "manager.blocking() was closed; make calls within its `with` block, or call manager.blocking() again."
_FORKED = (
    "manager.blocking() was used before this process was forked, and its thread stayed in process {}. Call "
    "manager.blocking() in each worker process, such as in gunicorn's post_fork."
)


class Portal:
    """Starts with the first call, and ends with `close` or the interpreter.

    Parameters
    ----------
    start
        Called in the loop before anything else.
    finish
        Awaited in the loop by `close`.
    """

    def __init__(self, start: Callable[[], None], finish: Callable[[], Awaitable[object]]) -> None:
        self._start = start
        self._finish = finish
        self._lock = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._thread = ExitStack()
        self._refusal: str | None = None
        _portals.add(self)

    def call[**P, T](self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await the function in the loop, and return its result or raise its error. An interrupt cancels it.

        Raises `RuntimeError` once the portal is closed, in a process that was forked since, and in the loop's own
        thread.
        """
        future = self._started().start_task_soon(partial(function, *args, **kwargs))
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Wait for running calls, and end the thread. May be called twice."""
        with self._lock:
            portal, self._portal = self._portal, None
            self._refusal = self._refusal or _CLOSED
        with self._thread:
            if portal is not None:
                portal.call(self._finish)

    def _started(self) -> BlockingPortal:
        with self._lock:
            if self._refusal is not None:
                raise RuntimeError(self._refusal)
            if self._portal is None:
                self._portal = self._thread.enter_context(start_blocking_portal(name="queued-jobs"))
                self._portal.call(self._start)
            return self._portal

    def _leave_behind(self) -> None:
        """After a fork: forget the thread, which exists in the parent process only."""
        self._lock = threading.Lock()
        portal, self._portal = self._portal, None
        if portal is not None:
            self._refusal = _FORKED.format(os.getppid())
            with contextlib.suppress(StopIteration, RuntimeError):
                portal.stop().send(None)  # else the interpreter would wait for it at exit


_portals: WeakSet[Portal] = WeakSet()


def _leave_all_behind() -> None:
    for portal in list(_portals):
        portal._leave_behind()


@atexit.register
def _close_all() -> None:
    for portal in list(_portals):
        portal.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_behind)
