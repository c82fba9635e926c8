"""The functions of an app: indexed by the worker, and checked for features that this host supports."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.functions_host.errors import FunctionLoadError
from tools.functions_host.protos import RpcFunctionMetadata

log = logging.getLogger("host.functions")

RETURN = "$return"
HTTP_TRIGGER, QUEUE_TRIGGER, TIMER_TRIGGER = "httpTrigger", "queueTrigger", "timerTrigger"
_TRIGGERS = (HTTP_TRIGGER, QUEUE_TRIGGER, TIMER_TRIGGER)
_OUTPUTS = ("http", "queue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function of the app: its id with the worker, its trigger, and its output bindings by parameter name."""

    name: str
    id: str
    trigger: Mapping[str, Any]
    outputs: Mapping[str, Mapping[str, Any]]

    @property
    def trigger_type(self) -> str:
        """`httpTrigger`, `queueTrigger` or `timerTrigger`."""
        return str(self.trigger["type"])


def read_functions(metadata: Iterable[RpcFunctionMetadata]) -> list[Function]:
    """Return the functions that are not disabled; raises FunctionLoadError for unsupported features."""
    functions = [_read(function) for function in metadata]
    return [function for function in functions if not _is_disabled(function.name)]


def _is_disabled(name: str) -> bool:
    settings = (f"AzureWebJobs.{name}.Disabled", f"AzureWebJobs_{name}_Disabled")
    disabled = any(os.environ.get(setting, "").lower() in ("true", "1") for setting in settings)
    if disabled:
        log.warning("function %s is disabled by the app setting %s", name, settings[0])
    return disabled


def _read(function: RpcFunctionMetadata) -> Function:
    name = function.name
    bindings = [json.loads(binding) for binding in function.raw_bindings]
    if function.retry_options is not None:
        raise FunctionLoadError(
            name,
            "it has a retry policy, which queue triggers do not support and this host rejects; remove @retry: "
            "the library retries jobs itself",
        )
    trigger = next(binding for binding in bindings if binding["type"].lower().endswith("trigger"))
    if trigger["type"] not in _TRIGGERS:
        supported = ", ".join(_TRIGGERS)
        reason = f"trigger type {trigger['type']!r} is not supported by this host; use one of {supported}"
        raise FunctionLoadError(name, reason)
    outputs = {binding["name"]: binding for binding in bindings if binding is not trigger}
    for output in outputs.values():
        if output["direction"] != "OUT" or output["type"] not in _OUTPUTS:
            kind = f"{output['direction'].lower()} binding {output['name']!r} of type {output['type']!r}"
            raise FunctionLoadError(name, f"{kind} is not supported by this host; use http or queue outputs")
    return Function(name=name, id=function.function_id, trigger=trigger, outputs=outputs)
