"""Lets the short statements of concurrent attempts share round trips and commits."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from queued_jobs._statements import Row
from queued_jobs.errors import StoreUnavailable
from queued_jobs.model import JobKey

#: Statements in one round trip.
MAX_TOGETHER: Final = 32
#: After this long the next statements use another connection: the server, or a lock, is slow.
PATIENCE: Final = timedelta(seconds=0.05)
#: Time limit of each statement that shares a transaction.
MAX_SHARED: Final = timedelta(seconds=1)
#: With less time left, a caller does not share: its deadline would count for the others.
MIN_TIME: Final = timedelta(seconds=1.5)


@dataclass(slots=True, eq=False)
class Request:
    """A statement that waits to be run, and until when, by the monotonic clock."""

    name: str
    params: Mapping[str, Any]
    ends_at: float
    rows: asyncio.Future[list[Row]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    #: Whether it shares a transaction now: then it cannot be taken back.
    is_shared: bool = False
    #: Whether its caller was cancelled.
    is_unwanted: bool = False
    #: Runs it by itself.
    alone: asyncio.Task[list[Row]] | None = None

    @property
    def job(self) -> JobKey:
        """The job that it is about."""
        key: JobKey = self.params["id"] if "id" in self.params else self.params["ids"][0]
        return key

    def take(self, outcome: list[Row] | BaseException) -> None:
        if self.rows.done():
            return
        if isinstance(outcome, list):
            self.rows.set_result(outcome)
        else:
            self.rows.set_exception(outcome)
            self.rows.exception()  # its caller may be gone


type RunAlone = Callable[[str, Mapping[str, Any], float], Awaitable[list[Row]]]
type RunTogether = Callable[[Sequence[Request]], Awaitable[list[list[Row]] | None]]


class Together:
    """Runs the statements of one event loop: those that arrive while others are under way go together with the next.

    No statement waits for a timer, and without concurrency each runs by itself, at once. Each has the outcome that it
    would have by itself: if one of a group fails, the group is rolled back, and each runs by itself.

    Parameters
    ----------
    alone
        Runs a statement until a time.
    together
        Runs several in one transaction. Returns None if none of them took effect; an exception goes to each.
    """

    def __init__(self, alone: RunAlone, together: RunTogether) -> None:
        self._alone = alone
        self._together = together
        self._waiting: deque[Request] = deque()
        #: Timer that ends the wait for the latest group; None if the next statement need not wait.
        self._turn: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, name: str, params: Mapping[str, Any], ends_at: float) -> list[Row]:
        """Run a statement. If the caller is cancelled while it shares a transaction, that is completed first.

        The cancellation then follows at the caller's next `await`; the result tells the caller what was stored.
        """
        if ends_at - time.monotonic() < MIN_TIME.total_seconds():
            return await self._alone(name, params, ends_at)
        if self._turn is None:
            turn = self._begin()
            try:
                return await self._alone(name, params, ends_at)
            finally:
                self._end(turn)
        request = Request(name, params, ends_at)
        self._waiting.append(request)
        try:
            return await asyncio.shield(request.rows)
        except asyncio.CancelledError:
            if not request.is_shared:
                request.rows.cancel()
                if request.alone is not None:
                    request.alone.cancel()
                raise
            request.is_unwanted = True
            await asyncio.wait({request.rows})
            if request.rows.cancelled() or request.rows.exception() is not None:
                raise
            _cancel_later()
            return request.rows.result()

    def _begin(self) -> asyncio.TimerHandle:
        def is_over() -> None:
            self._end(turn)

        turn: asyncio.TimerHandle = asyncio.get_running_loop().call_later(PATIENCE.total_seconds(), is_over)
        self._turn = turn
        return turn

    def _end(self, turn: asyncio.TimerHandle) -> None:
        """Run the statements that waited for this one."""
        turn.cancel()
        if self._turn is not turn:
            return
        self._turn = None
        group = self._next_group()
        if group:
            task = asyncio.get_running_loop().create_task(self._run_group(group, self._begin()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next_group(self) -> list[Request]:
        group: list[Request] = []
        while self._waiting and len(group) < MAX_TOGETHER:
            request = self._waiting.popleft()
            if not request.rows.done():
                group.append(request)
        # rows are locked in the order of their ids, as in every statement that waits for several
        return sorted(group, key=lambda request: request.job)

    async def _run_group(self, group: Sequence[Request], turn: asyncio.TimerHandle) -> None:
        try:
            outcomes = await self._share(group) if len(group) > 1 else None
            if outcomes is None:
                if len(group) > 1:
                    self._end(turn)
                await asyncio.gather(*(self._run_alone(request) for request in group))
        finally:
            self._end(turn)

    async def _share(self, group: Sequence[Request]) -> list[list[Row]] | None:
        for request in group:
            request.is_shared = True
        try:
            outcomes = await self._together(group)
        except StoreUnavailable as exc:
            for request in group:
                request.take(StoreUnavailable(str(exc)))
            return []
        except Exception as exc:  # noqa: BLE001 (raised to each caller)
            for request in group:
                request.take(exc)
            return []
        except asyncio.CancelledError:
            for request in group:
                request.rows.cancel()
            raise
        if outcomes is not None:
            for request, rows in zip(group, outcomes, strict=True):
                request.take(rows)
        return outcomes

    async def _run_alone(self, request: Request) -> None:
        request.is_shared = False
        if request.is_unwanted or request.rows.done():
            request.rows.cancel()
            return
        request.alone = asyncio.ensure_future(self._alone(request.name, request.params, request.ends_at))
        await asyncio.wait({request.alone})
        if request.alone.cancelled():
            request.rows.cancel()
        else:
            request.take(request.alone.exception() or request.alone.result())


def _cancel_later() -> None:
    """Cancel the current task again, as often as it was asked to, at its next `await`."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        task.uncancel()
        task.cancel()
