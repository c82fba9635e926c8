"""Few hints for many changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from queued_jobs.push.nudges import MAX_IDS, Nudges
from tests.support.waiting import PATIENCE_SECONDS

HOUR = timedelta(hours=1)


class Sent:
    def __init__(self) -> None:
        self.nudges: list[list[str]] = []
        self.came = asyncio.Event()

    async def __call__(self, ids: list[str]) -> None:
        self.nudges.append(ids)
        self.came.set()


async def test_the_first_is_sent_at_once_and_the_rest_together() -> None:
    sent = Sent()
    nudges = Nudges(sent, every=HOUR)
    nudges.add(["a"])
    async with asyncio.timeout(PATIENCE_SECONDS):
        await sent.came.wait()
    for name in ("b", "c", "b"):
        nudges.add([name])
    await nudges.close()
    assert sent.nudges == [["a"], ["b", "c"]]


async def test_a_flood_is_cut() -> None:
    sent = Sent()
    nudges = Nudges(sent, every=HOUR)
    nudges.add(str(number) for number in range(10 * MAX_IDS))
    await nudges.close()
    assert [len(ids) for ids in sent.nudges] == [MAX_IDS]


async def test_a_hub_that_is_away_is_no_trouble() -> None:
    async def away(ids: list[str]) -> None:
        raise ConnectionError

    nudges = Nudges(away)
    nudges.add(["a"])
    await nudges.close()
