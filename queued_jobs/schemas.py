"""Derives properties of a pydantic model from its core schema, without an instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

type Path = tuple[str, ...]

_FIELDS = ("model-field", "dataclass-field", "typed-dict-field")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The properties that matter for storing models of a class, at any depth.

    Attributes
    ----------
    are_final
        False while forward references are unresolved.
    aliases_are_read
        Whether each field is written under the name that it is read by.
    aliases_are_ambiguous
        Whether a field is read by another field's name.
    public_form_differs
        Whether the public JSON of a model has more names than, or different names from, the stored JSON.
    has_sets
        Whether there are sets, which are written in arbitrary order.
    secrets
        Fields that are written as asterisks.
    excluded
        Fields without a default that are not in the JSON.
    """

    are_final: bool
    aliases_are_read: bool
    aliases_are_ambiguous: bool
    public_form_differs: bool
    has_sets: bool
    secrets: tuple[Path, ...]
    excluded: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Field:
    path: Path
    name: str
    node: Mapping[str, Any]
    siblings: frozenset[str]

    @property
    def read_by(self) -> list[list[str | int]]:
        """The paths by which it is read, besides its name."""
        alias = self.node.get("validation_alias")
        if alias is None:
            return []
        places: list[Any] = [[alias]] if isinstance(alias, str) else alias
        return [place if isinstance(place, list) else [place] for place in places]

    @property
    def written_as(self) -> str | None:
        alias: str | None = self.node.get("serialization_alias")
        return alias

    @property
    def is_read_as_written(self) -> bool:
        return [self.written_as or self.name] in (self.read_by or [[self.name]])

    @property
    def is_ambiguous(self) -> bool:
        return any(
            place[0] in self.siblings - {self.name} or (place[0] == self.name and len(place) > 1)
            for place in self.read_by
        )

    @property
    def is_excluded(self) -> bool:
        schema = self.node["schema"]
        return bool(self.node.get("serialization_exclude")) and schema["type"] != "default"


def traits_of(model: type[BaseModel]) -> Traits:
    model.model_rebuild(raise_errors=False)
    if not model.__pydantic_complete__:
        return Traits(
            are_final=False,
            aliases_are_read=True,
            aliases_are_ambiguous=False,
            public_form_differs=False,
            has_sets=False,
            secrets=(),
            excluded=(),
        )
    nodes = list(_nodes(model.__pydantic_core_schema__, ()))
    fields = [field for path, node in nodes for field in _fields(path, node)]
    aliases_are_read = all(field.is_read_as_written for field in fields)
    return Traits(
        are_final=True,
        aliases_are_read=aliases_are_read,
        aliases_are_ambiguous=any(field.is_ambiguous for field in fields),
        public_form_differs=any(node.get("computed_fields") or node.get("type") == "json" for _, node in nodes)
        or (not aliases_are_read and any(field.written_as is not None for field in fields)),
        has_sets=any(node.get("type") in ("set", "frozenset") for _, node in nodes),
        secrets=tuple(dict.fromkeys(path for path, node in nodes if _is_secret(node))),
        excluded=tuple(field.path for field in fields if field.is_excluded),
    )


def _nodes(value: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield every schema, except below a custom serializer."""
    if isinstance(value, Mapping):
        serialization = value.get("serialization")
        if isinstance(serialization, Mapping) and _is_foreign(serialization.get("function")):
            return
        yield path, value
        for key, item in value.items():
            if key in ("metadata", "serialization"):
                continue
            if key == "fields" and isinstance(item, Mapping):
                for name, field in item.items():
                    yield from _nodes(field, (*path, name))
            else:
                yield from _nodes(item, (*path, value["name"]) if value.get("type") == "dataclass-field" else path)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _nodes(item, path)


def _fields(path: Path, node: Mapping[str, Any]) -> Iterator[_Field]:
    fields = node.get("fields")
    if isinstance(fields, Mapping):
        named = dict(fields)
    elif node.get("type") == "dataclass-args":
        named = {field["name"]: field for field in fields or ()}
    else:
        return
    for name, field in named.items():
        if field.get("type") in _FIELDS:
            yield _Field((*path, name), name, field, frozenset(named))


def _is_secret(node: Mapping[str, Any]) -> bool:
    cls, serialization = node.get("cls"), node.get("serialization") or {}
    if node.get("type") == "is-instance" and isinstance(cls, type) and issubclass(cls, (SecretStr, SecretBytes)):
        return True
    return getattr(serialization.get("function"), "__name__", "").startswith("_serialize_secret")  # Secret[...]


def _is_foreign(function: object) -> bool:
    return function is not None and not str(getattr(function, "__module__", "")).startswith("pydantic.")
