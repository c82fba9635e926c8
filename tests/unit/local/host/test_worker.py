"""Microsoft's worker under this host: its own words about an app that it cannot index, and its own rules for bodies."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueMessage

from tests.support.hosted_app import HostedApp, text
from tests.unit.local.host.conftest import MakeApp
from tools.functions_host.errors import WorkerRefused
from tools.functions_host.protos import (
    InvocationRequest,
    InvocationResponse,
    ParameterBinding,
    RpcTraceContext,
    TypedData,
)
from tools.functions_host.trigger_data import TriggerData, from_message, from_timer
from tools.functions_host.worker import Worker

QUEUE = '@app.queue_trigger(arg_name="msg", queue_name="q", connection="C")'
OUT = "@app.queue_output(arg_name='out', queue_name='q', connection='C')"


async def invoke(app: HostedApp, name: str, data: TriggerData) -> InvocationResponse:
    function = app[name]
    request = InvocationRequest(
        invocation_id=str(uuid.uuid4()),
        function_id=function.id,
        input_data=[ParameterBinding(name=function.trigger["name"], data=data.value)],
        trigger_metadata=data.metadata,
        trace_context=RpcTraceContext(trace_parent="00-a-b-01"),
    )
    return await app.worker.invoke(request)


def message_of(response: InvocationResponse) -> str | None:
    return response.result.exception.message if response.result.exception else None


def test_it_is_the_version_that_the_lock_names_and_says_so() -> None:
    assert version("azure-functions-runtime") == "1.3.0"
    assert "azure-functions-runtime 1.3.0" in Worker.name


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("", "ValueError: Could not find top level function app instances in", id="no app"),
        pytest.param("bp = func.Blueprint()", "ValueError: Could not find top level function app", id="blueprint"),
        pytest.param("app = func.FunctionApp()\nsame = app", "ValueError: More than one FunctionApp", id="two names"),
        pytest.param(
            "app = func.FunctionApp()\n@app.function_name('f')\ndef f(): ...",
            "ValueError: Function f does not have a",
            id="no trigger",
        ),
        pytest.param(
            "app = func.FunctionApp()\n" + 2 * "@app.route('x')\ndef f(req): ...\n",
            "ValueError: Function f does not have a unique function name",
            id="one name twice",
        ),
        pytest.param("raise LookupError('at import')", "LookupError: at import", id="import fails"),
        pytest.param(
            "import no_such_module",
            "ModuleNotFoundError: No module named 'no_such_module'. Cannot find module.",
            id="no module",
        ),
        pytest.param("def", "SyntaxError: invalid syntax", id="syntax"),
        pytest.param("app: func.NoSuchName = func.NoSuchName()", "AttributeError: module", id="attribute"),
    ],
)
async def test_an_app_that_cannot_be_indexed(make_app: MakeApp, source: str, message: str) -> None:
    with pytest.raises(WorkerRefused) as refused:
        await make_app(source)
    assert str(refused.value).startswith(message)
    assert "azure_functions_runtime" in refused.value.stack_trace


LOAD_ERROR = "FunctionLoadError: cannot load the f function: "


@pytest.mark.parametrize(
    ("function", "message"),
    [
        pytest.param(
            f"{QUEUE}\ndef f(msg, more): ...",
            "the following parameters are declared in Python but not in the function definition (function.json or "
            "function decorators):  {'more'}",
            id="parameter without a binding",
        ),
        pytest.param(
            f"{QUEUE}\ndef f(): ...",
            "Extra parameters in binding definition — the following parameters are declared as bindings but are not "
            "present in Python: {'msg'}",
            id="binding without a parameter",
        ),
        pytest.param(f"{QUEUE}\ndef f(msg: int): ...", "binding type \"'msg'\" and dataType", id="annotation"),
        pytest.param(f"{QUEUE}\ndef f(msg: 'func.QueueMessage | None'): ...", "binding msg has invalid", id="union"),
        pytest.param(f"{QUEUE}\ndef f(msg: func.Out[str]): ...", 'binding msg is declared to have the "in"', id="in"),
        pytest.param(f"{QUEUE}\ndef f(msg, context: dict): ...", 'the "context" parameter is expected', id="context"),
        pytest.param(
            f"@app.route('x')\n{OUT}\ndef f(req: func.HttpRequest, out: str) -> str: ...",
            'binding out is declared to have the "out" direction',
            id="bare out",
        ),
        pytest.param(
            f"@app.route('x')\n{OUT}\ndef f(req: func.HttpRequest, out: func.Out[int]) -> str: ...",
            "binding type \"'out'\" and dataType",
            id="type of out",
        ),
        pytest.param(
            "@app.route('x')\ndef f(req: func.HttpRequest) -> dict: ...",
            'Python return annotation "dict" does not match binding type "http"',
            id="return",
        ),
        pytest.param(
            "@app.route('x')\ndef f(req: func.HttpRequest) -> list[str]: ...", "has invalid non-type return", id="list"
        ),
    ],
)
async def test_a_function_that_the_worker_refuses(make_app: MakeApp, function: str, message: str) -> None:
    with pytest.raises(WorkerRefused) as refused:
        await make_app(f"app = func.FunctionApp()\n{function}\n")
    assert str(refused.value).startswith(LOAD_ERROR + message)


async def test_names_that_only_type_checkers_know_break_a_signature(make_app: MakeApp) -> None:
    with pytest.raises(WorkerRefused, match=r"^NameError: name 'Missing' is not defined"):
        await make_app(f"app = func.FunctionApp()\n{QUEUE}\ndef f(msg: Missing): ...\n")


async def test_an_exit_at_import_ends_the_worker(make_app: MakeApp) -> None:
    with pytest.raises(SystemExit) as ended:
        await make_app("raise SystemExit(78)")
    assert ended.value.code == 78


async def test_a_folder_without_a_script_has_no_functions(tmp_path: Path) -> None:
    path = list(sys.path)
    try:
        assert await Worker().start(tmp_path) == ()
        assert sys.path == [*path, str(tmp_path)]
    finally:
        sys.path[:] = path


BODIES = """
    import asyncio, threading
    app = func.FunctionApp()
    seen = []

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="C")
    async def on_loop(msg: func.QueueMessage, context: func.Context) -> None:
        seen.append((msg, context, asyncio.get_running_loop(), threading.current_thread()))

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="C")
    def on_thread(msg: func.QueueMessage, context: func.Context) -> None:
        seen.append((msg, context, context.thread_local_storage.invocation_id, threading.current_thread()))

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="C")
    async def returns(msg: func.QueueMessage):
        return msg.get_body().decode()

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
    def tick(timer: func.TimerRequest) -> None:
        seen.append((timer.past_due, timer.schedule_status, timer.schedule))
"""


async def test_a_message_with_its_metadata(make_app: MakeApp, tmp_path: Path) -> None:
    app = await make_app(BODIES)
    message = QueueMessage()
    message.id, message.pop_receipt, message.dequeue_count = "an id", "a receipt", 3
    message.inserted_on = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    message.expires_on = datetime(2026, 1, 9, 3, 4, 5, tzinfo=UTC)
    message.next_visible_on = datetime(2026, 1, 2, 3, 14, 5, 678901, tzinfo=UTC)
    body = '{"text": "zażółć"}'.encode()
    response = await invoke(app, "on_loop", from_message(app["on_loop"], message, body))
    assert message_of(response) is None
    ((seen, context, loop, _),) = app.module.seen
    assert (seen.get_json(), seen.id, seen.pop_receipt, seen.dequeue_count) == (
        *({"text": "zażółć"}, "an id", "a receipt", 3),
    )
    assert (seen.insertion_time, seen.expiration_time) == (message.inserted_on, message.expires_on)
    assert seen.time_next_visible == message.next_visible_on
    assert loop is asyncio.get_running_loop()
    assert (context.function_name, context.function_directory) == ("on_loop", str(tmp_path))
    assert context.invocation_id == response.invocation_id
    assert context.trace_context.trace_parent == "00-a-b-01"
    assert context.retry_context.retry_count == 0


@pytest.mark.parametrize(("data_type", "expected"), [("", "\ufffd\ufffd".encode()), ("BINARY", b"\xff\xfe")])
async def test_a_body_that_is_no_text(make_app: MakeApp, data_type: str, expected: bytes) -> None:
    option = ", data_type=func.DataType.BINARY" if data_type else ""
    app = await make_app(
        BODIES.replace('queue_name="q", connection="C")', f'queue_name="q", connection="C"{option})', 1)
    )
    await invoke(app, "on_loop", from_message(app["on_loop"], QueueMessage(), b"\xff\xfe"))
    assert app.module.seen[0][0].get_body() == expected


async def test_an_occurrence_of_a_timer(make_app: MakeApp) -> None:
    app = await make_app(BODIES)
    following = datetime(2027, 1, 1, tzinfo=UTC)
    await invoke(app, "tick", from_timer(last=None, following=following))
    ((past_due, status, schedule),) = app.module.seen
    assert past_due is False
    assert (status["Last"], status["Next"]) == ("0001-01-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00")
    assert schedule == {"AdjustForDST": True}


@pytest.mark.parametrize("threads", [1, 3])
async def test_plain_bodies_run_on_as_many_threads_as_the_setting_says(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", str(threads))
    app = await make_app(BODIES)
    together = threading.Barrier(threads)

    class Seen(list[Any]):
        def append(self, item: Any) -> None:
            together.wait(30)
            super().append(item)

    seen = Seen()
    monkeypatch.setattr(app.module, "seen", seen)
    responses = await asyncio.gather(*(invoke(app, "on_thread", text()) for _ in range(threads * 2)))
    assert {message_of(response) for response in responses} == {None}
    assert len({thread for *_, thread in seen}) == threads
    assert {invocation_id for _, _, invocation_id, _ in seen} == {response.invocation_id for response in responses}


async def test_a_returned_value_without_a_binding_for_it_is_a_failure(make_app: MakeApp) -> None:
    app = await make_app(BODIES)
    # the library forgets to put the name into its text
    expected = "RuntimeError: ('function %s without a $return bindingreturned a non-None value', \"'returns'\")"
    assert message_of(await invoke(app, "returns", text())) == expected


OUTPUTS = f"""
    app = func.FunctionApp()
    values = {{}}

    @app.route("returned")
    def returned(req: func.HttpRequest):
        return values["value"]

    {QUEUE}
    {OUT}
    def written(msg: func.QueueMessage, out):
        out.set(values["value"])
        if "error" in values:
            raise values["error"]
"""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", TypedData(string="text")),
        (b"\xff", TypedData(bytes=b"\xff")),
        (["a", "b"], TypedData(json='["a", "b"]')),
        (None, None),
    ],
)
async def test_values_of_an_output(make_app: MakeApp, value: object, expected: TypedData | None) -> None:
    app = await make_app(OUTPUTS)
    app.module.values["value"] = value
    response = await invoke(app, "written", text())
    assert message_of(response) is None
    assert [output.data for output in response.output_data] == ([] if expected is None else [expected])


@pytest.mark.parametrize("value", [1, [b"bytes in a list"]])
async def test_a_value_that_no_queue_takes_fails_the_invocation(make_app: MakeApp, value: object) -> None:
    app = await make_app(OUTPUTS)
    app.module.values["value"] = value
    message = message_of(await invoke(app, "written", text()))
    assert message is not None
    assert message.startswith("TypeError: unable to encode outgoing TypedData")


async def test_a_body_that_fails_writes_nothing(make_app: MakeApp) -> None:
    app = await make_app(OUTPUTS)
    app.module.values.update(value="text", error=LookupError("too late"))
    response = await invoke(app, "written", text())
    assert message_of(response) == "LookupError: too late"
    assert response.output_data == ()


RAISING = f"""
    app = func.FunctionApp()
    errors = {{}}

    {QUEUE}
    async def on_loop(msg: func.QueueMessage) -> None:
        raise errors["error"]

    {QUEUE}
    def on_thread(msg: func.QueueMessage) -> None:
        raise errors["error"]
"""


class Abandoned(BaseException):
    pass


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("name", ["on_loop", "on_thread"])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a reason"), "ValueError: a reason"),
        (TimeoutError(), "TimeoutError: "),
        (ExceptionGroup("several", [ValueError("one")]), "ExceptionGroup: several (1 sub-exception)"),
        (Unspeakable(), "Unhandled exception in function. Could not serialize original exception message."),
    ],
)
async def test_an_exception_comes_back_with_its_trace(
    make_app: MakeApp, name: str, error: Exception, message: str
) -> None:
    app = await make_app(RAISING)
    app.module.errors["error"] = error
    response = await invoke(app, name, text())
    assert message_of(response) == message
    assert response.result.exception is not None
    assert 'raise errors["error"]' in response.result.exception.stack_trace


@pytest.mark.parametrize("name", ["on_loop", "on_thread"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), Abandoned("x"), asyncio.CancelledError()])
async def test_what_is_no_exception_leaves_the_worker_without_a_response(
    make_app: MakeApp, name: str, error: BaseException
) -> None:
    app = await make_app(RAISING)
    app.module.errors["error"] = error
    with pytest.raises(type(error)):
        await invoke(app, name, text())


async def test_what_the_worker_logs_holds_no_setting_of_the_app(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SESSION_SECRET", "very-secret")
    with caplog.at_level(logging.INFO):
        app = await make_app(BODIES)
        await invoke(app, "on_loop", text("a private body"))
    worker_lines = [record.getMessage() for record in caplog.records if record.name == "azure.functions"]
    assert len(worker_lines) >= 2, "its log of the indexing and that of the invocation"
    assert not [line for line in worker_lines if "very-secret" in line or "a private body" in line]


def test_nothing_of_the_worker_needs_protobuf_or_grpc() -> None:
    code = (
        "import sys, tools.functions_host.worker; print([m for m in ('grpc', 'google.protobuf') if m in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"
