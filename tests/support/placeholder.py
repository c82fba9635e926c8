"""Becomes the worker of an app as an instance does on a cold start in Azure, where it waits as a placeholder before.

    python -I -S placeholder.py WORKER_PACKAGES APP_FOLDER APP_PACKAGES SCRIPTS < SETTINGS

The worker library is initialised in an empty folder, without the app and its settings. Then, as Microsoft's proxy does,
the app's packages get before the worker's, what came from there is forgotten, and the library is loaded again and told
to reload its environment. Prints a JSON object with what is there before and after, and with an answer of the app.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

worker_packages, app_folder, app_packages, scripts = sys.argv[1:]


def ask(protos: ModuleType, **message: object) -> SimpleNamespace:
    return SimpleNamespace(request=SimpleNamespace(**message), properties={"host": "127.0.0.1", "protos": protos})


def loaded_from(*folders: str) -> list[str]:
    """Return the modules that were loaded from one of the folders."""
    files = [(name, str(getattr(module, "__file__", None) or "")) for name, module in list(sys.modules.items())]
    return [name for name, file in files if file.startswith(folders)]


async def wait_as_placeholder(protos: ModuleType) -> None:
    library = importlib.import_module("azure_functions_runtime")
    library.start_threadpool_executor()
    init = SimpleNamespace(capabilities={}, function_app_directory=os.getcwd())
    response = await library.worker_init_request(ask(protos, worker_init_request=init))
    assert response.result.exception is None, response.result.exception


async def specialise(protos: ModuleType, settings: dict[str, str]) -> tuple[ModuleType, Any]:
    sys.path.insert(0, app_packages)
    for name in loaded_from(worker_packages):
        del sys.modules[name]
    library = importlib.import_module("azure_functions_runtime")
    library.start_threadpool_executor()
    reload = SimpleNamespace(function_app_directory=app_folder, environment_variables=settings)
    response = await library.function_environment_reload_request(
        ask(protos, function_environment_reload_request=reload)
    )
    assert response.result.exception is None, response.result.exception
    return library, (await library.functions_metadata_request(ask(protos))).function_metadata_results


async def get(library: ModuleType, protos: Any, function: Any, path: str) -> Any:
    http = protos.RpcHttp(
        method="GET",
        url=f"https://app.example{path}",
        headers={"host": "app.example"},
        body=protos.TypedData(bytes=b""),
    )
    invocation = protos.InvocationRequest(
        invocation_id="an invocation",
        function_id=function.function_id,
        input_data=[protos.ParameterBinding(name="req", data=protos.TypedData(http=http))],
        trigger_metadata={},
        trace_context=protos.RpcTraceContext(trace_parent=""),
    )
    response = await library.invocation_request(ask(protos, invocation_request=invocation))
    assert response.result.exception is None, response.result.exception
    return response.return_value.http


async def main() -> None:
    settings = json.load(sys.stdin)
    sys.path.insert(0, worker_packages)
    sys.path.append(scripts)
    protos = importlib.import_module("tools.functions_host.protos")
    await wait_as_placeholder(protos)
    early = loaded_from(app_folder)
    library, functions = await specialise(protos, settings)
    (front_door,) = (function for function in functions if "httpTrigger" in function.raw_bindings[0])
    health = await get(library, protos, front_door, "/api/health")
    late = ("azure.functions", "queued_jobs", "fastapi", "psycopg")
    report = {
        "early": early,
        "functions": [function.name for function in functions],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "origins": {name: sys.modules[name].__file__ for name in late},
        "of_the_worker": [name for name in ("grpc", "google.protobuf") if name in sys.modules],
        "health": [health.status_code, json.loads(health.body.bytes)],
    }
    sys.stdout.write(f"\n{json.dumps(report)}\n")
    sys.stdout.flush()
    os._exit(0)


asyncio.run(main())
