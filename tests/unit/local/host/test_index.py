from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scripts.local.host.errors import FunctionLoadError, HostError
from scripts.local.host.index import load_functions

WHOLE_APP = """
    from fastapi import FastAPI
    app = func.AsgiFunctionApp(app=FastAPI(), http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.function_name("run_demo")
    @app.queue_trigger(arg_name="msg", queue_name="demo", connection="QueuesConn")
    async def run_demo(msg: func.QueueMessage, context: func.Context) -> None: ...

    @app.function_name("poison_demo")
    @app.queue_trigger(arg_name="msg", queue_name="demo-poison", connection="QueuesConn")
    def poison_demo(msg: func.QueueMessage) -> None: ...

    @app.timer_trigger(arg_name="timer", schedule="%SWEEP%")
    async def sweep(timer: func.TimerRequest) -> None: ...
"""


def test_one_app_object_gives_all_triggers(make_app: Any) -> None:
    functions = {function.name: function for function in make_app(WHOLE_APP)}
    assert {name: function.trigger_type for name, function in functions.items()} == {
        "http_app_func": "httpTrigger",
        "run_demo": "queueTrigger",
        "poison_demo": "queueTrigger",
        "sweep": "timerTrigger",
    }
    assert functions["http_app_func"].trigger["route"] == "/{*route}"
    assert functions["http_app_func"].outputs["$return"]["type"] == "http"
    assert functions["run_demo"].trigger["queueName"] == "demo"
    assert functions["run_demo"].wants_context
    assert functions["run_demo"].is_async
    assert not functions["poison_demo"].is_async
    assert not functions["poison_demo"].wants_context


def test_output_bindings_are_indexed_by_name(make_app: Any) -> None:
    (function,) = make_app(
        """
        app = func.FunctionApp()
        @app.route("x")
        @app.queue_output(arg_name="out", queue_name="jobs", connection="C")
        def enqueue(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse: ...
        """
    )
    assert {name: binding["type"] for name, binding in function.outputs.items()} == {"out": "queue", "$return": "http"}


def test_a_disabled_function_is_left_out(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "AzureWebJobs.sweep.Disabled", "true")
    assert "sweep" not in [function.name for function in make_app(WHOLE_APP)]


QUEUE = '@app.queue_trigger(arg_name="msg", queue_name="q", connection="C")'


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        pytest.param(
            f"@app.retry(strategy='fixed_delay', max_retry_count='3', delay_interval='00:00:01')\n{QUEUE}\n"
            "def f(msg: func.QueueMessage): ...",
            "retry policy",
            id="retry",
        ),
        pytest.param(
            "@app.blob_trigger(arg_name='b', path='x/{name}', connection='C')\ndef f(b: func.InputStream): ...",
            "trigger type 'blobTrigger' is not supported",
            id="trigger",
        ),
        pytest.param(
            "@app.route('x')\n@app.blob_output(arg_name='b', path='x', connection='C')\n"
            "def f(req: func.HttpRequest, b: func.Out[str]) -> str: ...",
            "out binding 'b' of type 'blob' is not supported",
            id="output",
        ),
        pytest.param(
            "@app.route('x')\n@app.blob_input(arg_name='b', path='x', connection='C')\n"
            "def f(req: func.HttpRequest, b: str) -> str: ...",
            "in binding 'b' of type 'blob' is not supported",
            id="input",
        ),
        pytest.param(f"{QUEUE}\ndef f(message: func.QueueMessage): ...", "parameters without a binding", id="name"),
        pytest.param(f"{QUEUE}\ndef f(msg, more): ...", "parameters without a binding: more", id="extra"),
        pytest.param(f"{QUEUE}\ndef f(): ...", "bindings without a parameter of that name: msg", id="missing"),
        pytest.param(f"{QUEUE}\ndef f(msg: str): ...", "does not match its annotation <class 'str'>", id="annotation"),
        pytest.param(f"{QUEUE}\ndef f(msg: 'func.QueueMessage | None'): ...", "does not match", id="union"),
        pytest.param(f"{QUEUE}\ndef f(msg: func.Out[str]): ...", "is an input, but is annotated", id="out"),
        pytest.param(f"{QUEUE}\ndef f(msg, context: dict): ...", "azure.functions.Context", id="context"),
        pytest.param(f"{QUEUE}\ndef f(msg: Missing): ...", "annotations cannot be resolved", id="type checking"),
        pytest.param(
            "@app.route('x')\n@app.queue_output(arg_name='out', queue_name='q', connection='C')\n"
            "def f(req: func.HttpRequest, out: str) -> str: ...",
            "output binding 'out' must be annotated azure.functions.Out",
            id="bare out",
        ),
        pytest.param(
            "@app.route('x')\n@app.queue_output(arg_name='out', queue_name='q', connection='C')\n"
            "def f(req: func.HttpRequest, out: func.Out[int]) -> str: ...",
            "binding 'out' <class 'int'> does not match a binding of type queue",
            id="type of out",
        ),
        pytest.param(
            "@app.route('x')\ndef f(req: func.HttpRequest) -> dict: ...",
            "the return annotation <class 'dict'> does not match a binding of type http",
            id="return",
        ),
        pytest.param(
            "@app.route('x')\ndef f(req: func.HttpRequest) -> list[str]: ...", "does not match a binding", id="generic"
        ),
    ],
)
def test_what_the_worker_refuses(make_app: Any, function: str, reason: str) -> None:
    with pytest.raises(FunctionLoadError, match=f"cannot load the 'f' function: .*{reason}"):
        make_app(f"app = func.FunctionApp()\n{function}\n")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "found none"),
        ("app = func.FunctionApp()\nsame = app", "found app, same"),
        ("bp = func.Blueprint()", "found none"),
        ("app = func.FunctionApp()\n@app.function_name('f')\ndef f(): ...", "does not have a trigger"),
        ("raise ValueError('at import')", "cannot be imported: ValueError: at import"),
        ("import no_such_module", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_an_app_that_cannot_be_indexed(make_app: Any, source: str, reason: str) -> None:
    with pytest.raises(HostError, match=reason):
        make_app(source)


def test_names_must_be_unique(make_app: Any) -> None:
    source = "app = func.FunctionApp()\n" + 2 * "@app.route('x')\ndef f(req): ...\n"
    with pytest.raises(HostError, match="does not have a unique function name"):
        make_app(source)


def test_a_missing_function_app(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"function_app\.py is missing"):
        load_functions(tmp_path)


def test_the_app_comes_first_on_the_path_and_the_current_directory_stays(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text("import azure.functions as func\napp = func.FunctionApp()\n")
    code = (
        "import sys, os; from pathlib import Path; from scripts.local.host.index import load_functions\n"
        f"load_functions(Path({str(tmp_path)!r})); import scripts.local.host\n"
        f"assert sys.path[0] == {str(tmp_path)!r}, sys.path\n"
        "assert {'', os.getcwd()} & set(sys.path[1:]), sys.path"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_product_has_one_front_door_one_timer_and_two_triggers_for_each_kind() -> None:
    code = (
        "import json; from pathlib import Path; from scripts.local.host.index import load_functions\n"
        "print(json.dumps([[f.name, dict(f.trigger)] for f in load_functions(Path('functions').resolve())]))"
    )
    storage = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;"
    settings = {
        **{name: f"{name}-{'x' * 32}" for name in ("INVITE_SECRET", "ADMIN_INVITE_SECRET", "SESSION_SECRET")},
        **{"AUTH_MODE": "invite", "ENVIRONMENT": "local", "SWEEP_SCHEDULE": "*/15 * * * * *"},
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
        "SIGNALR_CONNECTION": f"Endpoint=http://127.0.0.1:9;AccessKey={'k' * 48};Version=1.0;",
        "QueuesConn": f"{storage}QueueEndpoint=http://127.0.0.1:9/a;",
        "BlobsConn": f"{storage}BlobEndpoint=http://127.0.0.1:9/a;",
    }
    process = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **settings}, check=True, stdout=subprocess.PIPE, text=True
    )
    functions = json.loads(process.stdout)
    names = [name for name, _ in functions]
    assert len(names) == len(set(names))
    types = Counter(trigger["type"] for _, trigger in functions)
    kinds = [file for file in Path("functions/jobs").glob("*.py") if not file.name.startswith("_")]
    assert kinds
    assert types == {"httpTrigger": 1, "timerTrigger": 1, "queueTrigger": 2 * len(kinds)}
    queues = {trigger["queueName"] for _, trigger in functions if trigger["type"] == "queueTrigger"}
    plain = {queue for queue in queues if not queue.endswith("-poison")}
    assert len(plain) == len(kinds)
    assert queues == plain | {f"{queue}-poison" for queue in plain}
