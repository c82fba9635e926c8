"""Retry policies: whether and when a failed attempt is retried."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pydantic import ValidationError

from queued_jobs._descriptions import describe
from queued_jobs._own_code import call_contained
from queued_jobs.errors import (
    MAX_WAIT,
    InvalidRequest,
    InvalidResult,
    PermanentError,
    ResultTooLarge,
    RetryLater,
    StoreRefused,
)

logger = logging.getLogger(__name__)

_MAX_CAP = timedelta(days=30)
#: Errors that another attempt with the same request would only repeat.
_PERMANENT = (PermanentError, InvalidRequest, InvalidResult, ValidationError, ResultTooLarge, StoreRefused)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_span(value: object) -> bool:
    return isinstance(value, timedelta)


def _are_exceptions(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, type) and issubclass(one, Exception) for one in value)


_CHECKS: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    ("max_attempts", _is_number, "a whole number from 1 to 50"),
    ("base", _is_span, "a timedelta"),
    ("cap", _is_span, "a timedelta"),
    ("permanent", _are_exceptions, "a tuple of exception types, such as (ValueError,) with its comma"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and at what intervals a kind of job is tried.

    The delay before attempt n + 1 is `min(cap, base * 2**(n - 1))`, times a random factor from 0.5 to 1.5, so that jobs
    which failed at the same time are not retried at the same time.

    Parameters
    ----------
    max_attempts
        Includes the first run: 1 to 50, where 1 means no retry. Attempts whose worker was lost count, released attempts
        do not.
    base, cap
        The delay before the second attempt, and the maximum: zero to 30 days.
    permanent
        Exception types that fail the job without a retry, besides `PermanentError`. Raises `TypeError` if it is not a
        tuple of them, and `ValueError` if a number or delay is out of range.
    """

    max_attempts: int = 5
    base: timedelta = timedelta(seconds=5)
    cap: timedelta = timedelta(hours=1)
    permanent: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        for name, is_right, remedy in _CHECKS:
            value = getattr(self, name)
            if not is_right(value):
                raise TypeError(f"{name} is {describe(value)}, but must be {remedy}.")
        if not 1 <= self.max_attempts <= 50:
            raise ValueError(f"max_attempts must be from 1 to 50, not {self.max_attempts}.")
        if not timedelta() <= self.base <= self.cap <= _MAX_CAP:
            raise ValueError(f"The delays must satisfy 0 <= base <= cap <= {_MAX_CAP}, not {self.base} and {self.cap}.")

    def delay(self, attempt: int) -> timedelta:
        """Return how long to wait after this attempt (1 for the first). Random: each call returns a different delay."""
        growth: int = 2 ** min(attempt - 1, 24)  # a larger exponent would overflow timedelta
        return min(self.cap, self.base * growth) * random.uniform(0.5, 1.5)  # noqa: S311 (jitter, not a secret)

    def retry_in(self, error: Exception, attempt: int) -> timedelta | None:
        """Return how long to wait after this error, or None for no retry."""
        if isinstance(error, RetryLater):
            return error.after
        if isinstance(error, (*_PERMANENT, *self.permanent)):
            return None
        return self.delay(attempt)


def find_delay(policy: RetryPolicy, error: Exception, attempt: int) -> timedelta | None:
    """Return `policy.retry_in`, at most a year.

    If a subclass raises, or returns something else, that is logged and the default policy decides: the attempt has
    failed already, and its outcome must be stored.
    """
    try:
        found: object = call_contained(policy.retry_in, error, attempt)
        if found is None:
            return None
        if not isinstance(found, timedelta):
            raise TypeError(f"{type(policy).__name__} returned {describe(found)}, but must return a timedelta or None.")
    except Exception:
        logger.exception("a retry policy failed, so the default one is used")
        return RetryPolicy().retry_in(error, attempt)
    return min(max(found, timedelta()), MAX_WAIT)
