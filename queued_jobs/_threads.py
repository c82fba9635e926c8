"""The threads of one kind's plain `def` bodies. A body is started only when a thread is free for it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from threading import Lock
from typing import Any

from queued_jobs import telemetry

#: How long a body may keep running after its attempt has ended before its thread counts as hung.
HUNG_AFTER = timedelta(seconds=10)


class BodyThreads:
    """Runs up to `count` plain `def` bodies of a kind at once.

    A thread cannot be stopped: a body that ignores the end of its attempt keeps its thread. Such a thread is reported
    once and replaced while it lasts, up to `count` of them; beyond that this process has fewer threads for the kind.

    May be used from any event loop.
    """

    def __init__(self, kind: str, count: int, logger: logging.Logger) -> None:
        self._kind = kind
        self._count = count
        self._logger = logger
        # bounded, and separate from the host's few threads, which also serve HTTP
        self._pool = ThreadPoolExecutor(2 * count, thread_name_prefix=f"job-{kind}")
        self._lock = Lock()
        self._taken = 0
        self._hung = 0
        self._waiting: deque[Future[None]] = deque()

    @property
    def hung(self) -> int:
        """How many threads run a body whose attempt ended a while ago."""
        return self._hung

    async def take(self, *, within: timedelta) -> BodyThread | None:
        """Wait for a free thread, and reserve it: use it, or give it back. None if there was none in time."""
        turn: Future[None] = Future()
        with self._lock:
            self._waiting.append(turn)
        self._hand_out()
        try:
            if not turn.done():
                await asyncio.wait({asyncio.wrap_future(turn)}, timeout=within.total_seconds())
        except asyncio.CancelledError:
            if not turn.cancel():
                self.give_back()
            raise
        return None if turn.cancel() else BodyThread(self, self._pool)

    def give_back(self, *, was_hung: bool = False) -> None:
        with self._lock:
            self._taken -= 1
            self._hung -= was_hung
        if was_hung:
            telemetry.hung_threads(self._kind, self._hung)
        self._hand_out()

    def report_hung(self, what: str) -> None:
        """Record that a thread hangs, and let another one take its place if there are not too many already."""
        with self._lock:
            self._hung += 1
            left = self._count - max(0, self._hung - self._count)
        telemetry.hung_threads(self._kind, self._hung)
        self._logger.warning(
            "%s: its body is still running although its attempt has ended, and blocks a thread; call ctx.checkpoint()"
            " in the body, and set time limits on what it waits for",
            what,
        )
        if left == 0:
            self._logger.error(
                "kind %s: %d threads are blocked, so this process cannot run jobs of the kind until it is restarted",
                self._kind,
                self._hung,
            )
        self._hand_out()

    def shutdown(self, *, wait: bool = True) -> None:
        """Start no further body, and wait for those that run."""
        self._pool.shutdown(wait=wait, cancel_futures=True)

    def _hand_out(self) -> None:
        """Give free threads to the waiting bodies, in order."""
        with self._lock:
            while self._waiting and self._taken < self._count + min(self._hung, self._count):
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    self._taken += 1
                    turn.set_result(None)


class BodyThread:
    """One reserved thread, for one body."""

    def __init__(self, threads: BodyThreads, pool: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._pool = pool
        self._lock = Lock()
        self._body: Future[Any] | None = None
        self._hangs = False

    def start[T](self, body: Callable[[], T]) -> Future[T]:
        """Run the body in the thread, which is given back when the body ends."""
        self._body = future = self._pool.submit(body)
        future.add_done_callback(self._free)
        return future

    def give_back(self) -> None:
        """Give the thread back unless a body was started in it."""
        if self._body is None:
            self._threads.give_back()

    def expect_end(self, what: str) -> None:
        """The attempt `what` has ended: unless its body ends soon, too, report that its thread hangs."""
        asyncio.get_running_loop().call_later(HUNG_AFTER.total_seconds(), self._report_unless_ended, what)

    def _report_unless_ended(self, what: str) -> None:
        with self._lock:
            if self._body is None or self._body.done() or self._hangs:
                return
            self._hangs = True
        self._threads.report_hung(what)

    def _free(self, body: Future[Any]) -> None:
        with self._lock:
            was_hung = self._hangs
        self._threads.give_back(was_hung=was_hung)
