"""Stores requests and results as JSON from which an equal model can be read, or refuses them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ValidationError

from queued_jobs._arguments import UNSTORABLE
from queued_jobs._own_code import call_contained
from queued_jobs.redact import text_of, to_storable_text
from queued_jobs.schemas import Traits, traits_of

_MAX_TOLD, _MAX_PATH = 5, 100


class NotStorable(Exception):
    """The model cannot be read back unchanged; the message names the field."""


def check_storable(data: object) -> None:
    """Raise `NotStorable` if JSON data has a text or a number that Postgres cannot store."""
    for place, leaf in _leaves(data, ()):
        if isinstance(leaf, str) and UNSTORABLE.search(leaf):
            raise NotStorable(f"{_describe_path(place)} contains a NUL character or an unpaired surrogate")
        if isinstance(leaf, float) and not math.isfinite(leaf):
            raise NotStorable(f"{_describe_path(place)} is a number that is not finite")


class StoredForm[ModelT: BaseModel]:
    """Writes and reads the models of one class. Obtain it from `form_of`.

    Fields are stored by alias if they are also read by it, otherwise by name.
    """

    def __init__(self, model: type[ModelT], traits: Traits) -> None:
        self._model = model
        self._traits = traits
        self._by_alias = traits.aliases_are_read
        # if both are accepted, the alias takes precedence over the name
        self._reads_aliases = self._by_alias or not traits.aliases_are_ambiguous
        self._reads_names = not (self._by_alias and traits.aliases_are_ambiguous)

    def dump(self, value: ModelT) -> dict[str, Any]:
        """Return the JSON object to store. Raises `NotStorable` unless an equal model can be read from it.

        Private attributes count too, except attributes that differ in every instance, such as a lock.
        """
        data = self._read_back(value, parse_number)
        if not isinstance(data, dict):
            raise NotStorable("its JSON is not an object")
        check_storable(data)
        try:
            read = self.load(data)
            path = None if read == value else _difference(value, read, self.load(data))
        except ValidationError as exc:
            raise NotStorable(
                f"its stored form would not pass validation: {describe_invalid(exc, self._model)}"
            ) from exc
        except Exception as exc:
            raise NotStorable(f"its stored form cannot be read: {type(exc).__name__}: {text_of(exc)}") from exc
        if path is not None:
            raise NotStorable(f"{_describe_path(path)} would be read back as a different value")
        return data

    def digest(self, value: ModelT) -> str:
        """Return a digest of the fields that the caller has set, equal for equal requests.

        Defaults do not count, since they may differ each time. If the model has sets, the order of lists does not
        count either. Raises `NotStorable` for a model of another class, and for one without JSON.
        """
        set_by_caller = self._read_back(value, float, exclude_unset=True)
        return hashlib.sha256(_canonical(set_by_caller, sort=self._traits.has_sets).encode()).hexdigest()

    def load(self, stored: Mapping[str, Any]) -> ModelT:
        """Read a stored model, including earlier versions. Raises `ValidationError`, or whatever a validator raises."""
        text = json.dumps(stored)
        return self._model.model_validate_json(text, by_alias=self._reads_aliases, by_name=self._reads_names)

    def public(self, stored: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the JSON for clients: by alias, with computed fields. Unchanged if it cannot be read."""
        if not self._traits.public_form_differs:
            return stored
        try:
            text = call_contained(lambda: self.load(stored).model_dump_json(by_alias=True, warnings=False))
            shown: Mapping[str, Any] = json.loads(text, parse_constant=lambda _: None)
        except Exception:  # noqa: BLE001 (a kind's own validators and serializers may raise anything)
            return stored
        return shown

    def _read_back(self, value: ModelT, parse_float: Callable[[str], int | float], **options: Any) -> object:
        if type(value) is not self._model:
            raise NotStorable(f"its type is {type(value).__name__} instead of {self._model.__name__}")
        try:
            return json.loads(_text(value, self._by_alias, **options), parse_float=parse_float)
        except Exception as exc:
            field = self._field_without_json(value)
            raise NotStorable(f"{field}cannot be written as JSON: {type(exc).__name__}: {text_of(exc)}") from exc

    def _field_without_json(self, value: ModelT) -> str:
        for name in self._model.model_fields:
            try:
                json.loads(_text(value, self._by_alias, include={name}))
            except Exception:  # noqa: BLE001 (a serializer may raise anything)
                return f"{_describe_path((name,))} "
        return ""


_forms: WeakKeyDictionary[type[BaseModel], StoredForm[Any]] = WeakKeyDictionary()


def form_of[ModelT: BaseModel](model: type[ModelT]) -> StoredForm[ModelT]:
    """Return the stored form of a class. Raises `NotStorable` for a class whose models cannot be read back."""
    form = _forms.get(model)
    if form is None:
        traits = traits_of(model)
        for path in traits.secrets:
            raise NotStorable(
                f"{_describe_path(path)} is a secret, which would be stored as asterisks; use the type Sealed"
            )
        for path in traits.excluded:
            raise NotStorable(f"{_describe_path(path)} is not in the JSON and has no default; remove exclude=True")
        form = StoredForm(model, traits)
        if traits.are_final:
            _forms[model] = form
    return form


def describe_invalid(exc: ValidationError, model: type[BaseModel], *, in_words: bool = True) -> str:
    """Return one line on the invalid fields. The validators' messages may quote a value."""
    what: Literal["msg", "type"] = "msg" if in_words else "type"
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    parts = [
        f"{_describe_path((_name_of(model, error['loc'][0]), *error['loc'][1:]))}: {error[what]}"
        if error["loc"]
        else error[what]
        for error in errors[:_MAX_TOLD]
    ]
    return "; ".join([*parts, *(["and more"] if len(errors) > _MAX_TOLD else [])])


def _name_of(model: type[BaseModel], place: object) -> object:
    """Return the name of a field that an error names by its alias."""
    fields = model.model_fields
    return place if place in fields else next((name for name in fields if place == fields[name].alias), place)


def _text(value: BaseModel, by_alias: bool, **options: Any) -> str:
    return value.model_dump_json(by_alias=by_alias, round_trip=True, warnings=False, **options)


def _canonical(value: object, *, sort: bool) -> str:
    if isinstance(value, dict):
        items = (f"{json.dumps(key)}:{_canonical(value[key], sort=sort)}" for key in sorted(value))
        return f"{{{','.join(items)}}}"
    if isinstance(value, list):
        parts = [_canonical(item, sort=sort) for item in value]
        return f"[{','.join(sorted(parts) if sort else parts)}]"
    return json.dumps(value)


def parse_number(number: str) -> int | float:
    """Parse a number as Postgres returns it: jsonb keeps decimals and does not write exponents."""
    if "e" not in number.lower():
        return float(number)
    plain = f"{Decimal(number):f}"
    return float(plain) if "." in plain else int(plain)


def _describe_path(path: tuple[object, ...]) -> str:
    return f"the field {to_storable_text('.'.join(map(_step, path)), _MAX_PATH)}"


def _step(place: object) -> str:
    try:
        return str(place)
    except Exception:  # noqa: BLE001 (keys are of any class; an integer of 5,000 digits has no text either)
        return f"({type(place).__name__})"


def _leaves(value: object, path: tuple[object, ...]) -> Iterator[tuple[tuple[object, ...], object]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield (*path, key), key
            yield from _leaves(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _leaves(item, (*path, number))
    else:
        yield path, value


def _difference(one: Any, other: Any, again: Any, path: tuple[object, ...] = ()) -> tuple[object, ...] | None:
    """Return the path at which a model differs from the one read back (read twice); None if they are equal."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return None
    if isinstance(one, (BaseModel, dict, list, tuple)) or dataclasses.is_dataclass(one):
        if type(one) is not type(other) or type(one) is not type(again):
            return path
        return _difference_within(one, other, again, path)
    return None if one == other else path


def _difference_within(one: Any, other: Any, again: Any, path: tuple[object, ...]) -> tuple[object, ...] | None:
    parts, others, agains = _parts(one), _parts(other), _parts(again)
    for key in [*parts, *others]:
        if not (key in parts and key in others and key in agains):
            return (*path, key[1])
        found = _difference(parts[key], others[key], agains[key], (*path, key[1]))
        is_made_afresh = key[0] == "private" and _difference(others[key], agains[key], agains[key]) is not None
        if found is not None and not is_made_afresh:
            return found
    return None


def _parts(value: Any) -> dict[tuple[str, object], Any]:
    """Return the members of a model or a container, by type and name."""
    if isinstance(value, BaseModel):
        sorts = {
            "field": {name: value.__dict__.get(name) for name in type(value).model_fields},
            "extra": value.__pydantic_extra__ or {},
            "private": value.__pydantic_private__ or {},
        }
        return {(sort, name): part for sort, parts in sorts.items() for name, part in parts.items()}
    if isinstance(value, dict):
        return {("item", key): part for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return {("item", number): part for number, part in enumerate(value)}
    return {("field", field.name): getattr(value, field.name, None) for field in dataclasses.fields(value)}
