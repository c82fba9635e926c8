"""Statements that arrive while others are under way share a round trip, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from queued_jobs import _together
from queued_jobs._statements import Row
from queued_jobs._together import MAX_TOGETHER, MIN_TIME, Request, Together
from queued_jobs.errors import StoreRefused, StoreUnavailable
from tests.support.waiting import PATIENCE_SECONDS

ALONE, SHARED = "alone", "shared"


class Server:
    """Answers when `open` is set, and remembers what it was given."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.seen: list[tuple[str, list[int]]] = []
        self.fails: Exception | None = None
        self.rolls_back = False
        self.refused: set[int] = set()
        self.together = Together(self._alone, self._share)

    async def run(self, number: int, *, seconds: float = 60) -> list[Row]:
        return await self.together.run("claim", {"id": UUID(int=number)}, time.monotonic() + seconds)

    def start(self, *numbers: int) -> list[asyncio.Task[list[Row]]]:
        return [asyncio.create_task(self.run(number)) for number in numbers]

    async def has_seen(self, count: int) -> None:
        """Return in the very turn of the loop: soon after, a timer lets the next group go."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.seen) < count:
                await asyncio.sleep(0)

    async def _alone(self, name: str, params: Mapping[str, Any], ends_at: float) -> list[Row]:
        number = params["id"].int
        self.seen.append((ALONE, [number]))
        await self.open.wait()
        if number in self.refused:
            raise StoreRefused(str(number))
        return [{"id": number}]

    async def _share(self, group: Sequence[Request]) -> list[list[Row]] | None:
        numbers = [request.params["id"].int for request in group]
        self.seen.append((SHARED, numbers))
        await self.open.wait()
        if self.fails is not None:
            raise self.fails
        return None if self.rolls_back else [[{"id": number}] for number in numbers]


def rows(*numbers: int) -> list[list[Row]]:
    return [[{"id": number}] for number in numbers]


async def test_without_concurrency_each_runs_by_itself() -> None:
    server = Server()
    server.open.set()
    assert [await server.run(number) for number in (1, 2, 3)] == rows(1, 2, 3)
    assert server.seen == [(ALONE, [number]) for number in (1, 2, 3)]


async def test_those_that_arrive_meanwhile_go_together_in_the_order_of_their_ids() -> None:
    server = Server()
    tasks = server.start(9, 3, 2, 7)
    await server.has_seen(1)
    server.open.set()
    assert await asyncio.gather(*tasks) == rows(9, 3, 2, 7)
    assert server.seen == [(ALONE, [9]), (SHARED, [2, 3, 7])]


async def test_a_group_is_bounded() -> None:
    server = Server()
    count = 2 * MAX_TOGETHER + 5
    tasks = server.start(*range(count))
    await server.has_seen(1)
    server.open.set()
    assert await asyncio.gather(*tasks) == rows(*range(count))
    assert max(len(numbers) for _, numbers in server.seen) == MAX_TOGETHER
    assert len(server.seen) == 4


async def test_one_that_fails_fails_no_other() -> None:
    server = Server()
    server.rolls_back, server.refused = True, {2}
    tasks = server.start(0, 1, 2, 3)
    await server.has_seen(1)
    server.open.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [outcomes[0], outcomes[1], outcomes[3]] == rows(0, 1, 3)
    assert isinstance(outcomes[2], StoreRefused)
    assert server.seen == [(ALONE, [0]), (SHARED, [1, 2, 3]), *((ALONE, [number]) for number in (1, 2, 3))]


async def test_what_became_of_none_of_them_is_told_to_each() -> None:
    server = Server()
    server.fails = StoreUnavailable("gone")
    tasks = server.start(0, 1, 2)
    await server.has_seen(1)
    server.open.set()
    first, *others = await asyncio.gather(*tasks, return_exceptions=True)
    assert first == [{"id": 0}]
    assert [type(other) for other in others] == [StoreUnavailable, StoreUnavailable]
    assert others[0] is not others[1]
    assert await server.run(3) == [{"id": 3}]


async def test_a_slow_one_holds_no_other_up() -> None:
    server = Server()
    tasks = server.start(0, 1, 2)
    await server.has_seen(2)  # though the first has no answer
    tasks += server.start(3)
    await server.has_seen(3)
    server.open.set()
    assert await asyncio.gather(*tasks) == rows(0, 1, 2, 3)


async def test_one_with_little_time_left_does_not_set_the_deadline_of_others() -> None:
    server = Server()
    tasks = [
        *server.start(0),
        asyncio.create_task(server.run(1, seconds=MIN_TIME.total_seconds() / 2)),
        *server.start(2),
    ]
    server.open.set()
    assert await asyncio.gather(*tasks) == rows(0, 1, 2)
    assert {kind for kind, _ in server.seen} == {ALONE}


async def test_one_whose_caller_is_gone_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_together, "PATIENCE", timedelta(hours=1))  # it is cancelled before its group goes
    server = Server()
    tasks = server.start(0, 1, 2)
    await server.has_seen(1)
    tasks[1].cancel()
    await asyncio.wait({tasks[1]})
    assert tasks[1].cancelled()
    server.open.set()
    assert [await tasks[0], await tasks[2]] == rows(0, 2)
    assert all(1 not in numbers for _, numbers in server.seen)


@pytest.fixture
async def shared() -> tuple[Server, list[Row], asyncio.Task[list[Row]]]:
    """A server, what its caller got, and the caller, whose statement shares a transaction that is under way."""
    server, got = Server(), list[Row]()

    async def call() -> list[Row]:
        got.extend(await server.run(1))
        await asyncio.sleep(0)
        return got

    server.start(0)
    caller = asyncio.create_task(call())
    server.start(2)
    await server.has_seen(2)
    return server, got, caller


async def test_a_caller_that_is_cancelled_learns_first_what_was_stored(
    shared: tuple[Server, list[Row], asyncio.Task[list[Row]]],
) -> None:
    server, got, caller = shared
    caller.cancel()
    server.open.set()
    await asyncio.wait({caller})
    assert caller.cancelled()
    assert got == [{"id": 1}]


async def test_a_cancelled_statement_of_a_group_that_was_rolled_back_is_not_run_again(
    shared: tuple[Server, list[Row], asyncio.Task[list[Row]]],
) -> None:
    server, got, caller = shared
    server.rolls_back = True
    caller.cancel()
    server.open.set()
    await asyncio.wait({caller})
    assert caller.cancelled()
    assert not got
    assert (ALONE, [1]) not in server.seen


async def test_a_second_cancellation_does_not_wait(
    shared: tuple[Server, list[Row], asyncio.Task[list[Row]]],
) -> None:
    _, got, caller = shared
    caller.cancel()
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled()
    assert not got


async def test_a_timeout_around_a_shared_one_remains_a_timeout() -> None:
    server = Server()
    limit = asyncio.timeout(None)

    async def call() -> None:
        async with limit:
            await server.run(1)
            await asyncio.sleep(0)

    server.start(0)
    caller = asyncio.create_task(call())
    server.start(2)
    await server.has_seen(2)
    limit.reschedule(0)
    await asyncio.sleep(0)
    server.open.set()
    with pytest.raises(TimeoutError):
        await caller
