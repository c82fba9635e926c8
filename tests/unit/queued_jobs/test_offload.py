"""What may take long over a text lets the event loop go on."""

from __future__ import annotations

import asyncio
import contextvars

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobStatus
from queued_jobs.offload import MAX_SMALL, is_small, offload
from tests.support.growth import repeated
from tests.support.turns import counted_turns
from tests.unit.queued_jobs.conftest import Answer, Ask, World

LENGTH = 256 * 1024
ASKED_BY = contextvars.ContextVar("asked_by", default="nobody")


@pytest.mark.parametrize("unit", ["password=a@", "eyJ-", "token=x@", "sig=", "://a:b@", "line\n"])
async def test_an_error_is_put_into_words_beside_the_loop(world: World, unit: str) -> None:
    async with counted_turns() as turns:

        class Long(Exception):
            def __str__(self) -> str:
                turns.wait()
                return repeated(unit, LENGTH)

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise Long

        job = await world.run(body)
    assert job.status is JobStatus.RETRYING
    assert job.error is not None
    assert len(job.error.message) <= 2_000
    assert turns.went_on == [True] * len(turns.went_on) != []


async def test_it_returns_and_raises_in_the_callers_context() -> None:
    def given(one: int, *, two: int) -> tuple[str, int, int]:
        return ASKED_BY.get(), one, two

    ASKED_BY.set("ann")
    assert await offload(given, 1, two=2) == ("ann", 1, 2)
    with pytest.raises(ValueError, match="invalid literal"):
        await offload(int, "x")


async def test_threads_that_wait_for_other_servers_do_not_keep_it() -> None:
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    waiting = [
        asyncio.create_task(asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(release.wait(), loop).result()))
        for _ in range(100)
    ]
    await asyncio.sleep(0)
    assert await offload(str, 1) == "1"
    release.set()
    await asyncio.gather(*waiting)


class Nested(BaseModel, extra="allow"):
    values: list[int] = []
    text: str = ""
    inner: Nested | None = None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, True),
        ({"n": 1, "text": "short", "at": None, "list": [1.5, True]}, True),
        (Nested(values=[1, 2], inner=Nested(text="short")), True),
        ({"text": "x" * LENGTH}, False),
        ({"x" * LENGTH: 1}, False),
        ({"list": [0] * LENGTH}, False),
        ({"nested": [[[0] * MAX_SMALL]] * 2}, False),
        ([10**1000], False),
        (Nested(inner=Nested(text="x" * LENGTH)), False),
        (Nested(values=[0] * LENGTH), False),
        (Nested.model_validate({"more": "x" * LENGTH}), False),
        ({"of another type": object()}, False),
        ([b"bytes"], False),
    ],
)
def test_only_what_is_small_stays_on_the_loop(data: object, expected: bool) -> None:
    assert is_small(data) is expected
