"""Kinds that start by themselves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner
from queued_jobs.backend import Backend
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.periodic import queue_due
from queued_jobs.testing import FakeQueues, InMemoryRepository, JobBench

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Report(BaseModel):
    day: str = ""


class Nightly(JobRunner[Report, None]):
    kind = "nightly"
    queue = "nightly"
    schedule: ClassVar[str | None] = "0 0 */6 * * *"
    schedule_user = "reports"

    @classmethod
    def scheduled_request(cls, due: datetime) -> Report:
        return Report(day=due.isoformat())

    async def on_execute(self, request: Report, ctx: JobContext[None]) -> None:
        return None


class Bench:
    def __init__(self) -> None:
        self.repository, self.queues = InMemoryRepository(), FakeQueues()

    async def tick(self, now: datetime) -> None:
        await queue_due(Backend(self.repository, self.queues), Nightly, now=now)

    def days(self) -> list[object]:
        return [job.request["day"] for job in self.repository.jobs.values()]


async def test_however_often_it_fires_there_is_one_job_an_occurrence() -> None:
    bench = Bench()
    moments = [timedelta(), timedelta(), timedelta(milliseconds=-300), timedelta(seconds=2), timedelta(hours=1)]
    await asyncio.gather(*(bench.tick(NOON + moment) for moment in moments))
    assert bench.days() == [NOON.isoformat()]
    (job,) = bench.repository.jobs.values()
    assert job.user_id == "reports"
    assert len(bench.queues.sent) == 1


async def test_each_occurrence_has_a_job() -> None:
    bench = Bench()
    for hours in range(25):
        await bench.tick(NOON + timedelta(hours=hours))
    assert bench.days() == [(NOON + timedelta(hours=hours)).isoformat() for hours in (0, 6, 12, 18, 24)]


async def test_a_kind_without_a_schedule_is_refused() -> None:
    class Never(Nightly):
        kind = "never"
        schedule = None

    with pytest.raises(ValueError, match="never has no schedule"):
        await JobBench(Never).manager.queue_due(Never)


@pytest.mark.parametrize("schedule", ["", "* * * *", "61 * * * * *", "0 0 0 31 2 *", "@daily"])
def test_a_schedule_that_is_none_is_refused_at_import(schedule: str) -> None:
    with pytest.raises(TypeError, match="schedule"):
        type("Wrong", (Nightly,), {"kind": "wrong", "schedule": schedule})


EXPRESSIONS = ["*/5 * * * * *", "0 0 * * * *", "0 30 9 * * mon-fri", "0 0 0 1 1 *", "0 0 0 29 2 *", "7 7 7 * 6-8 *"]


@given(st.sampled_from(EXPRESSIONS), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))
def test_the_latest_is_followed_by_the_next(expression: str, moment: datetime) -> None:
    schedule, now = Ncrontab(expression), moment.replace(tzinfo=UTC)
    latest = schedule.latest(now)
    assert latest <= now < schedule.next(now)
    assert schedule.next(latest) == schedule.next(now)
    assert schedule.latest(latest) == latest
