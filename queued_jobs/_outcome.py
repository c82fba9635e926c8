"""Converts the outcome of an attempt for its row: the result as JSON, or the error as text."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

from pydantic import BaseModel

from queued_jobs.errors import InvalidRequest, InvalidResult, JobTimeout, ResultTooLarge, StoreRefused
from queued_jobs.model import JobError
from queued_jobs.redact import text_of, to_storable_text
from queued_jobs.serialization import NotStorable, form_of

logger = logging.getLogger(__name__)

MAX_RESULT_BYTES = 256 * 1024
_MAX_TYPE = 200
_MAX_MESSAGE = 2_000
_MAX_TRACEBACK = 20_000
#: Characters of one frame, or of one of the messages.
_MAX_ENTRY = 4_000
#: Causes and errors of groups; the traceback of one that has more is only its own.
_MAX_ERRORS = 1_000

#: The library's own errors have fixed names on the wire, so that a class can be renamed.
_TYPES: dict[type[Exception], str] = {
    InvalidRequest: "invalid-request",
    InvalidResult: "invalid-result",
    JobTimeout: "timeout",
    ResultTooLarge: "result-too-large",
    StoreRefused: "invalid-result",
}


def dump_result(result: object, result_type: type[BaseModel] | None) -> dict[str, Any] | None:
    """Return the JSON object to store, from which an equal model can be read.

    Raises `InvalidResult` if there is none or the result has a different type than the kind declares, and
    `ResultTooLarge` beyond 256 KiB of UTF-8. Slow for a large result.
    """
    if result_type is None:
        if result is not None:
            raise InvalidResult(f"The body returned {type(result).__name__}, but its kind does not declare a result.")
        return None
    if not isinstance(result, result_type):
        raise InvalidResult(f"The body returned {type(result).__name__} instead of {result_type.__name__}.")
    try:
        data = form_of(result_type).dump(result)
    except NotStorable as exc:
        raise InvalidResult(f"The result {result_type.__name__} cannot be stored: {exc}.") from exc
    size = len(json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > MAX_RESULT_BYTES:
        raise ResultTooLarge(
            f"The result is {size:,} bytes, more than {MAX_RESULT_BYTES:,}; store it in a blob and return its name."
        )
    return data


def describe_error(exc: Exception) -> JobError:
    """Return the error's type, its message with all causes, and its traceback, truncated and with credentials masked.

    Never raises, whatever the exception's class does. Call it off the event loop: the message can be arbitrarily long,
    and formatting the traceback reads source files.
    """
    try:
        return _described(exc)
    except Exception:
        # the attempt has already failed; its outcome must be stored nevertheless
        logger.exception("cannot describe an error")
        return JobError(type=Exception.__name__, message="The error cannot be described.")


def _described(exc: Exception) -> JobError:
    texts: list[str] = []
    link: BaseException | None = exc
    while link is not None and len(texts) < 5:
        texts.append(text_of(link))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return JobError(
        type=_TYPES.get(type(exc)) or to_storable_text(type(exc).__name__, _MAX_TYPE),
        message=to_storable_text("\nCaused by: ".join(texts), _MAX_MESSAGE),
        traceback=_trace(exc),
    )


def _trace(exc: Exception) -> str:
    """Return the last entries of the traceback: its end shows where the error was raised."""
    entries: list[str] = []
    length = 0
    all_entries = traceback.format_exception(exc) if _is_bounded(exc) else traceback.format_tb(exc.__traceback__)
    for entry in reversed(all_entries):
        entries.append(to_storable_text(entry, _MAX_ENTRY))
        length += len(entries[-1])
        if length >= _MAX_TRACEBACK:
            break
    return "".join(reversed(entries))[-_MAX_TRACEBACK:]


def _is_bounded(exc: BaseException) -> bool:
    """Return whether it has few causes and errors in groups. An error in several groups counts as often."""
    waiting, seen = [exc], {id(exc)}
    for _ in range(_MAX_ERRORS):
        if not waiting:
            return True
        one = waiting.pop()
        for cause in (one.__cause__, one.__context__):
            if cause is not None and id(cause) not in seen:
                seen.add(id(cause))
                waiting.append(cause)
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return False
