"""Puts an exception into words that may be stored and shown."""

from __future__ import annotations

import logging
import traceback

from queued_jobs.errors import InvalidRequest, InvalidResult, JobTimeout, ResultTooLarge, StoreRefused
from queued_jobs.model import JobError
from queued_jobs.redact import storable

logger = logging.getLogger(__name__)

_MAX_TYPE = 200
_MAX_MESSAGE = 2_000
_MAX_TRACEBACK = 20_000
#: Of one frame, or of one of the messages.
_MAX_ENTRY = 4_000

#: Errors of the library's own have names on the wire that do not follow a class being renamed.
_TYPES: dict[type[Exception], str] = {
    InvalidRequest: "invalid-request",
    InvalidResult: "invalid-result",
    JobTimeout: "timeout",
    ResultTooLarge: "result-too-large",
    StoreRefused: "invalid-result",
}


def described(exc: Exception) -> JobError:
    """Return type, message with its causes, and traceback as bounded text without credentials.

    What an error says may be of any length, and its frames are read from files, so call it off the event loop.
    """
    texts: list[str] = []
    link: BaseException | None = exc
    while link is not None and len(texts) < 5:
        texts.append(text_of(link))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return JobError(
        type=_TYPES.get(type(exc)) or storable(type(exc).__name__, _MAX_TYPE),
        message=storable("\nCaused by: ".join(texts), _MAX_MESSAGE),
        traceback=_trace(exc),
    )


def _trace(exc: Exception) -> str:
    """Return the last entries of the traceback: its end names the place."""
    entries: list[str] = []
    length = 0
    for entry in reversed(traceback.format_exception(exc)):
        entries.append(storable(entry, _MAX_ENTRY))
        length += len(entries[-1])
        if length >= _MAX_TRACEBACK:
            break
    return "".join(reversed(entries))[-_MAX_TRACEBACK:]


def text_of(exc: BaseException) -> str:
    """Return what an exception says, of any length, or the name of its class where it says nothing or cannot."""
    try:
        text = str(exc) or type(exc).__name__
        if isinstance(exc, BaseExceptionGroup):
            # of itself it says only how many there are
            return "\n".join([text, *(f"{type(one).__name__}: {text_of(one)}" for one in exc.exceptions[:5])])
        return text
    except Exception:
        # the attempt has failed already; a class that cannot be printed must not hide that
        logger.exception("a %s has no text", type(exc).__name__)
        return type(exc).__name__
