"""The values between engine and provider: plain values, and values that are unknown before the deployment."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format, struct_pb2  # type: ignore[import-untyped]

#: The engine's marks for values that are not known yet: a string, a number, a boolean, a list, an object.
_MARKS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Properties = dict[str, Any]


def decode(struct: Any) -> Properties:
    """Decode a value from the engine."""
    properties: Properties = json_format.MessageToDict(struct)
    return properties


def encode(properties: Properties) -> Any:
    """Encode a value for the engine."""
    return json_format.ParseDict(properties, struct_pb2.Struct())


def is_unknown(value: Any) -> bool:
    return isinstance(value, str) and value in _MARKS


def has_unknown(value: Any) -> bool:
    """Return whether it contains an unknown value."""
    if isinstance(value, dict):
        return any(has_unknown(each) for each in value.values())
    if isinstance(value, list):
        return any(has_unknown(each) for each in value)
    return is_unknown(value)
