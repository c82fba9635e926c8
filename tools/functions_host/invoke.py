"""One invocation: its id and log, the function timeout, cancellation, and its outputs."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from azure_functions_runtime import invocation_id_cv

from tools.functions_host.errors import InvocationError
from tools.functions_host.functions import HTTP_TRIGGER, RETURN, Function
from tools.functions_host.protos import (
    InvocationRequest,
    InvocationResponse,
    ParameterBinding,
    RpcTraceContext,
    TypedData,
)
from tools.functions_host.trigger_data import TriggerData
from tools.functions_host.worker import Worker

log = logging.getLogger("host.invoke")

#: Writes one value to an output binding; raises if it cannot be sent.
OutputWriter = Callable[[Mapping[str, Any], TypedData], Awaitable[None]]
#: How long a cancelled body may clean up before its invocation is abandoned.
CANCEL_GRACE = timedelta(seconds=2)


class Invoker:
    """Has the worker run functions; `worker_ended` is set once a body has ended the worker, as `sys.exit()` does."""

    def __init__(self, worker: Worker, *, timeout: timedelta | None, write_output: OutputWriter) -> None:
        self.worker_ended = asyncio.Event()
        self._worker = worker
        self._timeout = timeout
        self._write_output = write_output
        self._running: set[asyncio.Task[Any]] = set()

    async def invoke(
        self, function: Function, data: TriggerData, *, detail: str = "", trace_parent: str | None = None
    ) -> TypedData | None:
        """Run the function once and return its value; `detail` describes the trigger in the log.

        Every failure is logged here and raised as InvocationError: what the worker reports, an output that cannot be
        written, a cancellation, the function timeout. The worker does not report a BaseException other than an
        Exception: SystemExit and KeyboardInterrupt end the worker, others leave the invocation running until the
        timeout, as in Azure.
        """
        invocation_id = str(uuid.uuid4())
        token = invocation_id_cv.set(invocation_id)
        about = f"'Functions.{function.name}'" + (f" ({detail})" if detail else "")
        if function.trigger_type != HTTP_TRIGGER:
            log.info("Executing %s", about)
        started = time.monotonic()
        request = InvocationRequest(
            invocation_id=invocation_id,
            function_id=function.id,
            input_data=[ParameterBinding(name=function.trigger["name"], data=data.value)],
            trigger_metadata=data.metadata,
            trace_context=RpcTraceContext(trace_parent=trace_parent or _new_trace_parent()),
        )
        task = asyncio.create_task(self._run(function, request))
        self._running.add(task)
        try:
            result = await self._outcome(task, function)
        except InvocationError as failure:
            elapsed = (time.monotonic() - started) * 1000
            extra = {"stack_trace": failure.stack_trace}
            log.error("Failed %s after %.0f ms: %s", about, elapsed, failure, exc_info=failure.__cause__, extra=extra)
            raise
        else:
            status = f", status {result.http.status_code}" if result is not None and result.http is not None else ""
            log.info("Executed %s in %.0f ms%s", about, (time.monotonic() - started) * 1000, status)
            return result
        finally:
            task.cancel()  # a no-op unless this very call is being cancelled
            self._running.discard(task)
            invocation_id_cv.reset(token)

    def cancel_running(self) -> int:
        """Cancel all running invocations and return their number; a thread cannot be stopped, only abandoned."""
        for task in self._running:
            task.cancel()
        return len(self._running)

    async def wait_until_idle(self) -> None:
        """Return once no invocation is running."""
        while self._running:
            await asyncio.wait(self._running)

    async def _outcome(self, task: asyncio.Task[TypedData | None], function: Function) -> TypedData | None:
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
        error = task.exception()
        if error is not None and not isinstance(error, InvocationError):
            raise InvocationError(f"{type(error).__name__}: {error}") from error
        return task.result()

    async def _run(self, function: Function, request: InvocationRequest) -> TypedData | None:
        response = await self._response(function, request)
        if (error := response.result.exception) is not None:
            raise InvocationError(error.message, error.stack_trace)
        values = {output.name: output.data for output in response.output_data}
        if RETURN in function.outputs and function.outputs[RETURN]["type"] != "http" and response.return_value:
            values[RETURN] = response.return_value
        for name, value in values.items():
            await self._write_output(function.outputs[name], value)
        return response.return_value

    async def _response(self, function: Function, request: InvocationRequest) -> InvocationResponse:
        try:
            return await self._worker.invoke(request)
        except (KeyboardInterrupt, SystemExit) as error:
            self.worker_ended.set()
            self.cancel_running()
            raise InvocationError(f"the function ended the worker: {error!r}") from None
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, Exception) or (task is not None and task.cancelling()):
                raise
            log.error(
                "'Functions.%s' raised %r, which the worker does not report to the host. As in Azure, the invocation "
                "counts as running until it times out (functionTimeout: %s)",
                function.name,
                error,
                self._timeout or "unlimited",
            )
            no_response: asyncio.Future[InvocationResponse] = asyncio.get_running_loop().create_future()
            return await no_response


def _new_trace_parent() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
