from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from scripts.local.host.errors import InvocationError
from scripts.local.host.index import IndexedFunction
from scripts.local.host.invoke import Invoker, Out
from scripts.local.host.logs import current_invocation

HTTP_RETURN = {"$return": {"type": "http", "name": "$return"}}


def _function(
    body: Callable[..., Any], *, context: bool = False, outputs: Mapping[str, Mapping[str, Any]] | None = None
) -> IndexedFunction:
    trigger = {"type": "queueTrigger", "name": "msg"}
    return IndexedFunction(name="f", body=body, trigger=trigger, outputs=outputs or {}, wants_context=context)


class _Written:
    def __init__(self) -> None:
        self.values: list[tuple[str, Any]] = []

    async def __call__(self, binding: Mapping[str, Any], value: Any) -> None:
        if value == "refused":
            raise OSError("no such queue")
        self.values.append((binding["name"], value))


def _invoker(write: Callable[..., Awaitable[None]] | None = None, *, timeout: float | None = None) -> Invoker:
    limit = timedelta(seconds=timeout) if timeout else None
    return Invoker(app_dir=Path("/app"), timeout=limit, write_output=write or _Written())


async def test_async_bodies_run_on_the_loop_and_sync_ones_on_threads() -> None:
    async def on_loop(msg: str) -> None:
        assert asyncio.get_running_loop() is loop

    def on_thread(msg: str) -> None:
        names.append(threading.current_thread().name)

    loop, names, invoker = asyncio.get_running_loop(), [], _invoker()  # type: ignore[var-annotated]
    await invoker.invoke(_function(on_loop), "m")
    await invoker.invoke(_function(on_thread), "m")
    assert [name.rpartition("_")[0] for name in names] == ["function"]


async def test_a_context_is_injected() -> None:
    async def body(msg: str, context: Any) -> None:
        seen.append(context)

    seen: list[Any] = []
    await _invoker().invoke(_function(body, context=True), "m", trace_parent="00-a-b-01")
    await _invoker().invoke(_function(body, context=True), "m")
    first, second = seen
    assert (first.function_name, first.function_directory) == ("f", "/app")
    assert first.trace_context.trace_parent == "00-a-b-01"
    assert second.trace_context.trace_parent.startswith("00-")
    assert first.invocation_id != second.invocation_id
    assert first.retry_context is None


@pytest.mark.parametrize("is_async", [True, False])
async def test_every_record_carries_the_invocation_id(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def asynchronous(msg: str, context: Any) -> None:
        await asyncio.create_task(asyncio.sleep(0))
        ids.append((context.invocation_id, current_invocation.get()))

    def synchronous(msg: str, context: Any) -> None:
        ids.append((context.invocation_id, current_invocation.get()))
        ids.append((context.invocation_id, context.thread_local_storage.invocation_id))

    class NoteIds(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            ids.append((ids[0][0] if ids else current_invocation.get(), current_invocation.get()))

    ids: list[tuple[str | None, str | None]] = []
    logger, notes = logging.getLogger("host.invoke"), NoteIds()
    logger.addHandler(notes)
    try:
        with caplog.at_level(logging.INFO):
            body = asynchronous if is_async else synchronous
            await _invoker().invoke(_function(body, context=True), "m", detail="message 7")
    finally:
        logger.removeHandler(notes)
    assert len(ids) >= 3
    assert {given == expected for given, expected in ids} == {True}
    assert len(set(ids)) == 1
    assert current_invocation.get() is None
    assert "Executed 'Functions.f' (message 7)" in caplog.text


async def test_concurrent_invocations_have_their_own_ids() -> None:
    async def body(msg: str) -> None:
        await asyncio.sleep(0)
        ids.add(current_invocation.get())

    ids: set[str | None] = set()
    invoker = _invoker()
    await asyncio.gather(*(invoker.invoke(_function(body), "m") for _ in range(20)))
    assert len(ids) == 20


async def test_a_queue_function_must_return_none() -> None:
    async def body(msg: str) -> str:
        return "done"

    with pytest.raises(InvocationError, match=r"without a \$return binding returned a non-None value"):
        await _invoker().invoke(_function(body), "m")


@pytest.mark.parametrize("value", [None, "text", func.HttpResponse("x")])
async def test_what_an_http_function_may_return(value: Any) -> None:
    async def body(msg: str) -> Any:
        return value

    assert await _invoker().invoke(_function(body, outputs=HTTP_RETURN), "m") is value


async def test_an_http_function_returns_nothing_else() -> None:
    async def body(msg: str) -> Any:
        return {"a": 1}

    with pytest.raises(InvocationError, match="returned dict, not an"):
        await _invoker().invoke(_function(body, outputs=HTTP_RETURN), "m")


async def test_an_exception_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def body(msg: str) -> None:
        raise LookupError("nothing there")

    with pytest.raises(InvocationError, match="LookupError: nothing there"):
        await _invoker().invoke(_function(body), "m")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "Failed 'Functions.f'" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


async def test_outputs_are_written_after_success_only() -> None:
    async def body(msg: str, out: Out, unset: Out) -> str:
        out.set(msg)
        if msg == "failing":
            raise ValueError("too late")
        return "returned"

    written = _Written()
    outputs = {name: {"type": "queue", "name": name} for name in ("out", "unset", "$return")}
    invoker = _invoker(written)
    await invoker.invoke(_function(body, outputs=outputs), "value")
    with pytest.raises(InvocationError):
        await invoker.invoke(_function(body, outputs=outputs), "failing")
    assert written.values == [("out", "value"), ("$return", "returned")]
    with pytest.raises(InvocationError, match="no such queue"):
        await invoker.invoke(_function(body, outputs=outputs), "refused")


async def test_a_timeout_cancels_every_running_invocation(caplog: pytest.LogCaptureFixture) -> None:
    async def body(msg: str) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(msg)
            raise

    cancelled: list[str] = []
    invoker = _invoker(timeout=0.2)
    first = asyncio.create_task(invoker.invoke(_function(body), "first"))
    await asyncio.sleep(0.1)  # so that the second's own timeout is later
    second = asyncio.create_task(invoker.invoke(_function(body), "second"))
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["timed out after 0:00:00.200000", "cancelled"]
    assert sorted(cancelled) == ["first", "second"]
    assert "the 2 running invocations are cancelled" in caplog.text


async def test_cancelling_lets_a_body_clean_up_and_succeed() -> None:
    async def body(msg: str) -> None:
        started.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            released.append(msg)

    started, released, invoker = asyncio.Event(), list[str](), _invoker()
    running = asyncio.create_task(invoker.invoke(_function(body), "m"))
    await started.wait()
    assert invoker.cancel_running() == 1
    await asyncio.wait_for(invoker.wait_until_idle(), 5)
    await running
    assert released == ["m"]


async def test_the_end_of_the_caller_ends_the_body() -> None:
    async def body(msg: str) -> None:
        started.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    started, ended = asyncio.Event(), asyncio.Event()
    caller = asyncio.create_task(_invoker().invoke(_function(body), "m"))
    await started.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await asyncio.wait_for(ended.wait(), 5)
