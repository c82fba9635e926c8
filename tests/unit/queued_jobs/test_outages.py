"""An attempt during which the store or the queue goes away."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from queued_jobs import JobContext, JobStatus, QueuedJob
from queued_jobs.errors import StoreUnavailable
from queued_jobs.message import JobMessage
from queued_jobs.testing import InMemoryRepository
from tests.support.waiting import PATIENCE_SECONDS
from tests.unit.queued_jobs.conftest import Answer, Ask, Demo, World, answer


class Flaky(InMemoryRepository):
    """A store that goes away for a while, before or after it did what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.unavailable = 0
        self.lose_reply_of_next_finish = False

    async def succeed(self, *args: Any, **kwargs: Any) -> QueuedJob | None:
        if self.unavailable:
            self.unavailable -= 1
            raise StoreUnavailable
        done = await super().succeed(*args, **kwargs)
        if self.lose_reply_of_next_finish:
            self.lose_reply_of_next_finish = False
            raise StoreUnavailable
        return done


class TestStoreAway:
    async def test_a_store_that_never_answers_ends_the_attempt_with_its_lease(self, world: World) -> None:
        class Silent(InMemoryRepository):
            async def heartbeat(self, *args: Any, **kwargs: Any) -> QueuedJob | None:
                await asyncio.Event().wait()
                raise AssertionError

        class Short(Demo):
            kind = "demo"
            lease = timedelta(seconds=0.4)

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

        world.repository = Silent()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await world.run(body, Short)).status is JobStatus.RUNNING

    async def test_a_finish_is_tried_again(self, world: World) -> None:
        world.repository = flaky = Flaky()
        flaky.unavailable = 1
        assert (await world.run()).status is JobStatus.SUCCEEDED

    async def test_a_finish_whose_reply_was_lost_counts(self, world: World) -> None:
        world.repository = flaky = Flaky()
        flaky.lose_reply_of_next_finish = True
        runner = world.runner(answer)
        job = await world.queued()
        await runner.execute(JobMessage.of(job))
        assert world.row(job).status is JobStatus.SUCCEEDED
        assert world.shown()[-1] == "succeeded"
        assert runner.discarded == []

    async def test_when_the_lease_is_over_the_host_gets_to_know(self, world: World) -> None:
        world.repository = flaky = Flaky()
        flaky.unavailable = 1_000
        with pytest.raises(StoreUnavailable):
            await world.run()

    async def test_a_claim_that_cannot_be_made_reaches_the_host(self, world: World) -> None:
        class Away(InMemoryRepository):
            async def claim(self, *args: Any, **kwargs: Any) -> QueuedJob | None:
                raise StoreUnavailable

        job = await world.queued()
        world.repository = Away()
        with pytest.raises(StoreUnavailable):
            await world.runner().execute(JobMessage.of(job))


class TestQueueAway:
    async def test_a_retry_that_cannot_be_sent_is_left_to_the_sweeper(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            world.queues.unavailable = True
            raise OSError("again")

        job = await world.run(body)
        assert job.status is JobStatus.RETRYING
        assert job.sent_gen < job.dispatch_gen
