"""Requests and results as admins see them: without secrets, and not larger than a page can show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from queued_jobs.redact import masked
from queued_jobs.view import Public

#: In bytes of JSON; also how many characters of a larger one are shown.
MOST_SHOWN = 100 * 1024


class PayloadView(Public):
    """Either the whole `value`, or the `beginning` of its JSON text where it is larger than 100 KiB."""

    #: Of the whole, as JSON.
    bytes: int
    value: Mapping[str, Any] | None = None
    beginning: str | None = None

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> PayloadView:
        safe = without_secrets(payload)
        size = len(json_bytes(safe))
        if size <= MOST_SHOWN:
            return cls(bytes=size, value=safe)
        return cls(bytes=size, beginning=json.dumps(safe, ensure_ascii=False, indent=2)[:MOST_SHOWN])


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def without_secrets(value: Any) -> Any:
    """Return the same JSON value with `***` for what looks like a credential, by its name or by its text."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if isinstance(value, Mapping):
        return {key: "***" if _names_a_secret(key, item) else without_secrets(item) for key, item in value.items()}
    return value


def _names_a_secret(key: str, item: Any) -> bool:
    return item not in (None, "") and masked(f"{key}: x") != f"{key}: x"
