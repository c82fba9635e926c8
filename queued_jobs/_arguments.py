"""Checks arguments where they are passed, so that a mistake does not show only when the value is used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from queued_jobs._descriptions import describe
from queued_jobs.errors import InvalidRequest

#: Rows that a page may have: all of them are in memory at once.
MAX_PAGE: Final = 10_000
#: The name of a kind.
KIND: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
#: Characters that Postgres cannot store.
UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
#: Of the owner of a job.
MAX_USER_ID: Final = 128


def check_span(name: str, value: object, *, least: timedelta, most: timedelta) -> None:
    """Raise `TypeError` unless it is a `timedelta`, and `ValueError` if it is out of range."""
    if not isinstance(value, timedelta):
        raise TypeError(f"{name} must be a timedelta, such as timedelta(minutes=5), not {describe(value)}.")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {value}.")


def check_whole(name: str, value: object, *, most: int, least: int = 1) -> None:
    """Raise `TypeError` unless it is an integer, and `ValueError` unless it is from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, not {describe(value)}.")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most:,}, not {describe(value)}.")


def check_page(limit: object) -> None:
    """Raise as `check_whole` does unless it is a number of rows that a page can have."""
    check_whole("limit", limit, most=MAX_PAGE)


def check_kind(name: object) -> None:
    """Raise `InvalidRequest` for a name that no kind can have."""
    if not isinstance(name, str) or not KIND.fullmatch(name):
        raise InvalidRequest(
            f"kind must be a string of at most 63 lower-case letters, digits and dashes, not {describe(name)}."
        )


def check_text(name: str, value: object, most: int, *, required: bool = False) -> None:
    """Raise `InvalidRequest` for an identifier that is not a string, or that the database would reject."""
    if value is None and not required:
        return
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be a string of 1 to {most} characters, not of type {type(value).__name__}.")
    if not 1 <= len(value) <= most:
        raise InvalidRequest(f"{name} must have 1 to {most} characters, not {len(value)}.")
    if UNSTORABLE.search(value):
        raise InvalidRequest(f"{name} contains a NUL character or an unpaired surrogate; remove it.")


def check_user(user_id: object) -> None:
    """Raise `InvalidRequest` for a user id that no job can have."""
    check_text("user_id", user_id, MAX_USER_ID, required=True)


def check_key(name: str, value: object, key_type: type[UUID] | type[int]) -> None:
    """Raise `TypeError` unless it is a job id of the store's type."""
    if not isinstance(value, key_type) or isinstance(value, bool):
        raise TypeError(f"{name} must be of type {key_type.__name__}, as job ids are here, not {describe(value)}.")
    if isinstance(value, int) and not 0 < value < 2**63:
        raise ValueError(f"{name} must be from 1 to {2**63 - 1:,}, as job ids are here, not {describe(value)}.")


def check_keys(name: str, values: object, key_type: type[UUID] | type[int]) -> None:
    """Raise as `check_key` does unless it is a sequence of job ids."""
    if not isinstance(values, Sequence):
        raise TypeError(f"{name} must be a sequence of job ids, not of type {type(values).__name__}.")
    for value in values:
        check_key(name, value, key_type)


def check_moment(name: str, value: object) -> None:
    """Raise `TypeError` unless it is a datetime, and `ValueError` unless it has a time zone."""
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be a datetime, not of type {type(value).__name__}.")
    if value.utcoffset() is None:
        raise ValueError(f"{name} must have a time zone; {value} has none.")


def check_type(name: str, value: object, expected: type) -> None:
    """Raise `TypeError` unless it is of this type."""
    if not isinstance(value, expected):
        raise TypeError(f"{name} must be of type {expected.__name__}, not {type(value).__name__}.")
