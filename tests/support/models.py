"""Pydantic models of all sorts, made at random, with an object of each."""

from __future__ import annotations

import math
import random
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Union, cast
from uuid import UUID

from pydantic import (
    AliasChoices,
    AliasPath,
    AnyUrl,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    Json,
    PrivateAttr,
    Secret,
    SecretBytes,
    SecretStr,
    SerializeAsAny,
    computed_field,
    create_model,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel, to_snake

from queued_jobs import Sealed
from tests.support.model_parts import (
    Box,
    Camel,
    Cat,
    Colour,
    Dog,
    Inner,
    Ints,
    More,
    Named,
    Number,
    OneSided,
    Plain,
    Point,
    Rights,
    Tagged,
    TaggedToo,
    Typed,
    Word,
)

Dice = random.Random
Make = Callable[[Dice], Any]

TEXTS = ["", "a", "ünï", "\0", "\ud800", "1", "2026-01-01", "sealed:1:AAAA", " blank ", "null", "NaN", "x" * 300]
FLOATS = [0.0, -0.0, 0.1, 1.0, 1e16, 1e22, 1.5e300, 5e-324, -1e-7, math.nan, math.inf, -math.inf]
INTS = [0, 1, -1, 7, 2**53 + 1, 2**63, -(10**30), 10**200, 10**4400]
MOMENTS = [
    datetime(2026, 1, 31, 12, 0, 0, 123456),
    datetime(2026, 1, 31, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(2026, 7, 1, 3, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(9999, 12, 31, 23, 59, 59, 999999),
]


def of(*values: Any) -> Make:
    return lambda dice: dice.choice(values)


LEAVES: list[tuple[Any, Make]] = [
    (int, of(*INTS)),
    (int, of(*INTS[:5])),
    (bool, of(True, False)),
    (float, of(*FLOATS)),
    (float, of(*FLOATS[:5])),
    (str, of(*TEXTS)),
    (str, of("a", "ünï", "x" * 300)),
    (bytes, of(b"", b"abc", b"\xff\0", "ü".encode())),
    (Decimal, of(Decimal("1.10"), Decimal("NaN"), Decimal("1e400"), Decimal("-0"), Decimal("0.1"))),
    (datetime, of(*MOMENTS)),
    (date, of(date(2026, 1, 31), date(1, 1, 1))),
    (time, of(time(1, 2, 3, 4), time(1, tzinfo=UTC))),
    (timedelta, of(timedelta(), timedelta(days=-1, microseconds=1), timedelta(days=10**6, microseconds=3))),
    (UUID, of(UUID(int=5))),
    (Colour, of(*Colour)),
    (Word, of(Word.ONE)),
    (Number, of(Number.TWO)),
    (Rights, of(Rights.READ | Rights.WRITE, Rights.READ)),
    (Literal["a", 1, True], of("a", 1, True)),
    (None, of(None)),
    (PurePosixPath, of(PurePosixPath("/a/../b"))),
    (IPv4Address, of(IPv4Address("10.0.0.1"))),
    (re.Pattern[str], of(re.compile("a+"))),
    (AnyUrl, of("https://x.example/a?b=c")),
    (ByteSize, of(1024)),
    (complex, of(1 + 2j)),
    (Json[list[int]], of("[1, 2]")),
    (SecretStr, of("hush")),
    (SecretBytes, of(b"hush")),
    (Secret[int], of(Secret[int](5))),
    (Sealed, of("hush", "")),
    (
        Any,
        of(None, 1, "x", 1.5, (1, 2), [1, (2,)], {"a": {1}}, MOMENTS[1], b"x", Colour.RED, {1: 2}, math.nan, Inner()),
    ),
    (object, of(5, "x", Inner())),
    (Inner, of(Inner(), Inner(x=5, when=MOMENTS[1]), More(y=7), {"x": "5"})),
    (SerializeAsAny[Inner], of(Inner(), More(y=7))),
    (Camel, of(Camel(first_name="Ada"), {"lastName": "L"})),
    (OneSided, of({"A": 4}, OneSided.model_validate({"A": 4, "b": 3}))),
    (Annotated[Cat | Dog, Field(discriminator="kind")], of(Cat(), Dog(name="Bo"), {"kind": "dog"})),
    (Annotated[Tagged | TaggedToo, Field(discriminator="sort")], of(Tagged.model_validate({}), {"type": "b"})),
    (Cat | Dog, of(Cat(), Dog())),
    (Box[int], of(Box[int](value=3), {"value": 4})),
    (Ints, of(Ints([1, 2]), [3])),
    (Point, of(Point(1, 2.0), {"x": 3})),
    (Plain, of(Plain(date(2026, 1, 1)), Plain(date(2026, 1, 1), "other"))),
    (Typed, of({"n": 1, "t": (1, 2)})),
    (Named, of(Named(1), Named(2, "b"))),
    (int | str, of(1, "1", "a")),
    (str | int, of(1, "1", "a")),
    (float | int, of(1, 1.0, 1e16, 0.5)),
    (datetime | str, of("2026-01-01", MOMENTS[1])),
    (UUID | str, of("00000000-0000-0000-0000-000000000005", UUID(int=5))),
    (bytes | str, of("a", b"a")),
    (Decimal | float, of(Decimal("0.5"), 0.5)),
    (bool | int, of(True, 1)),
    (Word | str, of(Word.ONE, "one")),
    (Sequence[int], of([1], (1, 2))),
]


def some_type(dice: Dice, depth: int = 2) -> tuple[Any, Make]:
    """Return a type and how its values are made."""
    if depth == 0 or dice.random() < 0.6:
        return dice.choice(LEAVES)
    inner, make = some_type(dice, depth - 1)
    other, make_other = some_type(dice, depth - 1)

    def many(container: Callable[[list[Any]], Any]) -> Make:
        return lambda dice: container([make(dice) for _ in range(dice.randint(0, 3))])

    options: list[tuple[Any, Make]] = [
        (list[inner], many(list)),  # type: ignore[valid-type]
        (tuple[inner, ...], many(tuple)),  # type: ignore[valid-type]
        (set[inner], many(list)),  # type: ignore[valid-type]
        (frozenset[inner], many(list)),  # type: ignore[valid-type]
        (deque[inner], many(list)),  # type: ignore[valid-type]
        (tuple[inner, other], lambda dice: (make(dice), make_other(dice))),  # type: ignore[valid-type]
        (dict[str, inner], lambda dice: {dice.choice(TEXTS): make(dice) for _ in range(2)}),  # type: ignore[valid-type]
        (dict[inner, other], lambda dice: {_hashable(make(dice)): make_other(dice)}),  # type: ignore[valid-type]
        (Union[inner, None], lambda dice: dice.choice([None, make(dice)])),  # noqa: UP007 (both may be None)
        (Union[inner, other], lambda dice: dice.choice([make, make_other])(dice)),  # noqa: UP007
    ]
    return dice.choice(options)


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return str(value)
    return value


CONFIGS: list[dict[str, Any]] = [
    {"strict": True},
    {"extra": "forbid"},
    {"extra": "allow"},
    {"populate_by_name": True},
    {"validate_by_name": True, "validate_by_alias": False},
    {"serialize_by_alias": True},
    {"alias_generator": to_camel},
    {"alias_generator": lambda name: "same"},
    {"alias_generator": to_snake, "populate_by_name": True},
    {"ser_json_inf_nan": "strings"},
    {"ser_json_inf_nan": "constants"},
    {"ser_json_bytes": "base64"},
    {"ser_json_bytes": "base64", "val_json_bytes": "base64"},
    {"ser_json_timedelta": "float"},
    {"use_enum_values": True},
    {"frozen": True},
    {"str_strip_whitespace": True},
    {"coerce_numbers_to_str": True},
    {"revalidate_instances": "always"},
    {"validate_default": True},
]


def _field_options(dice: Dice, names: Sequence[str], name: str, make: Make) -> dict[str, Any]:
    options: dict[str, Any] = {}
    chance = dice.random()
    alias = dice.choice([f"{name}Alias", "x-y", *names])
    if chance < 0.1:
        options["alias"] = alias
    elif chance < 0.16:
        options["validation_alias"] = dice.choice(
            [alias, AliasChoices(alias, "other"), AliasPath(alias, "in"), AliasChoices(AliasPath(alias, 0), name)]
        )
    elif chance < 0.22:
        options["serialization_alias"] = alias
    elif chance < 0.26:
        options |= {"validation_alias": alias, "serialization_alias": f"{name}Out"}
    if dice.random() < 0.05:
        options["exclude"] = True
    if dice.random() < 0.05:
        options["strict"] = True
    default = dice.choice([None, None, None, None, None, None, "default", "default_factory"])
    if default is not None:
        value = make(dice)
        options[default] = value if default == "default" else lambda: value
    return options


def _decorated(dice: Dice, names: Sequence[str]) -> dict[str, Any]:
    """Return validators, serializers and further members."""
    name = dice.choice(names)

    def appends(value: Any) -> Any:
        return f"{value}!" if isinstance(value, str) else value

    def splits(value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value

    def raises(value: Any) -> Any:
        raise ZeroDivisionError

    def adds(data: Any) -> Any:
        return {**data, name: 5} if isinstance(data, dict) and name not in data else data

    def nests(data: Any) -> Any:
        return {**data, name: [data[name]]} if isinstance(data, dict) and name in data else data

    def shows(self: Any) -> int:
        return 42

    members: list[dict[str, Any]] = [
        {"v": field_validator(name, mode="before")(appends)},
        {"v": field_validator(name, mode="after")(appends)},
        {"v": field_validator(name, mode="before")(splits)},
        {"s": field_serializer(name)(lambda value: str(value))},
        {"s": field_serializer(name)(lambda value: repr(value)[:3])},
        {"s": field_serializer(name, when_used="json")(raises)},
        {"s": field_serializer(name)(lambda value: object())},
        {"m": model_validator(mode="before")(adds)},
        {"m": model_validator(mode="before")(nests)},
        {"m": model_serializer(lambda self: "text")},
        {"m": model_serializer(lambda self: {name: 1})},
        {"m": model_serializer(mode="wrap")(lambda self, handler: handler(self) | {"more": 1})},
        {"shown": computed_field(property(shows))},
        {"_private": PrivateAttr(default=1)},
        {"_lock": PrivateAttr(default_factory=object)},
    ]
    return dice.choice(members)


@dataclass(frozen=True)
class Sample:
    """A class, and an object that somebody may have of it."""

    model: type[BaseModel]
    value: BaseModel
    #: Whether no object of the class equals another one.
    is_unique: bool


def some_model(dice: Dice) -> Sample:
    """Return a sample. Draws again where pydantic itself refuses the class or the object."""
    while True:
        try:
            return _some_model(dice)
        except Exception:  # noqa: BLE001, S112 (there are many reasons to refuse what chance puts together)
            continue


def _some_model(dice: Dice) -> Sample:
    names = [f"field_{letter}" for letter in "abcd"[: dice.randint(1, 4)]]
    fields, makes = {}, {}
    for name in names:
        type_, makes[name] = some_type(dice)
        fields[name] = (type_, Field(**_field_options(dice, names, name, makes[name])))
    config: dict[str, Any] = {"arbitrary_types_allowed": True}
    for chosen in dice.sample(CONFIGS, dice.choice([0, 0, 1, 1, 2])):
        config |= chosen
    members = _decorated(dice, names) if dice.random() < 0.35 else {}
    base = type("Base", (BaseModel,), {"model_config": cast(ConfigDict, config), "__module__": __name__})
    model: type[BaseModel] = create_model("Made", __base__=type("Body", (base,), _body(fields, members)))
    value = _object(dice, model, {name: makes[name](dice) for name in names})
    return Sample(model, value, "_lock" in members)


def _body(fields: dict[str, Any], members: dict[str, Any]) -> dict[str, Any]:
    annotations = {name: type_ for name, (type_, _) in fields.items()}
    private = {name: int for name in members if name.startswith("_")}
    return {
        "__annotations__": annotations | private,
        "__module__": __name__,
        **{name: field for name, (_, field) in fields.items()},
        **members,
    }


def _object(dice: Dice, model: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    chance = dice.random()
    if chance < 0.1:
        return model.model_construct(**values)
    if chance < 0.15:
        extended = create_model("Extended", __base__=model, added=(int, 5))
        return extended.model_validate(values, by_name=True, by_alias=True)
    value = model.model_validate(values, by_name=True, by_alias=True)
    if chance < 0.2:
        name = dice.choice(list(values))
        setattr(value, name, dice.choice(["5", 5, (1, 2), None]))
    elif chance < 0.25 and "_private" in (value.__pydantic_private__ or {}):
        value._private = 7  # type: ignore[attr-defined]
    return value
