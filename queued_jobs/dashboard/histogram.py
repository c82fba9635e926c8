"""Percentiles of durations, from histograms."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from typing import Self

#: As in the SQL function queued_jobs.latency_step: step 0 ends at 5 ms, each next one is 1.28 times as long.
FIRST_STEP = timedelta(milliseconds=5)
STEP_RATIO = 1.28
LAST_STEP = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """The 50th, 95th and 99th percentile of durations."""

    p50: timedelta
    p95: timedelta
    p99: timedelta

    @classmethod
    def from_seconds(cls, seconds: Sequence[float] | None) -> Self | None:
        """Convert the three values of a row."""
        if seconds is None:
            return None
        p50, p95, p99 = (timedelta(seconds=value) for value in seconds)
        return cls(p50=p50, p95=p95, p99=p99)

    @classmethod
    def from_steps(cls, steps: Sequence[int], counts: Sequence[int]) -> Self | None:
        """Estimate from the number of durations in each step, in ascending order; None without durations.

        The true value lies in the same step, so an estimate is off by less than 28%. Values in the last step count as
        its start, about six hours.
        """
        below = [0, *accumulate(counts)]
        if not below[-1]:
            return None
        estimates = []
        for share in (0.5, 0.95, 0.99):
            wanted = share * below[-1]
            place = bisect_left(below, wanted) - 1
            estimates.append(_within(steps[place], (wanted - below[place]) / counts[place]))
        p50, p95, p99 = estimates
        return cls(p50=p50, p95=p95, p99=p99)


def _within(step: int, share: float) -> timedelta:
    if step == 0:
        return FIRST_STEP * share
    return FIRST_STEP * STEP_RATIO ** (step - 1 + (share if step < LAST_STEP else 0))
