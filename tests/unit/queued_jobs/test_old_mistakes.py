"""What once went wrong in libraries of this kind, tried again on purpose."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from queued_jobs import JobContext, JobRunner, JobStatus, JobView, QueuedJob
from queued_jobs._outcome import describe_error
from queued_jobs.backend import Backend
from queued_jobs.message import JobMessage
from queued_jobs.queues import StorageQueues
from queued_jobs.registry import JobRegistry
from tests.unit.queued_jobs.conftest import Answer, Ask, Demo, World, answer

ROOT = Path(__file__).resolve().parents[3]


class Unspeakable(Exception):
    """Cannot be put into words."""

    def __str__(self) -> str:
        raise ValueError("not even this")


class Hostile(Exception):
    """Cannot be asked for its cause."""

    @property
    def __cause__(self) -> BaseException:  # type: ignore[override]
        raise ValueError("not even this")


def within(error: Exception, times: int, wide: int = 1) -> Exception:
    """Return a group in a group in a group: `wide` references to each, so `wide ** times` to the error."""
    for _ in range(times):
        error = ExceptionGroup("some tasks failed", [error] * wide)
    return error


def caused(times: int) -> Exception:
    error = ValueError("the first")
    for number in range(times):
        later = ValueError(f"number {number}")
        later.__cause__, error = error, later
    return error


def in_a_circle() -> Exception:
    error = ValueError("its own cause")
    error.__cause__ = error
    return error


class Renamed(JobRunner[Ask, Answer]):
    """The class that was called Demo when the job was queued."""

    kind = "demo"
    queue = "demo"

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        return Answer(text="by the renamed class")


class TestErrors:
    async def test_an_error_that_cannot_be_told_is_still_the_jobs_error(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise Unspeakable from Unspeakable()

        job = await world.run(body)
        assert job.status is JobStatus.RETRYING
        assert job.error is not None
        assert job.error.type == "Unspeakable"
        assert job.error.traceback is not None
        assert "in body" in job.error.traceback

    @pytest.mark.parametrize(
        ("error", "type_"),
        [
            (Hostile(), "Exception"),
            (within(ValueError("x"), 3_000), "ValueError"),
            (within(ValueError("x"), 40, wide=4), "ValueError"),
            (within(ExceptionGroup("two", [ValueError("x"), KeyError("y")]), 40, wide=4), "ExceptionGroup"),
            (ExceptionGroup("many", [ValueError(str(number)) for number in range(20_000)]), "ValueError"),
            (caused(20_000), "ValueError"),
            (in_a_circle(), "ValueError"),
            (ValueError("\0\ud800" * 10_000), "ValueError"),
            (type("\u202eA", (Exception,), {})("x"), "\ufffdA"),
            (RecursionError("maximum recursion depth exceeded"), "RecursionError"),
        ],
    )
    async def test_any_error_at_all_ends_the_attempt(self, world: World, error: Exception, type_: str) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise error

        job = await world.run(body)
        assert job.status is JobStatus.RETRYING
        assert job.error is not None
        assert job.error.type == type_
        job.error.message.encode()

    async def test_what_hangs_on_an_error_is_not_stored(self, world: World) -> None:
        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            error = OSError("disk full")
            error.data = object()  # type: ignore[attr-defined]
            raise error

        job = await world.run(body)
        assert job.error is not None
        assert job.error.to_json().keys() == {"type", "message", "traceback"}

    def test_an_error_is_bounded(self) -> None:
        error = describe_error(ValueError("x" * 1_000_000))
        assert len(error.message) <= 2_000
        assert error.traceback is not None
        assert len(error.traceback) <= 20_000

    async def test_the_name_of_its_class_is_bounded_too(self, world: World) -> None:
        """It stands in an index, which takes no more than 2,700 bytes."""

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise type("ü" * 6_000, (Exception,), {})

        job = await world.run(body)
        assert job.error is not None
        assert len(job.error.type) == 200

    async def test_an_error_is_gone_after_a_success_and_stays_in_the_history(self, world: World) -> None:
        tries = 0

        async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise OSError("the first time")
            return Answer(text="the second time")

        job = await world.run(body)
        job = world.change(job, available_at=job.created_at)
        await world.runner(body).execute(JobMessage.of(job))
        job = world.row(job)
        assert (job.status, job.error, job.result) == (JobStatus.SUCCEEDED, None, {"text": "the second time"})
        first, second = world.repository.attempts[job.id]
        assert first.error is not None
        assert [first.outcome, first.error.message, second.outcome, second.error] == [
            "failed",
            "the first time",
            "succeeded",
            None,
        ]


class TestKinds:
    async def test_a_class_may_be_renamed_while_its_jobs_wait(self, world: World) -> None:
        job = await world.queued()
        await Renamed(world.backend).execute(JobMessage.of(job))
        assert world.row(job).result == {"text": "by the renamed class"}

    def test_classes_of_the_same_name_are_two_kinds(self) -> None:
        def make(name: str) -> type[JobRunner[Ask, Answer]]:
            class Builder(JobRunner[Ask, Answer]):
                kind: ClassVar[str] = name
                queue: ClassVar[str] = name

                async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
                    raise NotImplementedError

            return Builder

        one, other = make("zip"), make("report")
        registry = JobRegistry([one, other])
        assert (registry.get("zip"), registry.get("report")) == (one, other)


class TestTimes:
    async def test_waiting_and_running_are_told_apart_to_the_microsecond(self, world: World) -> None:
        job = await world.queued()
        due = datetime(2026, 1, 1, tzinfo=UTC)
        wait, run = timedelta(milliseconds=1.5), timedelta(microseconds=250)
        job = dataclasses.replace(job, available_at=due, started_at=due + wait, finished_at=due + wait + run)
        assert (job.waited, job.ran_for) == (wait, run)
        assert dataclasses.replace(job, started_at=None, finished_at=None).waited is None


class TestQueueClients:
    def test_tasks_share_one_service_and_event_loops_do_not(self) -> None:
        queues = StorageQueues("UseDevelopmentStorage=true")
        services: list[object] = []

        async def use() -> None:
            async def one(name: str) -> object:
                await asyncio.sleep(0)
                assert queues[name].queue_name == name
                return queues._services.get()

            found = await asyncio.gather(*(one(f"queue-{number % 3}") for number in range(30)))
            assert all(service is found[0] for service in found)
            services.append(found[0])
            await queues.close()

        asyncio.run(use())
        asyncio.run(use())
        assert services[0] is not services[1]


class TestSwitches:
    async def test_without_notifications_everything_else_works(self, world: World) -> None:
        job = await world.queued()
        await Renamed(Backend(world.repository, world.queues)).execute(JobMessage.of(job))
        assert world.row(job).status is JobStatus.SUCCEEDED
        assert world.shown() == ["pending"], "what the enqueue pushed"

    async def test_a_logger_of_ones_own_hears_each_phase(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "mine")

        async def phases(job: QueuedJob) -> list[str]:
            caplog.clear()
            runner = Demo(world.backend, logger=logging.getLogger("mine"))
            runner.body = answer
            await runner.execute(JobMessage.of(job))
            return [record.job_phase for record in caplog.records if record.name == "mine"]  # type: ignore[attr-defined]

        job = await world.queued()
        assert await phases(job) == ["executing", "finishing"]
        assert await phases(job) == ["claiming"]
        job = await world.queued()
        world.change(job, request={"n": "many"})
        assert await phases(job) == ["validating", "finishing"]


class TestViews:
    @pytest.mark.parametrize("status", JobStatus)
    async def test_a_job_in_any_state_can_be_shown(self, world: World, status: JobStatus) -> None:
        job = await world.queued()
        ended = job.created_at if status.is_final else None
        result = {"text": "done"} if status is JobStatus.SUCCEEDED else None
        view = JobView.of(
            dataclasses.replace(job, status=status, finished_at=ended, result=result), JobRegistry([Demo])
        ).to_json()
        assert (view["status"], view["label"]) == (status.value, "Demo")

    def test_every_state_has_a_picture_and_a_word(self) -> None:
        pictures = re.search(r"const ICONS = \{(.*?)\n\}", (ROOT / "web/js/dom.js").read_text(), re.DOTALL)
        words = re.search(r"status(?:es)?: \{(.*?)\n  \}", (ROOT / "web/js/strings.en.js").read_text(), re.DOTALL)
        assert pictures is not None
        assert words is not None
        for status in JobStatus:
            assert re.search(rf"^\s+{status.value}: ", pictures[1], re.MULTILINE), status
            assert re.search(rf"^\s+{status.value}: '\w", words[1], re.MULTILINE), status
