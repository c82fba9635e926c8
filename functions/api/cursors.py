"""Places in a list of jobs, as texts that callers hand back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from api.problems import Problem
from queued_jobs.model import JobKey
from queued_jobs.tracker import Cursor

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cursor_text(cursor: Cursor) -> str:
    return f"{(cursor.created_at - _EPOCH) // timedelta(microseconds=1)}.{_digits(cursor.id)}"


def cursor_of(text: str | None) -> Cursor | None:
    """Read what `cursor_text` wrote; None for None. Raises `Problem` 422 for anything else."""
    if text is None:
        return None
    moment, _, key = text.partition(".")
    try:
        return Cursor(created_at=_EPOCH + timedelta(microseconds=int(moment)), id=UUID(key))
    except (ValueError, OverflowError) as exc:
        raise Problem(422, "`before` is not a cursor of this list: take the one of an earlier answer.") from exc


def _digits(key: JobKey) -> str:
    return key.hex if isinstance(key, UUID) else str(key)
