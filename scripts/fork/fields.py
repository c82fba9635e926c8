"""The fields of a request or a result, as a person writes them: `text:str`, `lines:int?`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from scripts.fork.errors import Refused

MAX_FIELDS = 30
_MAX_NAME = 40
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Type:
    """How a type is written in Python, and a value of it in Python and in JSON."""

    name: str
    value: str
    json: str
    imports: tuple[str, ...] = ()


TYPES = {
    each.name: each
    for each in (
        Type("str", '"text"', "'text'"),
        Type("int", "1", "1"),
        Type("float", "1.5", "1.5"),
        Type("bool", "True", "true"),
        Type("date", "date(2026, 1, 2)", "'2026-01-02'", ("date",)),
        Type("datetime", "datetime(2026, 1, 2, tzinfo=UTC)", "'2026-01-02T00:00:00Z'", ("UTC", "datetime")),
    )
}
#: What JavaScript gives to each object, as Python writes it.
_OF_OBJECTS = (
    *("constructor", "has_own_property", "is_prototype_of", "property_is_enumerable"),
    *("to_locale_string", "to_string", "value_of"),
)
_TAKEN = frozenset((*dir(BaseModel), *_OF_OBJECTS, *TYPES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    name: str
    type: Type
    optional: bool

    @property
    def declaration(self) -> str:
        return f"{self.name}: {self.type.name} | None = None" if self.optional else f"{self.name}: {self.type.name}"

    @property
    def alias(self) -> str:
        """Its name in JSON."""
        return to_camel(self.name)

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.name.replace("_", " ").capitalize()


def read_fields(words: Sequence[str], *, taken: Sequence[str] = ()) -> tuple[Field, ...]:
    """Return the fields. Raises Refused for a name or a type that cannot be used, or a name that occurs twice."""
    if len(words) > MAX_FIELDS:
        raise Refused(f"{len(words)} fields are too many: at most {MAX_FIELDS}; add the others in the file")
    fields: list[Field] = []
    for word in words:
        field = _read_field(word)
        if field.name in taken:
            raise Refused(f"the field {field.name!r} is one that --file-result adds; choose another name")
        if any(field.alias == other.alias for other in fields):
            raise Refused(f"the field {field.name!r} occurs twice, or differs from another only by an underscore")
        fields.append(field)
    return tuple(sorted(fields, key=lambda field: field.optional))


def _read_field(word: str) -> Field:
    name, _, kind = word.partition(":")
    optional = kind.endswith("?")
    kind = kind.removesuffix("?") or "str"
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise Refused(
            f"{_shown(name)} is not a valid field name: use at most {_MAX_NAME} lower-case letters, digits and single "
            "underscores, beginning with a letter, such as line_count:int"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in _TAKEN or name.startswith("model_"):
        raise Refused(f"a field cannot be called {name!r}, which has another meaning there; choose another name")
    if kind not in TYPES:
        raise Refused(
            f"{_shown(kind)} is not a type of a field: use one of {', '.join(TYPES)}, with ? at the end if it is "
            "optional; for other types edit the file"
        )
    return Field(name=name, type=TYPES[kind], optional=optional)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MAX_NAME else f"{text[:_MAX_NAME]}...")


def ask_fields(what: str, ask: Callable[[str], str], *, taken: Sequence[str] = ()) -> tuple[Field, ...]:
    """Ask for the fields of the request or the result until the answer can be used."""
    while True:
        answer = ask(f"Fields of the {what}, such as text:str lines:int? (none: press Enter): ")
        try:
            return read_fields(answer.replace(",", " ").split(), taken=taken)
        except Refused as error:
            print(error)
