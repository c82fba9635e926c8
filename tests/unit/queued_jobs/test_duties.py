"""Turns: what has much to do, fails or takes long keeps nothing else from being done."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from queued_jobs.duties import Batch, Duty, Rounds
from queued_jobs.errors import StoreUnavailable

LONG, NO_TIME = timedelta(minutes=10), timedelta()


class Trace(list[str]):
    """Which duty ran when."""

    def duty(self, name: str, *, batches: int = 1, error: Exception | None = None) -> Duty:
        left = batches

        async def step() -> Batch:
            nonlocal left
            self.append(name)
            await asyncio.sleep(0)
            if error is not None:
                raise error
            left = max(0, left - 1)
            return Batch(done=1, more=left > 0)

        return Duty(name, step)


def rounds(trace: Trace, **duties: Duty) -> Rounds:
    names = {name: duties.get(name) or trace.duty(name) for name in ("first", "urgent", "beside", "a", "b")}
    return Rounds(first=names["first"], urgent=[names["urgent"]], beside=names["beside"], rest=[names["a"], names["b"]])


async def test_each_has_one_turn_where_there_is_little_to_do() -> None:
    trace = Trace()
    done = rounds(trace)
    await done.run(LONG)
    assert trace[:2] == ["first", "urgent"]
    assert sorted(trace) == ["a", "b", "beside", "first", "urgent"]
    assert done.behind == ()


async def test_the_first_is_done_to_its_end_and_looked_at_in_each_round() -> None:
    trace = Trace()
    await rounds(trace, first=trace.duty("first", batches=4), a=trace.duty("a", batches=3)).run(LONG)
    assert trace[:5] == ["first"] * 4 + ["urgent"]
    assert [name for name in trace if name in ("first", "a")] == ["first"] * 4 + ["a", "first", "a", "first", "a"]


@pytest.mark.parametrize("name", ["beside", "a", "b"])
async def test_whoever_has_much_to_do_takes_turns_with_the_others(name: str) -> None:
    trace = Trace()
    done = rounds(trace, **{name: trace.duty(name, batches=50)})
    await done.run(LONG)
    assert done.behind == ()
    assert trace.count(name) == 50
    first_turns = trace[: trace.index("b") + 2]
    assert set(first_turns) == {"first", "urgent", "beside", "a", "b"}, "nobody waited for the fifty"


async def test_everybody_has_a_turn_however_short_the_time_is() -> None:
    trace = Trace()
    behind = {name: trace.duty(name, batches=9) for name in ("first", "urgent", "beside", "a", "b")}
    done = rounds(trace, **behind)
    await done.run(NO_TIME)
    assert sorted(trace) == ["a", "b", "beside", "first", "urgent"]
    assert set(done.behind) == {"a", "b", "beside", "first", "urgent"}


@pytest.mark.parametrize("name", ["urgent", "beside", "a", "b"])
async def test_one_that_fails_is_raised_after_the_others_had_their_turns(name: str) -> None:
    trace = Trace()
    done = rounds(trace, **{name: trace.duty(name, error=StoreUnavailable(name))})
    with pytest.raises(StoreUnavailable, match=name):
        await done.run(LONG)
    assert set(trace) == {"first", "urgent", "beside", "a", "b"}


async def test_a_store_that_is_away_is_not_asked_by_everybody() -> None:
    trace = Trace()
    with pytest.raises(StoreUnavailable, match="first"):
        await rounds(trace, first=trace.duty("first", error=StoreUnavailable("first"))).run(LONG)
    assert trace == ["first"]
    trace.clear()
    failing = {name: trace.duty(name, error=StoreUnavailable(name)) for name in ("urgent", "beside", "a", "b")}
    with pytest.raises(StoreUnavailable, match="urgent"):
        await rounds(trace, **failing).run(LONG)
    assert len(trace) <= 4
