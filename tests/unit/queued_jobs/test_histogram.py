"""Percentiles out of steps."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from datetime import timedelta

import pytest

from queued_jobs.dashboard.histogram import FIRST_STEP, LAST_STEP, STEP_RATIO, Percentiles

MS = timedelta(milliseconds=1)


def step_of(seconds: float) -> int:
    edge, step = FIRST_STEP.total_seconds(), 0
    while seconds >= edge and step < LAST_STEP:
        edge, step = edge * STEP_RATIO, step + 1
    return step


@pytest.mark.parametrize(("mean", "spread"), [(0, 1), (-4, 0.3), (3, 2), (6, 0.1)])
def test_an_estimate_is_off_by_less_than_a_step(mean: float, spread: float) -> None:
    dice = random.Random(3)
    seconds = [dice.lognormvariate(mean, spread) for _ in range(5_000)]
    counted = Counter(map(step_of, seconds))
    steps = sorted(counted)
    found = Percentiles.from_steps(steps, [counted[step] for step in steps])
    assert found is not None
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    for estimate, cut in ((found.p50, 49), (found.p95, 94), (found.p99, 98)):
        assert 1 / STEP_RATIO < estimate.total_seconds() / cuts[cut] < STEP_RATIO


def test_all_in_one_step() -> None:
    assert Percentiles.from_steps([0], [4]) == Percentiles(p50=2.5 * MS, p95=4.75 * MS, p99=4.95 * MS)
    found = Percentiles.from_steps([1], [10])
    assert found is not None
    assert 5 * MS < found.p50 < found.p95 < found.p99 < 6.4 * MS


def test_what_is_longer_than_the_last_step_reads_as_its_start() -> None:
    found = Percentiles.from_steps([10, LAST_STEP], [1, 99])
    assert found is not None
    assert found.p50 == found.p99
    assert timedelta(hours=6) < found.p50 < timedelta(hours=6.3)


def test_steps_that_hold_nothing_are_passed_over() -> None:
    assert Percentiles.from_steps([2, 5, 9], [0, 7, 0]) == Percentiles.from_steps([5], [7])


@pytest.mark.parametrize(("steps", "counts"), [([], []), ([3], [0])])
def test_nothing_at_all(steps: list[int], counts: list[int]) -> None:
    assert Percentiles.from_steps(steps, counts) is None
    assert Percentiles.from_seconds(None) is None
