"""What belongs to an event loop ends with it, and holds it no longer than it lives."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, field
from weakref import ref

import pytest

from queued_jobs._per_loop import PerLoop


@dataclass(eq=False)
class Thing:
    """Holds its loop, as pools and sockets do."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    closed_in: asyncio.AbstractEventLoop | None = None
    is_abandoned: bool = False
    fails: bool = False

    async def close(self) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise OSError("it cannot be closed")
        self.closed_in = asyncio.get_running_loop()

    def abandon(self) -> None:
        self.is_abandoned = True


@pytest.fixture
def things() -> PerLoop[Thing]:
    return PerLoop(Thing, close=Thing.close, abandon=Thing.abandon)


async def use(things: PerLoop[Thing]) -> Thing:
    assert things.get() is things.get()
    return things.get()


def test_it_is_closed_within_its_loop(things: PerLoop[Thing]) -> None:
    thing = asyncio.run(use(things))
    assert thing.closed_in is thing.loop
    assert thing.is_abandoned


def test_each_loop_has_its_own_and_none_is_kept(things: PerLoop[Thing]) -> None:
    loops = [ref(asyncio.run(use(things)).loop) for _ in range(3)]
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3


def test_what_a_closed_loop_left_is_abandoned_when_the_next_one_asks(things: PerLoop[Thing]) -> None:
    loop = asyncio.new_event_loop()
    thing = loop.run_until_complete(use(things))
    loop.close()
    states = [thing.is_abandoned]
    asyncio.run(use(things))
    states.append(thing.is_abandoned)
    assert states == [False, True]
    assert thing.closed_in is None


def test_a_thing_that_cannot_be_closed_does_not_keep_the_loop_from_its_end(
    things: PerLoop[Thing], caplog: pytest.LogCaptureFixture
) -> None:
    async def use_a_broken_one() -> Thing:
        thing = things.get()
        thing.fails = True
        return thing

    assert asyncio.run(use_a_broken_one()).is_abandoned
    assert [record.name for record in caplog.records] == ["queued_jobs._per_loop"]


def test_what_was_closed_is_made_again(things: PerLoop[Thing]) -> None:
    async def close_and_use() -> None:
        first = things.get()
        await things.close()
        await things.close()
        assert first.closed_in is asyncio.get_running_loop()
        assert not first.is_abandoned, "what is lent comes back"
        assert things.get() is not first

    asyncio.run(close_and_use())


async def test_what_nobody_holds_any_more_is_closed_while_its_loop_goes_on() -> None:
    things = PerLoop(Thing, close=Thing.close, abandon=Thing.abandon)
    thing = things.get()
    del things
    gc.collect()
    async with asyncio.timeout(60):
        while not thing.is_abandoned:
            await asyncio.sleep(0)
    assert thing.closed_in is thing.loop
