from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from azure.functions.timer import TimerRequest

from queued_jobs.ncrontab import Ncrontab
from tests.support.hosted_app import host_body
from tools.functions_host.errors import FunctionLoadError
from tools.functions_host.invoke import Invoker
from tools.functions_host.timers import TimerListener


def _next(expression: str, after: str, count: int = 1) -> list[str]:
    schedule, time, found = Ncrontab(expression), datetime.fromisoformat(after), []
    for _ in range(count):
        time = schedule.next(time)
        found.append(time.strftime("%Y-%m-%dT%H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("*/15 * * * * *", "2026-01-01T00:00:01Z", ["2026-01-01T00:00:15", "2026-01-01T00:00:30"]),
        ("*/15 * * * * *", "2026-01-01T00:00:15Z", ["2026-01-01T00:00:30"]),
        ("*/15 * * * * *", "2026-01-01T00:00:14.9Z", ["2026-01-01T00:00:15"]),
        ("0 */5 * * * *", "2026-01-01T23:57:00Z", ["2026-01-02T00:00:00", "2026-01-02T00:05:00"]),
        ("30 4,16 8-10/2 * * *", "2026-01-01T08:10:00Z", ["2026-01-01T08:16:30", "2026-01-01T10:04:30"]),
        ("0 0 9 * * mon-fri", "2026-01-02T10:00:00Z", ["2026-01-05T09:00:00"]),
        ("0 0 0 * * 0", "2026-01-01T00:00:00Z", ["2026-01-04T00:00:00"]),
        ("0 0 0 1 Jan,July *", "2026-01-01T00:00:00Z", ["2026-07-01T00:00:00", "2027-01-01T00:00:00"]),
        ("0 0 0 13 * Fri", "2026-01-01T00:00:00Z", ["2026-02-13T00:00:00", "2026-03-13T00:00:00"]),
        ("0 0 0 29 2 *", "2026-01-01T00:00:00Z", ["2028-02-29T00:00:00"]),
        ("0 0 0 29 2 *", "2096-03-01T00:00:00Z", ["2104-02-29T00:00:00"]),
        ("0 0 0 31 * *", "2026-04-01T00:00:00Z", ["2026-05-31T00:00:00"]),
        ("50/3 * * * * *", "2026-01-01T00:00:00Z", ["2026-01-01T00:00:50", "2026-01-01T00:00:53"]),
        ("*/5 * * * *", "2026-01-01T00:00:01Z", ["2026-01-01T00:05:00"]),
    ],
)
def test_occurrences(expression: str, after: str, expected: list[str]) -> None:
    assert _next(expression, after, len(expected)) == expected


def test_the_schedule_is_in_utc() -> None:
    after = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert Ncrontab("0 0 0 * * *").next(after) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    [
        *("", "* * * *", "* * * * * * *", "00:00:10"),
        *("60 * * * * *", "* * 24 * * *", "* * * 0 * *", "* * * * 13 *", "* * * * * 7", "0 0 0 30 2 *"),
        *("a * * * * *", "5-1 * * * * *", "*/0 * * * * *", "1- * * * * *", "*-5 * * * * *"),
    ],
)
def test_what_is_no_schedule(expression: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Ncrontab(expression)


class _Ticks:
    """A timer function that notes when it was called, and takes as long as it is told."""

    def __init__(self, *, takes: float = 0, fails: bool = False) -> None:
        self.times: list[datetime] = []
        self.active = 0
        self.max_active = 0
        self._takes = takes
        self._fails = fails
        self._called = asyncio.Condition()

    async def __call__(self, timer: TimerRequest) -> None:
        assert timer.past_due is False
        self.active += 1
        self.max_active = max(self.max_active, self.active)
        async with self._called:
            self.times.append(datetime.now(UTC))
            self._called.notify_all()
        await asyncio.sleep(self._takes)
        self.active -= 1
        if self._fails:
            raise RuntimeError("on purpose")

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(10), self._called:
            await self._called.wait_for(lambda: len(self.times) >= count)


async def _listener(folder: Path, ticks: _Ticks, schedule: str, *, run_on_startup: bool = False) -> TimerListener:
    async def no_output(binding: object, value: object) -> None:
        raise AssertionError("a timer without outputs writes nothing")

    trigger = f"timer_trigger(arg_name='data', schedule={schedule!r}, run_on_startup={run_on_startup})"
    worker, function = await host_body(folder, ticks, trigger=trigger, annotation="TimerRequest")
    return TimerListener(function, invoker=Invoker(worker, timeout=None, write_output=no_output))


async def _run_until(listener: TimerListener, ticks: _Ticks, count: int) -> None:
    stopping = asyncio.Event()
    running = asyncio.create_task(listener.run(stopping))
    await ticks.wait_for(count)
    stopping.set()
    await asyncio.wait_for(running, 5)


async def test_it_ticks_once_on_each_second(tmp_path: Path) -> None:
    ticks = _Ticks()
    await _run_until(await _listener(tmp_path, ticks, "* * * * * *"), ticks, 3)
    seconds = [time.replace(microsecond=0) for time in ticks.times]
    assert [b - a for a, b in itertools.pairwise(seconds)] == [timedelta(seconds=1)] * 2


async def test_a_long_run_never_overlaps_itself(tmp_path: Path) -> None:
    ticks = _Ticks(takes=1.2)
    await _run_until(await _listener(tmp_path, ticks, "* * * * * *"), ticks, 2)
    assert ticks.max_active == 1
    assert ticks.times[1] - ticks.times[0] > timedelta(seconds=1.2)


async def test_a_failure_does_not_end_it(tmp_path: Path) -> None:
    ticks = _Ticks(fails=True)
    await _run_until(await _listener(tmp_path, ticks, "* * * * * *"), ticks, 2)
    assert len(ticks.times) == 2


async def test_run_on_startup_ticks_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YEARLY", "0 0 0 1 1 *")
    ticks = _Ticks()
    await _run_until(await _listener(tmp_path, ticks, "%YEARLY%", run_on_startup=True), ticks, 1)
    assert len(ticks.times) == 1


async def test_a_wrong_schedule_names_the_function(tmp_path: Path) -> None:
    with pytest.raises(FunctionLoadError, match=r"'f\d+' function: "):
        await _listener(tmp_path, _Ticks(), "every second")
