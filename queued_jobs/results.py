"""Turns what a body returned into what the row stores."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from queued_jobs.errors import ResultTooLarge

MAX_RESULT_BYTES = 256 * 1024


def dumped(result: BaseModel | None) -> dict[str, Any] | None:
    """Return the JSON object to store; raises `ResultTooLarge` beyond 256 KiB of UTF-8."""
    if result is None:
        return None
    data: dict[str, Any] = result.model_dump(mode="json", by_alias=True)
    size = len(json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > MAX_RESULT_BYTES:
        raise ResultTooLarge(
            f"The result is {size:,} bytes, more than {MAX_RESULT_BYTES:,}: store it in a blob and return its name."
        )
    return data
