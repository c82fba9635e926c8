"""One invocation: its id, its log, its outputs, the function timeout, cancellation, and bodies that end the worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from azure_functions_runtime import invocation_id_cv

from tests.support.hosted_app import HostedApp, text
from tests.unit.local.host.conftest import MakeApp
from tools.functions_host.errors import InvocationError
from tools.functions_host.invoke import Invoker
from tools.functions_host.protos import TypedData

APP = """
    import asyncio, logging, threading
    bodies = {}
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="C")
    async def on_loop(msg: func.QueueMessage, context: func.Context):
        return await bodies["f"](msg, context)

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="C")
    def on_thread(msg: func.QueueMessage, context: func.Context):
        return bodies["f"](msg, context)

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="C")
    @app.queue_output(arg_name="out", queue_name="out", connection="C")
    @app.queue_output(arg_name="unset", queue_name="unset", connection="C")
    @app.queue_output(arg_name="$return", queue_name="returned", connection="C")
    def writing(msg: func.QueueMessage, out: func.Out[str], unset: func.Out[str]) -> str:
        out.set(msg.get_body().decode())
        if msg.get_body() == b"failing":
            raise ValueError("too late")
        return "returned"
"""


class _Written:
    def __init__(self) -> None:
        self.values: list[tuple[str, str | None]] = []

    async def __call__(self, binding: Mapping[str, Any], value: TypedData) -> None:
        if value.string == "refused":
            raise OSError("no such queue")
        self.values.append((binding["name"], value.string))


def _invoker(
    app: HostedApp, write: Callable[..., Awaitable[None]] | None = None, *, timeout: float | None = None
) -> Invoker:
    limit = timedelta(seconds=timeout) if timeout else None
    return Invoker(app.worker, timeout=limit, write_output=write or _Written())


async def _app_with(make_app: MakeApp, body: Callable[..., Any]) -> HostedApp:
    app = await make_app(APP)
    app.module.bodies["f"] = body
    return app


@pytest.mark.parametrize("name", ["on_loop", "on_thread"])
async def test_every_record_carries_the_invocation_id(
    make_app: MakeApp, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def asynchronous(msg: object, context: Any) -> None:
        await asyncio.create_task(asyncio.sleep(0))
        synchronous(msg, context)

    def synchronous(msg: object, context: Any) -> None:
        logging.getLogger("app").info("in the body of %s", context.invocation_id)

    class NoteIds(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            noted.append((record.name, record.getMessage(), invocation_id_cv.get()))

    noted: list[tuple[str, str, str | None]] = []
    notes = NoteIds()
    logging.getLogger().addHandler(notes)
    try:
        with caplog.at_level(logging.INFO):
            app = await _app_with(make_app, asynchronous if name == "on_loop" else synchronous)
            noted.clear()
            await _invoker(app).invoke(app[name], text(), detail="message 7")
    finally:
        logging.getLogger().removeHandler(notes)
    (invocation_id,) = {found for _, _, found in noted}
    assert invocation_id is not None
    names = [name for name, _, _ in noted if name != "azure.functions"]
    assert names == ["host.invoke", "app", "host.invoke"]
    assert ("app", f"in the body of {invocation_id}", invocation_id) in noted
    assert invocation_id_cv.get() is None
    assert f"Executed 'Functions.{name}' (message 7)" in caplog.text


async def test_concurrent_invocations_have_their_own_ids(make_app: MakeApp) -> None:
    async def body(msg: object, context: Any) -> None:
        await asyncio.sleep(0)
        assert invocation_id_cv.get() == context.invocation_id
        ids.add(context.invocation_id)

    ids: set[str] = set()
    app = await _app_with(make_app, body)
    invoker = _invoker(app)
    await asyncio.gather(*(invoker.invoke(app["on_loop"], text()) for _ in range(20)))
    assert len(ids) == 20


async def test_the_trace_of_the_caller_is_passed_on_or_a_new_one_begins(make_app: MakeApp) -> None:
    async def body(msg: object, context: Any) -> None:
        seen.append(context.trace_context.trace_parent)

    seen: list[str] = []
    app = await _app_with(make_app, body)
    await _invoker(app).invoke(app["on_loop"], text(), trace_parent="00-a-b-01")
    await _invoker(app).invoke(app["on_loop"], text())
    assert seen[0] == "00-a-b-01"
    assert seen[1].startswith("00-")
    assert seen[1] != seen[0]


async def test_an_exception_is_logged_with_the_trace_of_the_worker(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(msg: object, context: object) -> None:
        raise LookupError("nothing there")

    app = await _app_with(make_app, body)
    with pytest.raises(InvocationError, match="LookupError: nothing there"):
        await _invoker(app).invoke(app["on_loop"], text())
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "Failed 'Functions.on_loop'" in record.getMessage()
    assert 'raise LookupError("nothing there")' in record.__dict__["stack_trace"]


async def test_outputs_are_written_after_success_only(make_app: MakeApp) -> None:
    written = _Written()
    app = await make_app(APP)
    invoker = _invoker(app, written)
    await invoker.invoke(app["writing"], text("value"))
    with pytest.raises(InvocationError, match="too late"):
        await invoker.invoke(app["writing"], text("failing"))
    assert written.values == [("out", "value"), ("$return", "returned")]
    with pytest.raises(InvocationError, match="no such queue"):
        await invoker.invoke(app["writing"], text("refused"))


async def test_a_timeout_cancels_every_running_invocation(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    async def body(msg: Any, context: object) -> None:
        started.append(msg)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(msg.get_body().decode())
            raise

    started: list[object] = []
    cancelled: list[str] = []
    app = await _app_with(make_app, body)
    invoker = _invoker(app, timeout=0.2)
    first = asyncio.create_task(invoker.invoke(app["on_loop"], text("first")))
    await asyncio.sleep(0.1)  # so that the second's own timeout is later
    second = asyncio.create_task(invoker.invoke(app["on_loop"], text("second")))
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["timed out after 0:00:00.200000", "cancelled"]
    assert sorted(cancelled) == ["first", "second"]
    assert "the 2 running invocations are cancelled" in caplog.text


async def test_cancelling_lets_a_body_clean_up_and_succeed(make_app: MakeApp) -> None:
    async def body(msg: Any, context: object) -> None:
        started.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            released.append(msg.get_body())

    started, released = asyncio.Event(), list[bytes]()
    app = await _app_with(make_app, body)
    invoker = _invoker(app)
    running = asyncio.create_task(invoker.invoke(app["on_loop"], text()))
    await started.wait()
    assert invoker.cancel_running() == 1
    await asyncio.wait_for(invoker.wait_until_idle(), 5)
    await running
    assert released == [b"m"]


async def test_the_end_of_the_caller_ends_the_body(make_app: MakeApp) -> None:
    async def body(msg: object, context: object) -> None:
        started.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    started, ended = asyncio.Event(), asyncio.Event()
    app = await _app_with(make_app, body)
    caller = asyncio.create_task(_invoker(app).invoke(app["on_loop"], text()))
    await started.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("name", ["on_loop", "on_thread"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
async def test_an_exit_ends_the_worker_and_all_that_it_runs(make_app: MakeApp, name: str, error: BaseException) -> None:
    async def asynchronous(msg: Any, context: object) -> None:
        if msg.get_body() == b"other":
            started.set()
            await asyncio.sleep(30)
        synchronous(msg, context)

    def synchronous(msg: object, context: object) -> None:
        raise error

    started = asyncio.Event()
    app = await _app_with(make_app, asynchronous)
    invoker = _invoker(app)
    other = asyncio.create_task(invoker.invoke(app["on_loop"], text("other")))
    await started.wait()
    assert not invoker.worker_ended.is_set()
    if name == "on_thread":
        app.module.bodies["f"] = synchronous
    with pytest.raises(InvocationError, match=type(error).__name__):
        await invoker.invoke(app[name], text())
    with pytest.raises(InvocationError, match="cancelled"):
        await other
    assert invoker.worker_ended.is_set()


class Abandoned(BaseException):
    pass


@pytest.mark.parametrize("name", ["on_loop", "on_thread"])
@pytest.mark.parametrize("error", [Abandoned(), asyncio.CancelledError()])
async def test_without_a_response_an_invocation_runs_until_its_timeout(
    make_app: MakeApp, name: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def asynchronous(msg: object, context: object) -> None:
        raise error

    def synchronous(msg: object, context: object) -> None:
        raise error

    def told() -> int:
        return sum(repr(error) in record.getMessage() for record in caplog.records)

    app = await _app_with(make_app, asynchronous if name == "on_loop" else synchronous)
    with pytest.raises(InvocationError, match="timed out"):
        await _invoker(app, timeout=0.5).invoke(app[name], text())
    assert told() == 1
    unlimited = _invoker(app)
    running = asyncio.create_task(unlimited.invoke(app[name], text()))
    async with asyncio.timeout(10):
        while told() < 2:  # at once, not only after the timeout
            await asyncio.sleep(0.01)
    assert not running.done()
    unlimited.cancel_running()
    with pytest.raises(InvocationError, match="cancelled"):
        await running
