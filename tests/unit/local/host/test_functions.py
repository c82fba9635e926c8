"""What the host reads from what the worker has indexed, and what it refuses itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

import jobs
from queued_jobs.registry import JobRegistry
from tests.support import link_secrets
from tests.unit.local.host.conftest import MakeApp
from tools.functions_host.errors import FunctionLoadError

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


async def test_one_app_object_gives_all_triggers(make_app: MakeApp) -> None:
    app = await make_app(WHOLE_APP)
    assert {function.name: function.trigger_type for function in app.functions} == {
        "http_app_func": "httpTrigger",
        "run_demo": "queueTrigger",
        "poison_demo": "queueTrigger",
        "sweep": "timerTrigger",
    }
    assert app["http_app_func"].trigger["route"] == "/{*route}"
    assert app["http_app_func"].outputs["$return"]["type"] == "http"
    assert app["run_demo"].trigger["queueName"] == "demo"
    assert len({function.id for function in app.functions}) == 4


async def test_output_bindings_are_read_by_name(make_app: MakeApp) -> None:
    app = await make_app(
        """
        app = func.FunctionApp()
        @app.route("x")
        @app.queue_output(arg_name="out", queue_name="jobs", connection="C")
        def enqueue(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse: ...
        """
    )
    outputs = app["enqueue"].outputs
    assert {name: binding["type"] for name, binding in outputs.items()} == {"out": "queue", "$return": "http"}


async def test_a_disabled_function_is_left_out(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "AzureWebJobs.sweep.Disabled", "true")
    assert "sweep" not in [function.name for function in (await make_app(WHOLE_APP)).functions]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        pytest.param(
            "@app.retry(strategy='fixed_delay', max_retry_count='3', delay_interval='00:00:01')\n"
            "@app.queue_trigger(arg_name='msg', queue_name='q', connection='C')\ndef f(msg: func.QueueMessage): ...",
            "retry policy",
            id="retry",
        ),
        pytest.param(
            "@app.blob_trigger(arg_name='b', path='x/{name}', connection='C')\ndef f(b: func.InputStream): ...",
            "blobTrigger",
            id="trigger",
        ),
        pytest.param(
            "@app.route('x')\n@app.blob_output(arg_name='b', path='x', connection='C')\n"
            "def f(req: func.HttpRequest, b: func.Out[str]) -> str: ...",
            "out binding 'b' of type 'blob'",
            id="output",
        ),
        pytest.param(
            "@app.route('x')\n@app.blob_input(arg_name='b', path='x', connection='C')\n"
            "def f(req: func.HttpRequest, b: str) -> str: ...",
            "in binding 'b' of type 'blob'",
            id="input",
        ),
    ],
)
async def test_what_this_host_does_not_have_is_refused(make_app: MakeApp, function: str, reason: str) -> None:
    with pytest.raises(FunctionLoadError, match=f"'f' function: .*{reason}"):
        await make_app(f"app = func.FunctionApp()\n{function}\n")


def test_the_product_has_one_front_door_two_triggers_for_each_queue_and_a_timer_for_each_schedule() -> None:
    code = (
        "import asyncio, json; from pathlib import Path\n"
        "from tools.functions_host.functions import read_functions; from tools.functions_host.worker import Worker\n"
        "functions = read_functions(asyncio.run(Worker().start(Path('functions').resolve())))\n"
        "print(json.dumps([[f.name, dict(f.trigger)] for f in functions]))"
    )
    storage = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;"
    settings = {
        **link_secrets.SETTINGS,
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
    registry = JobRegistry.from_package(jobs)
    scheduled = [kind for kind in registry if kind.schedule is not None]
    assert registry.queues
    assert types == {"httpTrigger": 1, "timerTrigger": 2 + len(scheduled), "queueTrigger": 2 * len(registry.queues)}
    queues = {trigger["queueName"] for _, trigger in functions if trigger["type"] == "queueTrigger"}
    assert queues == {name for queue in registry.queues for name in (queue, f"{queue}-poison")}
