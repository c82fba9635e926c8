"""Parses and prints times, durations and stored texts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import typer

from queued_jobs.model import JobKey
from queued_jobs.redact import to_storable_text

_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_DURATION = re.compile(r"(\d{1,6})([smhd])")


def parse_duration(text: str) -> timedelta:
    """Parse `90s`, `15m`, `24h` or `7d`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a valid duration; use a number and s, m, h or d, such as 24h.")
    return int(found[1]) * _UNITS[found[2]]


def parse_moment(text: str) -> datetime:
    """Parse a date or time in ISO 8601, in UTC unless it has an offset, or an age: `24h`."""
    if _DURATION.fullmatch(text.strip()):
        try:
            return datetime.now(UTC) - parse_duration(text)
        except OverflowError as exc:
            raise typer.BadParameter(f"{text!r} ago is before the first year.") from exc
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise typer.BadParameter(
            f"{text!r} is not a valid time; use 2026-01-31, 2026-01-31T18:00 (UTC) or an age such as 24h."
        ) from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_id(text: str, key_type: type[UUID] | type[int] = UUID) -> JobKey:
    try:
        key = key_type(text.strip())
        if isinstance(key, int) and not 0 < key < 2**63:
            raise ValueError
    except ValueError as exc:
        raise typer.BadParameter(f"{text!r} is not a valid job id; copy all of it from `queued-jobs list`.") from exc
    return key


def brief(duration: timedelta | None) -> str:
    """Format a duration in at most six characters: `42 ms`, `1.3 s`, `5m10s`, `3h05m`, `12d`."""
    if duration is None:
        return "-"
    seconds = max(duration.total_seconds(), 0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 100 * 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d"


def exact(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def safe(text: object, limit: int = 2_000) -> str:
    """Return stored text without terminal control sequences and credentials."""
    return to_storable_text(str(text), limit)


def in_one_line(text: object, limit: int = 2_000) -> str:
    """Like `safe`, without line breaks, which could pass for further rows or messages."""
    return " ".join(safe(text, limit).split())
