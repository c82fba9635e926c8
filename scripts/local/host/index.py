"""The functions of an app: imported once, and checked by the rules of the Python worker before anything runs."""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import os
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func
from azure.functions.decorators.function_app import FunctionRegister

from scripts.local.host.errors import FunctionLoadError, HostError

log = logging.getLogger("host.index")

RETURN = "$return"
HTTP_TRIGGER, QUEUE_TRIGGER, TIMER_TRIGGER = "httpTrigger", "queueTrigger", "timerTrigger"
_TRIGGERS = (HTTP_TRIGGER, QUEUE_TRIGGER, TIMER_TRIGGER)
_OUTPUTS = ("http", "queue")
_CONVERTERS = typing.cast(Any, func).get_binding_registry()


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFunction:
    """One function of the app: its Python body, its trigger, and its output bindings by parameter name."""

    name: str
    body: Callable[..., Any]
    trigger: Mapping[str, Any]
    outputs: Mapping[str, Mapping[str, Any]]
    wants_context: bool

    @property
    def trigger_type(self) -> str:
        """`httpTrigger`, `queueTrigger` or `timerTrigger`."""
        return str(self.trigger["type"])

    @property
    def is_async(self) -> bool:
        """Whether the body runs on the event loop; the others run in the thread pool."""
        return inspect.iscoroutinefunction(self.body)


def load_functions(app_dir: Path) -> list[IndexedFunction]:
    """Import APP_DIR's function_app.py and return its functions; raises HostError where the worker would refuse.

    APP_DIR is put first on sys.path, as the worker does with wwwroot. Works once per process and app:
    `get_functions()` of azure-functions refuses a second call.
    """
    module = _import_app(app_dir)
    apps = [name for name, value in vars(module).items() if isinstance(value, FunctionRegister)]
    if len(apps) != 1:
        found = f"found {', '.join(apps)}" if apps else "found none"
        raise HostError(
            f"{module.__file__} must hold exactly one function app under one top-level name, {found}: "
            "write app = func.FunctionApp() or func.AsgiFunctionApp(...) once"
        )
    try:
        functions = getattr(module, apps[0]).get_functions()
    except ValueError as error:
        raise HostError(f"{module.__file__}: {error}") from error
    indexed = [_index(function) for function in functions]
    return [function for function in indexed if not _is_disabled(function.name)]


def _import_app(app_dir: Path) -> ModuleType:
    script = app_dir / os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if not script.is_file():
        raise HostError(f"{script} is missing: a Python v2 function app needs one beside its host.json")
    # the repository root (the current directory) stays importable behind the app, so that its library resolves
    sys.path[:] = [str(app_dir), *(entry for entry in sys.path if entry != str(app_dir))]
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())
    try:
        return importlib.import_module(script.stem)
    except Exception as error:
        raise HostError(f"{script} cannot be imported: {type(error).__name__}: {error}") from error


def _is_disabled(name: str) -> bool:
    settings = (f"AzureWebJobs.{name}.Disabled", f"AzureWebJobs_{name}_Disabled")
    disabled = any(os.environ.get(setting, "").lower() in ("true", "1") for setting in settings)
    if disabled:
        log.warning("function %s is disabled by the app setting %s", name, settings[0])
    return disabled


def _index(function: Any) -> IndexedFunction:
    name = function.get_function_name()
    bindings = [json.loads(binding) for binding in function.get_raw_bindings()]
    body = function.get_user_function()
    if function.get_settings_dict("retry_policy"):
        raise FunctionLoadError(
            name,
            "it has a retry policy, which queue triggers do not support and this host refuses for all: remove @retry, "
            "the library retries by itself",
        )
    trigger = next(binding for binding in bindings if binding["type"] == function.get_trigger().type)
    if trigger["type"] not in _TRIGGERS:
        raise FunctionLoadError(name, f"trigger type {trigger['type']!r} is not supported here: {', '.join(_TRIGGERS)}")
    outputs = {binding["name"]: binding for binding in bindings if binding is not trigger}
    for output in outputs.values():
        if output["direction"] != "OUT" or output["type"] not in _OUTPUTS:
            kind = f"{output['direction'].lower()} binding {output['name']!r} of type {output['type']!r}"
            raise FunctionLoadError(name, f"{kind} is not supported here: http and queue outputs are")
    wants_context = _check_signature(name, body, trigger, outputs)
    return IndexedFunction(name=name, body=body, trigger=trigger, outputs=outputs, wants_context=wants_context)


def _check_signature(
    name: str, body: Callable[..., Any], trigger: Mapping[str, Any], outputs: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Apply the worker's rules for parameters and annotations; returns whether a context is injected."""
    bound = {trigger["name"]} | (outputs.keys() - {RETURN})
    declared = set(inspect.signature(body).parameters)
    try:
        hints = typing.get_type_hints(body)
    except (NameError, TypeError) as error:
        raise FunctionLoadError(
            name, f"its annotations cannot be resolved ({error}): import what they name outside of TYPE_CHECKING"
        ) from error
    wants_context = "context" in declared and "context" not in bound
    if wants_context:
        annotation = hints.get("context", func.Context)
        if not isinstance(annotation, type) or annotation.__name__ != "Context":
            raise FunctionLoadError(
                name, f'the "context" parameter must be of type azure.functions.Context, not {annotation!r}'
            )
        declared -= {"context"}
    if extra := declared - bound:
        raise FunctionLoadError(name, f"parameters without a binding: {', '.join(sorted(extra))}")
    if missing := bound - declared:
        raise FunctionLoadError(name, f"bindings without a parameter of that name: {', '.join(sorted(missing))}")
    if trigger["name"] in hints:
        _check_input(name, trigger, hints[trigger["name"]])
    for parameter, output in outputs.items():
        if parameter == RETURN and "return" in hints:
            _check_output(name, "the return annotation", output, hints["return"])
        elif parameter in hints:
            if typing.get_origin(hints[parameter]) is not func.Out:
                raise FunctionLoadError(
                    name, f"output binding {parameter!r} must be annotated azure.functions.Out[...]"
                )
            _check_output(name, f"binding {parameter!r}", output, typing.get_args(hints[parameter])[0])
    return wants_context


def _check_input(name: str, trigger: Mapping[str, Any], annotation: Any) -> None:
    if typing.get_origin(annotation) is func.Out or annotation is func.Out:
        raise FunctionLoadError(name, f"binding {trigger['name']!r} is an input, but is annotated azure.functions.Out")
    if not isinstance(annotation, type) or not _CONVERTERS.get(trigger["type"]).check_input_type_annotation(annotation):
        raise FunctionLoadError(
            name, f"binding {trigger['name']!r} of type {trigger['type']} does not match its annotation {annotation!r}"
        )


def _check_output(name: str, what: str, output: Mapping[str, Any], annotation: Any) -> None:
    try:
        matches = _CONVERTERS.get(output["type"]).check_output_type_annotation(annotation)
    except TypeError:  # what is no class cannot be checked against one
        matches = False
    if not matches:
        raise FunctionLoadError(name, f"{what} {annotation!r} does not match a binding of type {output['type']}")
