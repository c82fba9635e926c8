"""Schedules in NCRONTAB, the dialect of timer triggers, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from queued_jobs._descriptions import describe

_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAY_NAMES = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
#: Letters of a name that suffice.
_MIN_NAME = 3
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTH_NAMES, 1)}),
    ("day of week", 0, 6, {name: number for number, name in enumerate(_DAY_NAMES)}),
)
#: Only ASCII, as the host's own parser.
_PART = re.compile(r"(?P<first>\*|[0-9A-Za-z]+)(?:-(?P<last>[0-9A-Za-z]+))?(?:/(?P<step>[0-9]+))?")
#: The longest time between two 29th of February on the same day of the week, around the year 2100, is 40 years.
_SEARCH_LIMIT = timedelta(days=366 * 41)


class Ncrontab:
    """A schedule of six fields, `second minute hour day month day-of-week` (0 = Sunday); five mean second 0.

    Day and day of week must both match. Raises `ValueError` for anything else, including a time span.
    """

    def __init__(self, expression: str) -> None:
        fields = re.split(" +", expression.strip(" "))
        if len(fields) == 5:
            fields = ["0", *fields]
        if len(fields) != 6:
            raise ValueError(f"{describe(expression)} has {len(fields)} fields: NCRONTAB has 6, the first for seconds")
        sets = [_parse_field(text, *field) for text, field in zip(fields, _FIELDS, strict=True)]
        self._seconds, self._minutes, self._hours, self._days, self._months, self._week_days = sets
        if self._next(datetime(2000, 1, 1, tzinfo=UTC)) is None:
            raise ValueError(f"{describe(expression)} never occurs")

    def next(self, after: datetime) -> datetime:
        """Return the first occurrence strictly after the given time, which must have a time zone."""
        occurrence = self._next(after.astimezone(UTC))
        if occurrence is None:
            raise ValueError(f"no occurrence within 41 years of {after}")
        return occurrence

    def latest(self, by: datetime) -> datetime:
        """Return the last occurrence at or before the given time, which must have a time zone."""
        by = by.astimezone(UTC)
        span = timedelta(seconds=1)
        # double the look-back until there is an occurrence, then step forward to the last one
        while (found := self._next(by - span)) is None or found > by:
            span *= 2
            if span > 2 * _SEARCH_LIMIT:
                raise ValueError(f"no occurrence within the 82 years before {by}")
        while (later := self._next(found)) is not None and later <= by:
            found = later
        return found

    def _next(self, after: datetime) -> datetime | None:
        time = after.replace(microsecond=0) + timedelta(seconds=1)
        while time < after + _SEARCH_LIMIT:
            if time.month not in self._months:
                time = (time.replace(day=1, hour=0, minute=0, second=0) + timedelta(days=32)).replace(day=1)
            elif time.day not in self._days or (time.weekday() + 1) % 7 not in self._week_days:
                time = time.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            elif time.hour not in self._hours:
                time = time.replace(minute=0, second=0) + timedelta(hours=1)
            elif time.minute not in self._minutes:
                time = time.replace(second=0) + timedelta(minutes=1)
            elif time.second not in self._seconds:
                time += timedelta(seconds=1)
            else:
                return time
        return None


def _parse_field(text: str, name: str, lowest: int, highest: int, names: dict[str, int]) -> frozenset[int]:
    def number(word: str) -> int:
        value = int(word) if word.isdecimal() else None
        if value is None and len(word) >= _MIN_NAME:
            value = next((number for name, number in names.items() if name.startswith(word.lower())), None)
        if value is None or not lowest <= value <= highest:
            raise ValueError(f"{describe(word)} is not a valid {name}; use {lowest} to {highest}")
        return value

    values: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None or (match["first"] == "*" and match["last"]):
            raise ValueError(f"{describe(part)} cannot be parsed as {name}")
        step = int(match["step"] or 1)
        first = lowest if match["first"] == "*" else number(match["first"])
        open_end = highest if match["first"] == "*" or match["step"] else first
        last = number(match["last"]) if match["last"] else open_end
        if step < 1 or last < first:
            raise ValueError(f"{describe(part)} is an empty range of {name}")
        values.update(range(first, last + 1, step))
    return frozenset(values)
