"""The search for a text in what a reader may see of a job: never in what is masked, nor in a hidden traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from queued_jobs.offload import offload
from queued_jobs.redact import SIGNS_OF_SECRETS, redact_json

#: Takes the place of each secret: no text to search for contains it.
_UNSEARCHABLE = "\0"


def text_params(text: str | None, *, traces: bool) -> dict[str, Any]:
    """Return the parameters of `search.sql` and `count.sql` for a text. `traces`: the caller may read tracebacks."""
    return {
        "text": text,
        # as in stored JSON, where quotes and backslashes are escaped
        "json_text": None if text is None else json.dumps(text, ensure_ascii=False)[1:-1],
        "traces": traces,
        "signs": None if text is None else SIGNS_OF_SECRETS,
    }


async def matching(rows: Sequence[Mapping[str, Any]], text: str | None) -> list[Mapping[str, Any]]:
    """Return the rows of `search.sql` that match. Those with signs of secrets are compared here, without the secrets.

    Whether a row is read here depends on what it shows, so neither the answer nor its time depends on a secret.
    """
    found = [row for row in rows if row["matches"]]
    if text is None or not any(row["is_masked"] for row in found):
        return found
    return await offload(lambda: [row for row in found if not row["is_masked"] or _shows(row, text)])


def _shows(row: Mapping[str, Any], text: str) -> bool:
    # numbers as Postgres writes them
    request = json.loads(row["readable_request"], parse_float=str, parse_int=str)
    wanted = text.casefold()
    shown = (*_texts(redact_json(request, hidden=_UNSEARCHABLE)), *_errors(row["readable_error"]))
    return any(wanted in one.casefold() for one in shown)


def _errors(parts: Sequence[str | None]) -> Iterator[str]:
    """Yield the error's class and message, and its traceback if the caller may read it."""
    for part in parts:
        if part is not None:
            yield redact_json(part, hidden=_UNSEARCHABLE)


def _texts(value: Any) -> Iterator[str]:
    """Yield every name and value of a piece of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    else:
        yield json.dumps(value)
