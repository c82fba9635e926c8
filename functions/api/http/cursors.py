"""Positions in a list of jobs, as opaque strings."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from api.http.problems import Problem
from queued_jobs.model import JobKey
from queued_jobs.tracker import Cursor

_FORM = re.compile(r"(-?[0-9]{1,18})\.([0-9a-f]{32})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cursor_text(cursor: Cursor) -> str:
    return f"{(cursor.created_at - _EPOCH) // timedelta(microseconds=1)}.{_digits(cursor.id)}"


def cursor_of(text: str | None) -> Cursor | None:
    """Parse a string of `cursor_text`; None for None. Raises `Problem` 422 for anything else."""
    if text is None:
        return None
    written = _FORM.fullmatch(text)
    with contextlib.suppress(OverflowError):  # a time beyond the calendar
        if written is not None:
            return Cursor(created_at=_EPOCH + timedelta(microseconds=int(written[1])), id=UUID(written[2]))
    raise Problem(422, "`before` is not a cursor of this list; use a cursor from an earlier response.")


def _digits(key: JobKey) -> str:
    return key.hex if isinstance(key, UUID) else str(key)
