from __future__ import annotations

import asyncio
from datetime import timedelta

from tools.functions_host.waiting import PollingDelay, is_set_within


def _exactly(low: float, high: float) -> float:
    return (low + high) / 2


def _delays(polling: PollingDelay, count: int, *, found_message: bool = False) -> list[float]:
    return [round(polling.next(found_message=found_message).total_seconds(), 3) for _ in range(count)]


def test_the_delay_doubles_up_to_the_longest() -> None:
    polling = PollingDelay(timedelta(seconds=2), _exactly)
    assert _delays(polling, 8) == [0.1, 0.2, 0.3, 0.5, 0.9, 1.7, 2.0, 2.0]


def test_a_message_starts_it_anew() -> None:
    polling = PollingDelay(timedelta(seconds=2), _exactly)
    _delays(polling, 8)
    assert _delays(polling, 1, found_message=True) == [0.1]
    assert _delays(polling, 3) == [0.2, 0.3, 0.5]


def test_the_delay_is_spread_by_a_fifth() -> None:
    lowest = PollingDelay(timedelta(seconds=2), lambda low, high: low)
    highest = PollingDelay(timedelta(seconds=2), lambda low, high: high)
    assert _delays(lowest, 3)[2] == 0.26
    assert _delays(highest, 3)[2] == 0.34


def test_the_shortest_interval_is_allowed_as_the_longest() -> None:
    assert _delays(PollingDelay(timedelta(milliseconds=100), _exactly), 3) == [0.1, 0.1, 0.1]


async def test_waiting_for_an_event() -> None:
    event = asyncio.Event()
    assert not await is_set_within(event, timedelta(milliseconds=1))
    event.set()
    assert await is_set_within(event, timedelta(hours=1))
