"""A function app in a file of its own, indexed by the worker in this process."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from tools.functions_host.functions import Function, read_functions
from tools.functions_host.protos import TypedData
from tools.functions_host.trigger_data import TriggerData
from tools.functions_host.worker import Worker

_IMPORTS = "from __future__ import annotations\nimport azure.functions as func\n"
_CALLING = """
bodies = {{}}
app = func.FunctionApp()

@app.function_name({name!r})
@app.{trigger}
async def f(data: func.{annotation}, context: func.Context):
    return await bodies["f"](data)
"""
_numbers = itertools.count(1)

Body = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedApp:
    """An app, ready to be invoked; `module` is its script."""

    worker: Worker
    functions: list[Function]
    module: ModuleType

    def __getitem__(self, name: str) -> Function:
        return next(function for function in self.functions if function.name == name)


async def host_app(folder: Path, source: str) -> HostedApp:
    """Write the app, after the imports it needs, and have it indexed; raises as the host does."""
    module = f"sample_app_{next(_numbers)}"  # unique, since a module is imported once
    (folder / f"{module}.py").write_text(_IMPORTS + textwrap.dedent(source))
    importlib.invalidate_caches()
    settings = {"PYTHON_SCRIPT_FILE_NAME": f"{module}.py"}
    with mock.patch.dict(os.environ, settings), mock.patch.object(sys, "path", list(sys.path)):
        worker = Worker()
        functions = read_functions(await worker.start(folder))
    return HostedApp(worker=worker, functions=functions, module=sys.modules[module])


async def host_body(folder: Path, body: Body, *, trigger: str, annotation: str) -> tuple[Worker, Function]:
    """Host an app of one function, which has that trigger and calls the body with its data."""
    name = f"f{next(_numbers)}"  # the worker knows functions by their names
    app = await host_app(folder, _CALLING.format(name=name, trigger=trigger, annotation=annotation))
    app.module.bodies["f"] = body
    return app.worker, app.functions[0]


def text(value: str = "m") -> TriggerData:
    """The data of a message with this text."""
    return TriggerData(value=TypedData(string=value))
