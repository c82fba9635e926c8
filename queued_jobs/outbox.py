"""Queue of changes to push: in the background, with bounded concurrency and memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol

from queued_jobs import telemetry
from queued_jobs._descriptions import describe
from queued_jobs.errors import JobsError

logger = logging.getLogger(__name__)

#: Changes in one push, so that one owner's changes do not delay the next owner's for long.
MAX_CHANGES_PER_PUSH = 200
#: Changes that may wait. Beyond that the oldest are dropped: readers reload by themselves.
MAX_WAITING = 10_000
#: The same while pushes are paused, since rows are then kept in memory for longer.
MAX_WAITING_IN_PAUSE = 1_000
#: Consecutive failed pushes after which all pushes pause.
MAX_FAILURES = 3
#: The first pause, and the longest: each further pause is longer by the first.
PAUSE, MAX_PAUSE = timedelta(seconds=5), timedelta(seconds=15)
#: Time limit of a push, whatever timeouts its notifier has.
DEADLINE = timedelta(seconds=30)
#: How long a closing event loop is delayed, so that a script that ends still pushes its changes.
LAST_CALL = timedelta(seconds=3)


class Parcel[Change](Protocol):
    """The pending changes of one key."""

    def __len__(self) -> int: ...

    def add(self, change: Change) -> None: ...

    def take(self, limit: int) -> list[Change]:
        """Remove and return the oldest changes, as many as go into one push."""


class Outbox[Change]:
    """Pushes changes to one receiver. `put` never waits, and exceptions of a push are only logged.

    At most one push per key is running, so a reader never gets an older version after a newer one. Further changes are
    collected in the key's parcel until then. After `MAX_FAILURES` consecutive failed pushes all pushes pause, with one
    log line per pause, and single pushes then probe whether the receiver is back. A failed push is not retried: the row
    is the source of truth, and readers reload it by themselves. A crash loses pending changes.

    Belongs to one event loop. When `asyncio.run` ends it, pending changes are pushed within `LAST_CALL`.

    Parameters
    ----------
    name
        Name of the receiver in the log.
    push
        Called with a key and its changes, at most `MAX_CHANGES_PER_PUSH`.
    parcel
        Makes an empty parcel of `queued_jobs.parcels`.
    senders
        Maximum concurrent pushes.
    pauses
        Whether repeated failures pause all pushes.
    """

    def __init__(
        self,
        name: str,
        push: Callable[[str, Sequence[Change]], Awaitable[None]],
        *,
        parcel: Callable[[], Parcel[Change]],
        senders: int = 4,
        pauses: bool = True,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._name = name
        self._push = push
        self._make_parcel = parcel
        self._senders = senders
        self._pauses = pauses
        self._max_waiting = max_waiting
        self._waiting: dict[str, tuple[Parcel[Change], telemetry.Trace]] = {}
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._dropped = 0
        self._failures = 0
        self._pause: asyncio.TimerHandle | None = None
        self._closed = False

    def __len__(self) -> int:
        """Number of pending changes, without those being pushed."""
        return self._count

    @property
    def keys(self) -> int:
        """Number of keys with pending changes."""
        return len(self._waiting)

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """The running senders. They end when no changes are pending."""
        return frozenset(self._tasks)

    @property
    def is_forgettable(self) -> bool:
        """Whether there are no pending changes, no running pushes and no recorded failures."""
        return not (self._waiting or self._tasks or self._failures)

    def put(self, key: str, change: Change) -> None:
        """Schedule the push of a change, after running pushes of this key. Needs a running event loop."""
        found = self._waiting.get(key)
        parcel = self._make_parcel() if found is None else found[0]
        before = len(parcel)
        parcel.add(change)
        self._count += len(parcel) - before
        self._waiting[key] = parcel, telemetry.current_trace()
        self._drop_down_to(self._max_waiting if self._pause is None else MAX_WAITING_IN_PAUSE)
        self._start()

    async def close(self) -> None:
        """Drop pending changes and cancel running pushes."""
        self._closed = True
        self._waiting.clear()
        self._count = 0
        if self._pause is not None:
            self._pause.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _drop_down_to(self, most: int) -> None:
        while self._count > most:
            self._dropped += len(self._take(next(iter(self._waiting)), self._count - most))

    def _take(self, key: str, limit: int) -> list[Change]:
        parcel, trace = self._waiting.pop(key)
        changes = parcel.take(limit)
        self._count -= len(changes)
        if parcel:
            self._waiting[key] = parcel, trace  # at the end, since other keys have waited longer now
        return changes

    def _start(self) -> None:
        """Start another sender if there is work for it."""
        if self._pause is None and len(self._tasks) < self._allowed and self._next() is not None:
            task = asyncio.get_running_loop().create_task(self._send_all())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._start()

    @property
    def _allowed(self) -> int:
        return self._senders if self._failures == 0 else 1

    def _next(self) -> str | None:
        """Return the key that has waited longest and has no running push."""
        return next((key for key in self._waiting if key not in self._busy), None)

    async def _send_all(self) -> None:
        key = ""
        changes: Sequence[Change] = ()
        try:
            while self._pause is None and len(self._tasks) <= self._allowed and (found := self._next()) is not None:
                key = found
                _, trace = self._waiting[key]
                changes = self._take(key, MAX_CHANGES_PER_PUSH)
                self._busy.add(key)
                self._start()
                await self._send(key, changes, trace)
                self._busy.discard(key)
        except asyncio.CancelledError:
            if not self._closed:
                await self._call_last(key, changes)
            raise

    async def _send(self, key: str, changes: Sequence[Change], trace: telemetry.Trace) -> None:
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                with telemetry.continuing(trace):
                    await self._push(key, changes)
            self._succeeded()
        except asyncio.CancelledError as exc:
            if _being_cancelled():
                raise
            self._failed(RuntimeError(f"The push raised a cancellation that was not requested: {describe(exc)}"))
        except Exception as exc:  # noqa: BLE001 (any error of a notifier is logged)
            self._failed(exc)

    async def _call_last(self, key: str, changes: Sequence[Change]) -> None:
        """Push the interrupted changes again and then the pending changes, since the event loop is closing."""
        try:
            async with asyncio.timeout(LAST_CALL.total_seconds()):
                await self._push(key, changes)
                self._busy.discard(key)
                while self._pause is None and (found := self._next()) is not None:
                    self._busy.add(found)
                    await self._push(found, self._take(found, MAX_CHANGES_PER_PUSH))
                    self._busy.discard(found)
        except Exception as exc:  # noqa: BLE001 (as above)
            log_failure(exc, "%s: %d changes were not pushed before exit", self._name, len(changes) + self._count)

    def _succeeded(self) -> None:
        if self._failures >= MAX_FAILURES:
            logger.info("%s: pushes have resumed; %d changes were dropped in the meantime", self._name, self._dropped)
        self._failures = self._dropped = 0

    def _failed(self, exc: Exception) -> None:
        if not self._pauses:
            log_failure(exc, "%s: a push failed", self._name)
            return
        self._failures += 1
        if self._failures < MAX_FAILURES:
            log_failure(exc, "%s: a push failed", self._name)
        elif self._pause is None:
            pause = min((self._failures - MAX_FAILURES + 1) * PAUSE, MAX_PAUSE)
            self._drop_down_to(MAX_WAITING_IN_PAUSE)
            log_failure(
                exc, "%s: pushes paused for %g s after %d failures", self._name, pause.total_seconds(), self._failures
            )
            self._pause = asyncio.get_running_loop().call_later(pause.total_seconds(), self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._start()


def log_failure(exc: Exception, text: str, *args: object) -> None:
    """Log an exception of a receiver, with its traceback unless it is an expected error."""
    if isinstance(exc, (JobsError, TimeoutError)):
        logger.warning(f"{text}: %s", *args, str(exc) or type(exc).__name__)
    else:
        logger.warning(text, *args, exc_info=exc)


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
