"""Checks a resource's inputs against the types of the azure-native SDK: names, what is required, values, choices."""

from __future__ import annotations

import collections.abc
import enum
import importlib
import inspect
import sys
import threading
import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

import pulumi
from pulumi import _types as sdk_types

from tools.rehearsal.azure.wire import is_unknown

#: Two enums have such a name in Azure, and the SDK offers one of them for both.
_MIXED_UP = frozenset({"monitor.ConditionOperator", "dbforpostgresql.PrincipalType"})
_importing = threading.Lock()
_PLAIN: dict[type, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int, float), float: (int, float)}


@cache
def resource_class(token: str) -> type | None:
    """Return the SDK's class of `azure-native:module:Class`, or None."""
    _, module, name = token.split(":")
    try:
        # one at a time: two threads that import modules with a circular import can get an incomplete module
        with _importing:
            found = getattr(importlib.import_module(f"pulumi_azure_native.{module}"), name, None)
    except ModuleNotFoundError:
        return None
    return found if isinstance(found, type) else None


@cache
def _arguments_class(token: str) -> type:
    found = resource_class(token)
    if found is None:
        raise LookupError(f"The SDK has no {token}.")
    # not of the package: a part of another resource may have taken the name there
    module = vars(sys.modules[found.__module__])
    arguments: type = module.get(f"{found.__name__}InitArgs") or module[f"{found.__name__}Args"]
    return arguments


def accepts(token: str, name: str) -> bool:
    """Return whether the resource has that input."""
    return name in sdk_types.input_type_py_to_pulumi_names(_arguments_class(token)).values()


def output_names(token: str) -> list[str]:
    """Return the names of all outputs of the resource."""
    found = resource_class(token)
    return list(sdk_types.resource_pulumi_to_py_names(found)) if found is not None else []


def problems(token: str, inputs: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (path, reason) for everything that the SDK's types do not allow. Unknown values are allowed."""
    yield from _object_problems(_arguments_class(token), inputs, "")


def _object_problems(arguments: type, value: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    kinds, required = _shape(arguments)
    for name in sorted(value.keys() - kinds.keys()):
        yield f"{path}{name}", "is unknown; inputs are spelled in camelCase"
    for name, kind in kinds.items():
        if value.get(name) is not None:
            yield from _value_problems(kind, value[name], f"{path}{name}")
        elif name in required:
            yield f"{path}{name}", "is required"


@cache
def _shape(arguments: type) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the types of the arguments by their names, and which of them are required."""
    names = sdk_types.input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments).parameters.values()
    required = {names[each.name] for each in parameters if each.name in names and each.default is each.empty}
    return dict(sdk_types.input_type_types(arguments)), frozenset(required)


def _value_problems(hint: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if is_unknown(value):
        return
    choices = list(_choices(hint))
    enums = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, enum.Enum)]
    if any(f"{each.__module__.split('.')[1]}.{each.__name__}" in _MIXED_UP for each in enums):
        return
    if enums:
        allowed = [member.value for each in enums for member in each]
        if value not in allowed:
            yield path, f"is {value!r}, not one of {', '.join(map(str, allowed))}"
        return
    found = [list(_choice_problems(choice, value, path)) for choice in choices]
    if found:
        yield from min(found, key=len)


def _choices(hint: Any) -> Iterator[Any]:
    """Unwrap a type of the SDK: None, outputs, awaitables."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        for each in typing.get_args(hint):
            yield from _choices(each)
    elif hint is not types.NoneType and origin not in (pulumi.Output, collections.abc.Awaitable):
        yield hint


def _choice_problems(choice: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    origin, parameters = typing.get_origin(choice), typing.get_args(choice)
    if origin is collections.abc.Sequence:
        if isinstance(value, list):
            for index, each in enumerate(value):
                yield from _value_problems(parameters[0], each, f"{path}[{index}]")
        else:
            yield path, f"is {value!r}, not a list"
    elif origin is collections.abc.Mapping:
        if isinstance(value, dict):
            for key, each in value.items():
                yield from _value_problems(parameters[1], each, f"{path}.{key}")
        else:
            yield path, f"is {value!r}, not an object"
    elif isinstance(choice, type) and sdk_types.is_input_type(choice):
        if isinstance(value, dict):
            yield from _object_problems(choice, value, f"{path}.")
        else:
            yield path, f"is {value!r}, not an object"
    elif choice in _PLAIN:
        fits = isinstance(value, _PLAIN[choice]) and (choice is bool or not isinstance(value, bool))
        if not fits or (choice is int and value != int(value)):
            yield path, f"is {value!r}, not of type {choice.__name__}"
