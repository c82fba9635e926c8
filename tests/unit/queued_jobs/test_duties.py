"""Turns: what has much to do, fails or takes long keeps nothing else from being done."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from queued_jobs.duties import Batch, Duty, Rounds, running_by_itself
from queued_jobs.errors import StoreUnavailable

LONG, NO_TIME = timedelta(minutes=10), timedelta()
NAMES = ("urgent", "beside", "a", "b")


class Trace(list[str]):
    """Which duty ran when."""

    def duty(self, name: str, *, batches: int = 1, error: Exception | None = None, feeds: Duty | None = None) -> Duty:
        left = batches

        async def step() -> Batch:
            nonlocal left
            self.append(name)
            await asyncio.sleep(0)
            if error is not None:
                raise error
            left = max(0, left - 1)
            return Batch(done=1, more=left > 0)

        return Duty(name, step, feeds=feeds)


def rounds(trace: Trace, **duties: Duty) -> Rounds:
    found = {name: duties.get(name) or trace.duty(name) for name in NAMES}
    return Rounds(urgent=[found["urgent"]], beside=found["beside"], rest=[found["a"], found["b"]])


async def test_each_has_one_turn_where_there_is_little_to_do() -> None:
    trace = Trace()
    await rounds(trace).run(LONG)
    assert trace[0] == "urgent"
    assert sorted(trace) == ["a", "b", "beside", "urgent"]


@pytest.mark.parametrize("name", ["beside", "a", "b"])
async def test_whoever_has_much_to_do_takes_turns_with_the_others(name: str) -> None:
    trace = Trace()
    much = trace.duty(name, batches=50)
    await rounds(trace, **{name: much}).run(LONG)
    assert not much.more
    assert trace.count(name) == 50
    first_turns = trace[: trace.index("b") + 2]
    assert set(first_turns) == set(NAMES), "nobody waited for the fifty"


async def test_everybody_has_a_turn_however_short_the_time_is() -> None:
    trace = Trace()
    behind = {name: trace.duty(name, batches=9) for name in NAMES}
    await rounds(trace, **behind).run(NO_TIME)
    assert sorted(trace) == ["a", "b", "beside", "urgent"]
    assert all(duty.more for duty in behind.values())


@pytest.mark.parametrize("name", NAMES)
async def test_one_that_fails_is_raised_after_the_others_had_their_turns(name: str) -> None:
    trace = Trace()
    done = rounds(trace, **{name: trace.duty(name, error=StoreUnavailable(name))})
    with pytest.raises(StoreUnavailable, match=name):
        await done.run(LONG)
    assert set(trace) == set(NAMES)


async def test_a_store_that_is_away_is_not_asked_by_everybody() -> None:
    trace = Trace()
    failing = {name: trace.duty(name, error=StoreUnavailable(name)) for name in NAMES}
    with pytest.raises(StoreUnavailable, match="urgent"):
        await rounds(trace, **failing).run(LONG)
    assert len(trace) < len(NAMES) + 1


async def test_what_one_leaves_for_another_is_done_in_the_same_run() -> None:
    trace = Trace()
    beside = trace.duty("beside")
    await rounds(trace, beside=beside, b=trace.duty("b", feeds=beside)).run(LONG)
    assert trace.count("beside") == 2, "once as always, and once for what the last one found"


class TestByItself:
    async def test_its_first_batch_comes_before_everything_else(self) -> None:
        trace = Trace()
        async with running_by_itself(trace.duty("first"), every=LONG):
            trace.append("block")
        assert trace == ["first", "block"]

    async def test_the_rounds_go_on_until_it_has_nothing_left_however_slow_it_is(self) -> None:
        left = 5

        async def step() -> Batch:
            nonlocal left
            for _ in range(100):  # the others are done long before
                await asyncio.sleep(0)
            left -= 1
            return Batch(done=1, more=left > 0)

        trace = Trace()
        slow = Duty("first", step)
        turns = [trace.duty(name) for name in NAMES]
        async with asyncio.timeout(30), running_by_itself(slow, every=LONG):
            await Rounds(urgent=turns[:1], beside=turns[1], rest=turns[2:], by_itself=slow).run(LONG)
        assert (slow.more, slow.done) == (False, 5)

    async def test_however_much_it_has_left_the_rounds_end_in_time(self) -> None:
        trace = Trace()
        endless = trace.duty("first", batches=10_000_000)
        turns = [trace.duty(name) for name in NAMES]
        async with asyncio.timeout(30), running_by_itself(endless, every=LONG):
            await Rounds(urgent=turns[:1], beside=turns[1], rest=turns[2:], by_itself=endless).run(NO_TIME)
        assert endless.more

    async def test_where_that_fails_nothing_else_is_tried(self) -> None:
        trace = Trace()
        with pytest.raises(StoreUnavailable, match="first"):
            async with running_by_itself(trace.duty("first", error=StoreUnavailable("first")), every=LONG):
                trace.append("block")
        assert trace == ["first"]

    async def test_nothing_delays_it(self) -> None:
        trace = Trace()
        third = asyncio.Event()

        async def step() -> Batch:
            trace.append("first")
            if len(trace) == 3:
                third.set()
            return Batch(done=0, more=False)

        async with asyncio.timeout(30), running_by_itself(Duty("first", step), every=timedelta(seconds=0.01)):
            await third.wait()
        assert trace[:3] == ["first"] * 3

    async def test_what_is_left_is_done_without_a_pause(self) -> None:
        trace = Trace()
        duty = trace.duty("first", batches=20)
        async with asyncio.timeout(30), running_by_itself(duty, every=LONG):
            while duty.more:
                await asyncio.sleep(0)
        assert trace == ["first"] * 20

    async def test_it_goes_on_after_an_error(self) -> None:
        answers: list[Exception | None] = [None, StoreUnavailable("away"), None]
        over = asyncio.Event()

        async def step() -> Batch:
            answer = answers.pop(0) if answers else None
            if not answers:
                over.set()
            if answer is not None:
                raise answer
            return Batch(done=1, more=False)

        duty = Duty("first", step)
        async with asyncio.timeout(30), running_by_itself(duty, every=timedelta(seconds=0.01)):
            await over.wait()
        assert duty.done >= 2
        assert duty.error is None

    async def test_a_batch_under_way_is_waited_for(self) -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()
        batches = 0

        async def step() -> Batch:
            nonlocal batches
            if batches:
                begun.set()
                await go_on.wait()
            batches += 1
            return Batch(done=1, more=batches == 1)

        async def block() -> None:
            async with running_by_itself(Duty("first", step), every=LONG):
                await begun.wait()

        running = asyncio.create_task(block())
        await begun.wait()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not running.done()
        go_on.set()
        async with asyncio.timeout(30):
            await running
        assert batches == 2
