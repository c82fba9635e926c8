"""The form for a request: what it makes of a model's JSON Schema, and of texts, as the models themselves see it."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, create_model

from tools.local_stack.node import find_node

HERE = Path(__file__).parent


class Colour(Enum):
    RED = "red"
    NONE = ""


class Level(IntEnum):
    LOW = 0
    HIGH = 1


class Address(BaseModel):
    street: str
    floor: int | None = None


class Person(BaseModel):
    name: str = Field(alias="firstName", description="As in the passport.")
    homes: tuple[Address, ...] = ()
    lives_at: Address | None = None


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


VALUES: list[tuple[Any, str | dict[str, Any], list[Any]]] = [
    (str, "text", ["", "a", " a ", "a\nb", "null", "0", "\u202e\u00e9\U0001f600"]),
    (Annotated[str, Field(max_length=3)], "text", ["abc"]),
    (int, "number", [0, -1, 2**53 - 1]),
    (float, "number", [0.5, -1e300, 1e-9]),
    (bool, "choice", [True, False]),
    (bool | None, "choice", [True, False, None]),
    (Colour, "choice", list(Colour)),
    (Level, "choice", list(Level)),
    (Literal["a", "b"], "choice", ["a", "b"]),
    (Literal["x"], "constant", ["x"]),
    (str | None, "text", [None, "a"]),
    (str | None, "text", ["a", None]),
    (str, "text", ["a", ""]),
    (int | None, "number", [None, 0]),
    (int | None, "number", [0, None]),
    (int | str, "json", [1, "1", "a"]),
    (int | str | None, "json", [1, "1", None]),
    (date, "date", [date(2026, 2, 28)]),
    (datetime, "moment", [datetime(2026, 3, 29, 2, 30, tzinfo=UTC)]),
    (time, "text", [time(3, 4, 5)]),
    (timedelta, "text", [timedelta(days=1, hours=2)]),
    (UUID, "text", [UUID(int=7)]),
    (Decimal, "json", [Decimal("1.50")]),
    (list[str], "lines", [[], ["a", "b c"]]),
    (list[int], "lines", [[], [0, -5]]),
    (list[int], "lines", [[0, -5], []]),
    (list[str] | None, "lines", [None, ["a"]]),
    (set[int], "lines", [{1}]),
    (list[Colour], "json", [[Colour.RED]]),
    (list[str | None], "json", [["a", None]]),
    (tuple[int, str], "json", [(1, "a")]),
    (dict[str, int], "json", [{}, {"a": 1}]),
    (Any, "json", [1, "a", [1], {"a": None}]),
    (Address, {"street": "text", "floor": "number"}, [Address(street="a"), Address(street="", floor=0)]),
    (Person, {"firstName": "text", "homes": "json", "lives_at": "json"},
     [Person(firstName="a"), Person(firstName="a", homes=(Address(street="b"),), lives_at=Address(street="c"))]),
    (Address | None, "json", [None, Address(street="a")]),
    (Tree, {"value": "number", "children": "json"}, [Tree(value=1, children=[Tree(value=2)])]),
]  # fmt: skip


def ask(cases: list[dict[str, Any]]) -> list[Any]:
    command = [find_node(), str(HERE / "entered-requests.mjs")]
    environment = {"TZ": "America/St_Johns"}
    finished = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert finished.returncode == 0, finished.stderr
    answers: list[Any] = json.loads(finished.stdout)
    return answers


@pytest.fixture(scope="module")
def entered() -> list[tuple[BaseModel, Any, dict[str, Any]]]:
    """Each value as a request with one required and one optional field of its type, and what the form makes of it."""
    requests: list[tuple[BaseModel, Any]] = []
    for kind, expected, values in VALUES:
        model = create_model("Request", needed=(kind, ...), other=(kind, Field(default=values[0])))
        requests += [(model.model_validate({"needed": value, "other": value}), expected) for value in values]
    cases = [
        {"schema": one.model_json_schema(), "request": one.model_dump(mode="json", by_alias=True)}
        for one, _ in requests
    ]
    return [(one, expected, answer) for (one, expected), answer in zip(requests, ask(cases), strict=True)]


def test_each_value_comes_back_as_it_was_entered(entered: list[tuple[BaseModel, Any, dict[str, Any]]]) -> None:
    for request, _, answer in entered:
        found = type(request).model_validate_json(json.dumps(answer["request"]))
        assert found == request, answer


def test_each_type_has_its_control(entered: list[tuple[BaseModel, Any, dict[str, Any]]]) -> None:
    for request, expected, answer in entered:
        assert answer["types"] == {"needed": expected, "other": expected}, request


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        (int, ["1e400", "a", " ", "9007199254740993", "1.5", ""], ["notNumber"] * 3 + ["tooLarge", 1.5, None]),
        (dict[str, int], ["{", "{}"], ["notJson", {}]),
        (list[int], ["1\n\n 2 \n", "1\nx"], [[1, 2], "notNumber"]),
        (datetime, ["x", "2026-01-31T08:00"], ["notTime", "2026-01-31T11:30:00.000Z"]),
    ],
)
def test_texts_that_are_not_values_are_reported(kind: Any, texts: list[str], expected: list[Any]) -> None:
    model = create_model("Request", needed=(kind, ...))
    assert ask([{"schema": model.model_json_schema(), "texts": texts}]) == [expected]
