"""Puts an exception into words that may be stored and shown."""

from __future__ import annotations

import logging
import traceback

from queued_jobs.errors import InvalidRequest, JobTimeout, ResultTooLarge, StoreRefused
from queued_jobs.model import JobError
from queued_jobs.redact import masked, storable

logger = logging.getLogger(__name__)

_MAX_MESSAGE = 2_000
_MAX_TRACEBACK = 20_000

#: Errors of the library's own have names on the wire that do not follow a class being renamed.
_TYPES: dict[type[Exception], str] = {
    InvalidRequest: "invalid-request",
    JobTimeout: "timeout",
    ResultTooLarge: "result-too-large",
    StoreRefused: "invalid-result",
}


def described(exc: Exception) -> JobError:
    """Return type, message with its causes, and traceback as bounded text without credentials."""
    texts: list[str] = []
    link: BaseException | None = exc
    while link is not None and len(texts) < 5:
        texts.append(_text(link))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    # masked before the cut, which could part a credential from its name; the end names the place
    trace = masked("".join(traceback.format_exception(exc)))[-_MAX_TRACEBACK:]
    return JobError(
        type=_TYPES.get(type(exc), type(exc).__name__),
        message=storable("\nCaused by: ".join(texts), _MAX_MESSAGE),
        traceback=storable(trace, _MAX_TRACEBACK),
    )


def _text(exc: BaseException) -> str:
    try:
        text = str(exc) or type(exc).__name__
        if isinstance(exc, BaseExceptionGroup):
            # of itself it says only how many there are
            return "\n".join([text, *(f"{type(one).__name__}: {_text(one)}" for one in exc.exceptions[:5])])
        return text
    except Exception:
        # the attempt has failed already; a class that cannot be printed must not hide that
        logger.exception("a %s has no text", type(exc).__name__)
        return type(exc).__name__
