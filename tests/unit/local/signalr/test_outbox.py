"""Frames that wait for one client."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from tools.signalr_emulator.outbox import MAX_CHARACTERS, MAX_FRAMES, Outbox

LONG, SHORT = timedelta(seconds=5), timedelta(milliseconds=10)


async def test_waiting_frames_are_taken_together_and_in_order() -> None:
    outbox = Outbox()
    assert all(outbox.put(frame) for frame in "abc")
    assert await outbox.take(LONG) == "abc"
    assert await outbox.take(SHORT) == ""


async def test_a_taker_that_waits_gets_the_next_frame() -> None:
    outbox = Outbox()
    taking = asyncio.create_task(outbox.take(LONG))
    await asyncio.sleep(0)
    outbox.put("a")
    assert await taking == "a"


async def test_a_cancelled_taker_takes_nothing_with_it() -> None:
    outbox = Outbox()
    taking = asyncio.create_task(outbox.take(LONG))
    await asyncio.sleep(0)
    outbox.put("a")
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert await outbox.take(SHORT) == "a"


async def test_a_finished_outbox_hands_out_the_rest_and_then_ends() -> None:
    outbox = Outbox()
    outbox.put("a")
    outbox.finish()
    assert not outbox.put("b")
    assert [await outbox.take(LONG), await outbox.take(LONG), await outbox.take(LONG)] == ["a", None, None]


async def test_finishing_wakes_the_taker() -> None:
    outbox = Outbox()
    taking = asyncio.create_task(outbox.take(LONG))
    await asyncio.sleep(0)
    outbox.finish()
    assert await taking is None


async def test_a_discarded_outbox_ends_at_once() -> None:
    outbox = Outbox()
    outbox.put("a")
    outbox.finish(discard=True)
    assert await outbox.take(LONG) is None


async def test_it_is_bounded_by_frames_and_by_size() -> None:
    by_count, by_size = Outbox(), Outbox()
    assert [by_count.put("x") for _ in range(MAX_FRAMES + 1)] == [True] * MAX_FRAMES + [False]
    half = "x" * (MAX_CHARACTERS // 2)
    assert [by_size.put(half) for _ in range(3)] == [True, True, False]
    assert len(await by_size.take(LONG) or "") == MAX_CHARACTERS
    assert by_size.put(half), "taking makes room"
