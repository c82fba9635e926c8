"""Types that generated models are made of."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, IntEnum, IntFlag, StrEnum
from typing import Any, Literal, NamedTuple

import pydantic
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

Dice = random.Random
Make = Callable[[Dice], Any]


class Colour(Enum):
    RED = "red"
    BLUE = 2
    BOTH = ("red", 2)


class Word(StrEnum):
    ONE = "one"


class Number(IntEnum):
    TWO = 2


class Rights(IntFlag):
    READ = 1
    WRITE = 2


class Inner(BaseModel):
    x: int = 1
    when: datetime | None = None


class More(Inner):
    y: int = 2


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    first_name: str = ""
    last_name: str = ""


class OneSided(BaseModel):
    a: int = Field(validation_alias="A")
    b: int = Field(default=0, serialization_alias="B")


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str = "Rex"


class Tagged(BaseModel):
    sort: Literal["a"] = Field("a", alias="type")


class TaggedToo(BaseModel):
    sort: Literal["b"] = Field("b", alias="type")


class Box[T](BaseModel):
    value: T


class Ints(RootModel[list[int]]):
    pass


@pydantic.dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5


@dataclass
class Plain:
    when: date
    secret: str = dataclasses.field(default="s", repr=False)


class Typed(TypedDict):
    n: int
    t: tuple[int, ...]


class Named(NamedTuple):
    a: int
    b: str = ""
