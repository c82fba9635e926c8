"""Checks arguments where they are passed, so that a mistake does not show only when the value is used."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

#: Rows that a page may have: all of them are in memory at once.
MAX_PAGE: Final = 10_000


def check_span(name: str, value: object, *, least: timedelta, most: timedelta) -> None:
    """Raise `TypeError` unless it is a `timedelta`, and `ValueError` if it is out of range."""
    if not isinstance(value, timedelta):
        raise TypeError(f"{name} must be a timedelta, such as timedelta(minutes=5), not {value!r}.")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {value}.")


def check_whole(name: str, value: object, *, most: int) -> None:
    """Raise `TypeError` unless it is an integer, and `ValueError` unless it is from 1 to `most`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {value!r}.")
    if not 1 <= value <= most:
        raise ValueError(f"{name} must be from 1 to {most:,}, not {value:,}.")


def check_page(limit: object) -> None:
    """Raise as `check_whole` does unless it is a number of rows that a page can have."""
    check_whole("limit", limit, most=MAX_PAGE)
