"""Whatever the models of the API accept, they accept again as it is stored: normalise first, then check."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

import api
import jobs
from api.models import Body
from queued_jobs.registry import JobRegistry
from queued_jobs.serialization import form_of

#: Any text but those that the API refuses before a model sees them.
CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS, max_size=20)
#: What a text in one of them may be made of.
PIECES = st.lists(st.sampled_from(["a", " ", "/", ".", "..", "\\", ":", "://", "\n", "ü", "%"]), max_size=8).map(
    "".join
)


def sent(schema: dict[str, Any], known: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What somebody may send where a JSON schema asks for something."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return st.deferred(lambda: sent(known[name], known))  # a model may refer to itself
    if "anyOf" in schema:
        return st.one_of([sent(one, known) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "object":
            fields = {name: sent(one, known) for name, one in schema.get("properties", {}).items()}
            required = {name: fields.pop(name) for name in schema.get("required", [])}
            return st.fixed_dictionaries(required, optional=fields)
        case "array":
            return st.lists(sent(schema["items"], known), max_size=3)
        case "integer" | "number":
            return st.integers(0, 1_000)
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"], alphabet=CHARACTERS)
        case "string":
            formats = {"uuid": st.uuids().map(str), "date-time": st.just("2026-01-31T12:00:00+01:00")}
            return formats.get(schema.get("format", ""), PIECES | TEXTS)
    return st.none() | st.booleans()


def models() -> list[type[BaseModel]]:
    found: set[type[BaseModel]] = {runner.request_type for runner in JobRegistry.from_package(jobs)}
    for module in pkgutil.walk_packages(api.__path__, "api."):
        for _, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(value, Body) and value is not Body:
                found.add(value)
    return sorted(found, key=lambda model: model.__name__)


def test_the_models_are_found() -> None:
    assert {"ProbeRequest", "UploadBody", "BulkBody"} <= {model.__name__ for model in models()}


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_what_is_taken_is_taken_again(model: type[BaseModel], data: st.DataObject) -> None:
    schema = model.model_json_schema()
    body: Any = data.draw(sent(schema, schema.get("$defs", {})))
    try:
        taken = model.model_validate(body)
    except ValidationError:
        return
    form_of(model).dump(taken)
