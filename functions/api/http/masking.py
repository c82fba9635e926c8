"""Requests and results as admins see them: without secrets, and truncated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from queued_jobs.push.view import Public
from queued_jobs.redact import redact_json

#: In bytes of JSON; also the number of characters shown of a larger value.
MAX_SHOWN = 100 * 1024


class PayloadView(Public):
    """Either the whole `value`, or the `beginning` of its JSON text if it is larger than 100 KiB."""

    #: Size of the whole value, as JSON.
    bytes: int
    value: Mapping[str, Any] | None = None
    beginning: str | None = None

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> PayloadView:
        safe = redact_json(payload)
        size = len(json_bytes(safe))
        if size <= MAX_SHOWN:
            return cls(bytes=size, value=safe)
        return cls(bytes=size, beginning=_beginning(safe))


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _beginning(value: Any) -> str:
    """Return the beginning of the indented JSON text, without generating the rest."""
    pieces, length = [], 0
    for piece in json.JSONEncoder(ensure_ascii=False, indent=2).iterencode(value):
        pieces.append(piece)
        length += len(piece)
        if length >= MAX_SHOWN:
            break
    return "".join(pieces)[:MAX_SHOWN]
