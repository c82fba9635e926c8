"""Kinds that start by themselves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, QueueManager
from queued_jobs.backend import Backend
from queued_jobs.errors import KeyReused
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.periodic import MAX_MISSED, missed, queue_due
from queued_jobs.registry import JobRegistry
from queued_jobs.schedules import Schedules
from queued_jobs.testing import FakeQueues, FrozenClock, InMemoryRepository, JobBench

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


class Sweeps:
    """A sweeper of a kind with a schedule, over a store whose clock is moved."""

    def __init__(self, kind: type[JobRunner[Report, None]] = Nightly) -> None:
        self.bench = JobBench(kind)
        self.bench.clock.advance(NOON - self.bench.clock())
        self.kind = kind

    async def at(self, moment: datetime) -> list[str]:
        """Sweep at this time of the database; return when the jobs of the kind were due."""
        self.bench.clock.advance(moment - self.bench.clock())
        await self.bench.manager.sweeper.run_once()
        return self.due()

    async def restart(self) -> None:
        """Another process takes over."""
        self.bench.manager = QueueManager(
            [self.kind], repository=self.bench.repository, queues=self.bench.queues, notifier=self.bench.notifier
        )

    def due(self) -> list[str]:
        return sorted(str(job.idempotency_key) for job in self.bench.repository.jobs.values())


def keys(*moments: datetime) -> list[str]:
    return [f"schedule:{moment.isoformat()}" for moment in moments]


class Minutely(Nightly):
    kind = queue = "minutely"
    schedule = "0 * * * * *"


HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class TestMissed:
    async def test_what_was_due_before_the_first_sweep_is_not_made_up(self) -> None:
        assert await Sweeps().at(NOON + HOUR) == []

    async def test_an_occurrence_that_no_timer_started_is_made_up_once(self) -> None:
        sweeps = Sweeps()
        await sweeps.at(NOON + 5 * HOUR)
        for late in (timedelta(seconds=8), timedelta(seconds=23), HOUR):
            assert await sweeps.at(NOON + 6 * HOUR + late) == keys(NOON + 6 * HOUR)

    async def test_one_that_the_timer_started_is_not_started_twice(self) -> None:
        sweeps = Sweeps()
        await sweeps.at(NOON + 5 * HOUR)
        sweeps.bench.clock.advance(HOUR)
        await sweeps.bench.manager.queue_due(Nightly)
        assert await sweeps.at(NOON + 6 * HOUR + MINUTE) == keys(NOON + 6 * HOUR)

    async def test_another_process_makes_up_for_what_was_due_while_none_ran(self) -> None:
        sweeps = Sweeps()
        await sweeps.bench.manager.queue_due(Nightly)
        await sweeps.restart()
        assert await sweeps.at(NOON + 9 * HOUR) == keys(NOON, NOON + 6 * HOUR)

    async def test_of_a_longer_time_only_the_latest_is_made_up(self) -> None:
        sweeps = Sweeps()
        await sweeps.at(NOON)
        assert await sweeps.at(NOON + 23 * HOUR) == keys(NOON + 18 * HOUR)

    async def test_each_of_the_last_hour_is(self) -> None:
        sweeps = Sweeps(Minutely)
        await sweeps.at(NOON)
        found = await sweeps.at(NOON + 5 * MINUTE)
        assert found == keys(*(NOON + n * MINUTE for n in range(1, 6)))
        assert len(await sweeps.at(NOON + 6 * HOUR)) == 5 + MAX_MISSED

    async def test_no_more_than_a_day_ago(self) -> None:
        class Weekly(Nightly):
            kind = queue = "weekly"
            schedule = "0 0 12 * * tue"

        sweeps = Sweeps(Weekly)  # noon is on a Tuesday
        await sweeps.at(NOON)
        assert await sweeps.at(NOON + timedelta(days=8, hours=1)) == []
        assert await sweeps.at(NOON + timedelta(days=14, hours=23)) == keys(NOON + timedelta(days=14))

    async def test_a_request_that_cannot_be_made_stops_no_other_duty(self) -> None:
        class Broken(Minutely):
            kind = queue = "broken"

            @classmethod
            def scheduled_request(cls, due: datetime) -> Report:
                raise ZeroDivisionError

        sweeps = Sweeps(Broken)
        await sweeps.at(NOON)
        assert await sweeps.at(NOON + 2 * MINUTE) == []

    @given(
        st.sampled_from(EXPRESSIONS),
        st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
        st.timedeltas(HOUR / 60, 9 * HOUR),
    )
    def test_what_is_made_up_lies_between(self, expression: str, moment: datetime, span: timedelta) -> None:
        schedule, now = Ncrontab(expression), moment.replace(tzinfo=UTC)
        found = missed(schedule, after=now - span, now=now)
        assert found == sorted(set(found))
        assert len(found) <= MAX_MISSED
        assert all(now - span < due <= now and schedule.latest(due) == due for due in found)
        assert (schedule.latest(now) in found) == (schedule.latest(now) > now - span)


class TestClocks:
    """The clock of the machine that fires the timer has no say."""

    @pytest.mark.parametrize("wrong_by", [timedelta(hours=-1), timedelta(minutes=-1), MINUTE, HOUR])
    async def test_nothing_starts_early_or_twice(self, wrong_by: timedelta) -> None:
        sweeps = Sweeps()
        sweeps.bench.clock.advance(timedelta(minutes=1))
        await sweeps.bench.manager.queue_due(Nightly)
        before = keys(NOON)
        assert sweeps.due() == before
        fires_at = NOON + 6 * HOUR - wrong_by  # by the database's clock
        for moment in sorted([fires_at, fires_at + timedelta(seconds=1), NOON + 6 * HOUR]):
            sweeps.bench.clock.advance(moment - sweeps.bench.clock())
            await sweeps.bench.manager.queue_due(Nightly)
            is_due = moment >= NOON + 6 * HOUR
            assert sweeps.due() == (keys(NOON, NOON + 6 * HOUR) if is_due else before)

    async def test_an_occurrence_whose_job_was_pruned_is_not_started_again(self) -> None:
        class Brief(Nightly):
            kind = queue = "brief"
            keep = MINUTE

        sweeps = Sweeps(Brief)
        await sweeps.bench.manager.queue_due(Brief)
        await sweeps.bench.drain()
        sweeps.bench.clock.advance(5 * HOUR)
        await sweeps.bench.drain()
        await sweeps.bench.manager.queue_due(Brief)
        assert await sweeps.at(NOON + 5 * HOUR + MINUTE) == keys(NOON)
        assert [job.attempt for job in sweeps.bench.repository.jobs.values()] == [1]


class TestSchedules:
    async def test_last_and_next_run(self) -> None:
        clock = FrozenClock(NOON + timedelta(hours=1))
        schedules = Schedules(Backend(InMemoryRepository(clock), FakeQueues()), JobRegistry([Nightly]))
        (before,) = await schedules.all()
        assert (before.kind, before.last_at, before.next_at) == ("nightly", None, NOON + timedelta(hours=6))

    async def test_one_job_a_key_also_if_the_schedule_was_due_in_between(self) -> None:
        clock = FrozenClock(NOON + timedelta(hours=1))
        backend = Backend(InMemoryRepository(clock), FakeQueues())
        schedules = Schedules(backend, JobRegistry([Nightly]))
        await queue_due(backend, Nightly)
        first = await schedules.run_now("nightly", key="a")
        assert (first.duplicate, first.job.user_id) == (False, "reports")
        assert first.job.request["day"] == NOON.isoformat()
        assert (await schedules.run_now("nightly", key="b")).duplicate is False
        for _ in range(2):
            clock.advance(timedelta(hours=6))
            again = await schedules.run_now("nightly", key="a")
            assert (again.id, again.duplicate) == (first.id, True)
        clock.advance(timedelta(days=2))
        with pytest.raises(KeyReused):
            await schedules.run_now("nightly", key="a")
        with pytest.raises(LookupError):
            await schedules.run_now("unknown", key="a")
        (listed,) = await schedules.all()
        assert listed.last_at == NOON, "a manual start does not count as one"
