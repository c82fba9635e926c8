"""The jobs that a body starts: once each, however often the body runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from psycopg import AsyncConnection
from pydantic import BaseModel

from queued_jobs._arguments import check_text
from queued_jobs.backend import Backend
from queued_jobs.enqueue import check_runner, digest_of, queue_job
from queued_jobs.handle import JobHandle
from queued_jobs.model import QueuedJob
from queued_jobs.offload import offload

if TYPE_CHECKING:
    from queued_jobs.runner import JobRunner


class Children:
    """The jobs started by one attempt. Those of an earlier attempt are found by their idempotency key."""

    def __init__(self, parent: QueuedJob, backend: Backend) -> None:
        self._parent = parent
        self._backend = backend
        self._numbers: defaultdict[tuple[str, str], _Numbers] = defaultdict(_Numbers)
        #: By open transaction: handles to send after its commit, or to forget otherwise.
        self._open: dict[AsyncConnection[Any], tuple[list[JobHandle[Any]], ExitStack]] = {}

    async def queue[Request: BaseModel, Result: BaseModel | None](
        self,
        runner: type[JobRunner[Request, Result]],
        request: Request,
        key: str | None,
        *,
        conn: AsyncConnection[Any] | None,
        **options: Any,
    ) -> JobHandle[Result]:
        """See `JobContext.queue_job`."""
        check_runner(runner)
        check_text("key", key, 100)
        with ExitStack() as undo:
            handle = await queue_job(
                self._backend,
                runner,
                request,
                user_id=self._parent.user_id,
                user_name=self._parent.user_name,
                parent_id=self._parent.id,
                idempotency_key=f"child:{self._parent.id}:{await self._name(runner, request, key, undo)}",
                conn=conn,
                **options,
            )
            stored = undo.pop_all()
        if conn in self._open:
            handles, on_rollback = self._open[conn]
            handles.append(handle)
            on_rollback.push(stored)
        return handle

    @contextmanager
    def held_back(self, conn: AsyncConnection[Any]) -> Iterator[list[JobHandle[Any]]]:
        """Collect the jobs started in a transaction, to be sent after its commit."""
        started: list[JobHandle[Any]] = []
        with ExitStack() as on_rollback:
            self._open[conn] = started, on_rollback
            try:
                yield started
            finally:
                del self._open[conn]
            on_rollback.pop_all()

    async def _name[Request: BaseModel](
        self, runner: type[JobRunner[Request, Any]], request: Request, key: str | None, undo: ExitStack
    ) -> str:
        """Return the name by which a later attempt recognises this child."""
        if key is not None:
            return f"={key}"
        digest = await offload(digest_of, runner, request)
        numbers = self._numbers[runner.kind, digest]
        number = numbers.take()
        undo.callback(numbers.give_back, number)
        return f"{digest}:{number}"


class _Numbers:
    """Numbers identical children. If a child is not stored, its number becomes available again for the next attempt."""

    def __init__(self) -> None:
        self._next = 0
        self._returned: list[int] = []

    def take(self) -> int:
        if self._returned:
            return heappop(self._returned)
        self._next += 1
        return self._next - 1

    def give_back(self, number: int) -> None:
        heappush(self._returned, number)
