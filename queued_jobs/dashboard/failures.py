"""The most frequent failures: failed jobs, grouped by error."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from queued_jobs._arguments import check_type
from queued_jobs.database import Database, Row
from queued_jobs.errors import InvalidRequest
from queued_jobs.model import JobKey
from queued_jobs.offload import offload
from queued_jobs.redact import mask_secrets

_MAX_GROUPS = 200
#: The database's placeholders for differences, each with a character of Unicode's private area.
_PLACEHOLDERS = {"<n>": "\ue000", "<id>": "\ue001", "<text>": "\ue002"}
#: Retention in tally_fold.sql.
_HOURS_KEPT, _DAYS_KEPT = timedelta(days=7), timedelta(days=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failures whose errors differ only in numbers, ids and quoted parts of the first line.

    Attributes
    ----------
    fingerprint
        Stays the same for the same error, in any window.
    message
        With `<n>`, `<id>` and `<text>` in place of the differences, and without secrets.
    failures
        Number of times that jobs ended as failed or aborted. A retried job may fail again.
    example
        One of the latest jobs. It may have been deleted by retention.
    """

    fingerprint: str
    type: str
    message: str
    kinds: tuple[str, ...]
    failures: int
    first_at: datetime
    last_at: datetime
    example: JobKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The groups of failures, largest first.

    Attributes
    ----------
    since
        Start of the hour in which the window begins; of the day, if that is more than a week ago.
    more
        Whether there are more, smaller groups.
    """

    since: datetime
    groups: tuple[FailureGroup, ...]
    more: bool


async def read_failures(database: Database, window: timedelta) -> Failures:
    """Read the groups. Raises `InvalidRequest` for a window beyond the retention."""
    check_type("window", window, timedelta)
    if not timedelta() < window <= _DAYS_KEPT:
        raise InvalidRequest(f"Failures are kept for {_DAYS_KEPT}; use a window no longer than that, not {window}.")
    (row,) = await database.rows("now", {})
    since: datetime = (row["now"] - window).astimezone(UTC)
    since = since.replace(minute=0, second=0, microsecond=0)
    if window > _HOURS_KEPT:
        since = since.replace(hour=0)
    rows = await database.planned_rows("failures", {"since": since, "limit": _MAX_GROUPS + 1})
    return Failures(since=since, groups=tuple(await offload(_masked, rows[:_MAX_GROUPS])), more=len(rows) > _MAX_GROUPS)


def _masked(rows: Iterable[Row]) -> list[FailureGroup]:
    """Return the groups without secrets; groups that differ only in secrets are merged, under one fingerprint."""
    merged: dict[str, list[Row]] = {}
    messages = {}
    for row in rows:
        message = _mask(row["message"])
        # as in the database, which has the same text unless other code has stored a secret
        digest = hashlib.sha256(f"{row['type']}\n{message}".encode()).hexdigest()[:16]
        merged.setdefault(digest, []).append(row)
        messages[digest] = message
    groups = [
        FailureGroup(
            fingerprint=digest,
            type=same[0]["type"],
            message=messages[digest],
            kinds=tuple(sorted({kind for row in same for kind in row["kinds"]})),
            failures=sum(row["failures"] for row in same),
            first_at=min(row["first_at"] for row in same),
            last_at=max(row["last_at"] for row in same),
            example=max(same, key=lambda row: (row["last_at"], row["example"]))["example"],
        )
        for digest, same in merged.items()
    ]
    return sorted(groups, key=lambda group: (group.failures, group.last_at), reverse=True)


def _mask(message: str) -> str:
    # a placeholder may be within a secret, which angle brackets would end
    for placeholder, letter in _PLACEHOLDERS.items():
        message = message.replace(placeholder, letter)
    message = mask_secrets(message)
    for placeholder, letter in _PLACEHOLDERS.items():
        message = message.replace(letter, placeholder)
    return message
