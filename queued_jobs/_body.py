"""Runs the body of one attempt, on the event loop or in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from queued_jobs._own_code import await_contained, call_contained
from queued_jobs._threads import BodyThread
from queued_jobs.context import JobContext
from queued_jobs.offload import offload_unless_small
from queued_jobs.redact import errors_in

if TYPE_CHECKING:
    from queued_jobs.runner import JobRunner

#: A group may contain itself in many places, so that its errors are more than can be counted.
_MAX_COMPARED = 10_000


class Body:
    """The `on_execute` of a kind for one job, to be run once.

    Whatever a body raises ends only the attempt: an exception that would end the worker, or be swallowed, is replaced
    by an error that names it.
    """

    def __init__(
        self,
        runner: JobRunner[Any, Any],
        ctx: JobContext[Any],
        *,
        thread: BodyThread | None,
        on_begin: Callable[[], None],
    ) -> None:
        self._runner = runner
        self._ctx = ctx
        self._reserved = thread
        self._on_begin = on_begin
        self._thread: Future[Any] | None = None

    @property
    def runs_in_thread(self) -> bool:
        """Whether the body is a plain `def` that has started; a thread cannot be stopped from outside."""
        return self._thread is not None

    async def run(self) -> Any:
        """Read the request, call `on_begin`, run the body, and return its result."""
        job = self._ctx.job
        request = await offload_unless_small(job.request, self._runner.read_request, job)
        self._on_begin()
        try:
            return await self._execute(request)
        except ExceptionGroup as exc:
            error = _only_error(exc)
        # outside the except block, so that it keeps its own cause
        raise error

    def expect_end(self) -> None:
        """The attempt is over: unless the body ends soon, too, its thread hangs."""
        if self._reserved is not None:
            job = self._ctx.job
            self._reserved.expect_end(f"job {job.id} ({job.kind}) attempt {job.attempt}")

    def hand_over_when_it_ends(self, receive: Callable[[Any], Awaitable[None]]) -> None:
        """Pass on the result of a thread that is no longer awaited: it runs to its next checkpoint or its end."""
        if self._thread is None:
            return
        loop = asyncio.get_running_loop()

        def hand_over(thread: Future[Any]) -> None:
            if thread.cancelled() or thread.exception() is not None or thread.result() is None:
                return
            if inspect.iscoroutine(thread.result()):
                thread.result().close()
                return
            with contextlib.suppress(RuntimeError):  # the loop is closed: treat it like a crash
                asyncio.run_coroutine_threadsafe(_call_receiver(receive, thread.result()), loop)

        self._thread.add_done_callback(hand_over)

    async def _execute(self, request: BaseModel) -> Any:
        if self._reserved is None:
            return await await_contained(self._runner.on_execute(request, self._ctx))
        call = partial(call_contained, self._runner.on_execute, request, self._ctx)
        body: Callable[[], Any] = partial(contextvars.copy_context().run, call)
        self._thread = self._reserved.start(body)
        result = await asyncio.wrap_future(self._thread)
        # a decorator may hide that the body is `async def`
        return await await_contained(result) if inspect.isawaitable(result) else result


async def _call_receiver(receive: Callable[[Any], Awaitable[None]], result: object) -> None:
    await receive(result)


def _only_error(group: ExceptionGroup[Exception]) -> Exception:
    """Return the error of a task group's tasks if it is one error or one kind of error, else the group."""
    errors = list(islice(errors_in(group), _MAX_COMPARED))
    return errors[0] if len({type(error) for error in errors}) == 1 else group
