"""One invocation: arguments, event loop or thread pool, the return rule, output bindings, the timeout and its log."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import secrets
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import azure.functions as func

from scripts.local.host.errors import InvocationError
from scripts.local.host.index import HTTP_TRIGGER, RETURN, IndexedFunction
from scripts.local.host.logs import current_invocation

log = logging.getLogger("host.invoke")

#: Writes one value to an output binding; raises where it cannot be sent.
OutputWriter = Callable[[Mapping[str, Any], Any], Awaitable[None]]
#: How long a cancelled body may clean up before its invocation is given up.
CANCEL_GRACE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """W3C trace context of an invocation."""

    trace_parent: str
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a function gets as `context`; `retry_context` is None because there are no retry policies."""

    function_name: str
    function_directory: str
    invocation_id: str
    trace_context: TraceContext
    thread_local_storage: threading.local
    retry_context: None = None


class Out(func.Out[Any]):
    """Holds what a function sets for one output binding."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        """Remember the value; it is written after the function has returned."""
        self._value = val

    def get(self) -> Any:
        """The value, or None where nothing was set."""
        return self._value


class Invoker:
    """Runs functions: all async bodies on the running event loop, all others in one thread pool."""

    def __init__(self, *, app_dir: Path, timeout: timedelta | None, write_output: OutputWriter) -> None:
        self._app_dir = app_dir
        self._timeout = timeout
        self._write_output = write_output
        threads = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
        self._pool = ThreadPoolExecutor(int(threads) if threads else None, thread_name_prefix="function")
        self._thread_local = threading.local()
        self._running: set[asyncio.Task[Any]] = set()

    async def invoke(
        self, function: IndexedFunction, argument: Any, *, detail: str = "", trace_parent: str | None = None
    ) -> Any:
        """Run the function once and return its value; `detail` says in the log what triggered it.

        Every failure is logged here and raised as InvocationError: an exception, a broken return rule, an output that
        cannot be written, a cancellation, the function timeout.
        """
        invocation_id = str(uuid.uuid4())
        token = current_invocation.set(invocation_id)
        about = f"'Functions.{function.name}'" + (f" ({detail})" if detail else "")
        if function.trigger_type != HTTP_TRIGGER:
            log.info("Executing %s", about)
        started = time.monotonic()
        task = asyncio.create_task(self._run(function, argument, invocation_id, trace_parent))
        self._running.add(task)
        try:
            result = await self._outcome(task, function)
        except InvocationError as failure:
            elapsed = (time.monotonic() - started) * 1000
            # the cause carries the traceback of the function; a cancellation and a timeout have none to show
            log.error("Failed %s after %.0f ms: %s", about, elapsed, failure, exc_info=failure.__cause__)
            raise
        else:
            status = f", status {result.status_code}" if isinstance(result, func.HttpResponse) else ""
            log.info("Executed %s in %.0f ms%s", about, (time.monotonic() - started) * 1000, status)
            return result
        finally:
            task.cancel()  # a no-op unless this very call is being cancelled
            self._running.discard(task)
            current_invocation.reset(token)

    def cancel_running(self) -> int:
        """Cancel every running invocation and say how many; a body on a thread cannot be stopped, only given up."""
        for task in self._running:
            task.cancel()
        return len(self._running)

    async def wait_until_idle(self) -> None:
        """Return once no invocation runs."""
        while self._running:
            await asyncio.wait(self._running)

    async def _outcome(self, task: asyncio.Task[Any], function: IndexedFunction) -> Any:
        seconds = self._timeout.total_seconds() if self._timeout else None
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            log.error(
                "Timeout value of %s exceeded by function '%s'. As in the real host, where the whole worker restarts, "
                "the %d running invocations are cancelled",
                self._timeout,
                function.name,
                self.cancel_running(),
            )
            await asyncio.wait({task}, timeout=CANCEL_GRACE.total_seconds())
            raise InvocationError(f"timed out after {self._timeout}")
        if task.cancelled():
            raise InvocationError("cancelled")
        if error := task.exception():
            raise InvocationError(f"{type(error).__name__}: {error}") from error
        return task.result()

    async def _run(self, function: IndexedFunction, argument: Any, invocation_id: str, trace_parent: str | None) -> Any:
        outs = {name: Out() for name in function.outputs if name != RETURN}
        arguments: dict[str, Any] = {function.trigger["name"]: argument, **outs}
        if function.wants_context:
            arguments["context"] = Context(
                function_name=function.name,
                function_directory=str(self._app_dir),
                invocation_id=invocation_id,
                trace_context=TraceContext(trace_parent=trace_parent or _new_trace_parent()),
                thread_local_storage=self._thread_local,
            )
        if function.is_async:
            result = await function.body(**arguments)
        else:
            in_context = partial(contextvars.copy_context().run, self._on_thread, function.body, arguments)
            result = await asyncio.get_running_loop().run_in_executor(self._pool, in_context)
        _check_return(function, result)
        values = {name: out.get() for name, out in outs.items()}
        if RETURN in function.outputs and function.outputs[RETURN]["type"] != "http":
            values[RETURN] = result
        for name, value in values.items():
            if value is not None:
                await self._write_output(function.outputs[name], value)
        return result

    def _on_thread(self, body: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        self._thread_local.invocation_id = current_invocation.get()
        return body(**arguments)


def _check_return(function: IndexedFunction, result: Any) -> None:
    binding = function.outputs.get(RETURN)
    if binding is None:
        if result is not None:
            raise TypeError(f"function {function.name!r} without a $return binding returned a non-None value")
    elif binding["type"] == "http" and not isinstance(result, (func.HttpResponse, str, type(None))):
        raise TypeError(
            f"function {function.name!r} returned {type(result).__name__}, not an azure.functions.HttpResponse"
        )


def _new_trace_parent() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
