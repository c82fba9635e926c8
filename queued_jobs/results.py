"""Turns what a body returned into what the row stores."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from queued_jobs.errors import InvalidResult, ResultTooLarge
from queued_jobs.serialization import NotStorable, form_of

MAX_RESULT_BYTES = 256 * 1024


def dumped(result: object, result_type: type[BaseModel] | None) -> dict[str, Any] | None:
    """Return the JSON object to store, from which an equal model is read.

    Raises `InvalidResult` where there is none, or the result is of another type than its kind says, and
    `ResultTooLarge` beyond 256 KiB of UTF-8. Takes long for a large one.
    """
    if result_type is None:
        if result is not None:
            raise InvalidResult(
                f"The body returned a {type(result).__name__}, but its kind says that it has no result."
            )
        return None
    if not isinstance(result, result_type):
        raise InvalidResult(f"The body returned a {type(result).__name__} instead of a {result_type.__name__}.")
    try:
        data = form_of(result_type).dump(result)
    except NotStorable as exc:
        raise InvalidResult(f"The result {result_type.__name__} cannot be stored: {exc}.") from exc
    size = len(json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > MAX_RESULT_BYTES:
        raise ResultTooLarge(
            f"The result is {size:,} bytes, more than {MAX_RESULT_BYTES:,}: store it in a blob and return its name."
        )
    return data
