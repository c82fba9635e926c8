"""Whatever the application's own code raises or returns, the worker and the pages of others go on."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from queued_jobs import JobContext, JobHandle, JobRunner, JobStatus, QueueManager, RetryPolicy
from queued_jobs.declarations import _ON_AN_OBJECT, _ON_THE_CLASS
from queued_jobs.periodic import queue_due
from queued_jobs.push.view import JobView
from queued_jobs.testing import FakeQueues, InMemoryRepository, JobBench

#: Not to be replaced by applications.
_OURS = {"execute", "receive", "receive_poison"}
METHODS = [name for name in [*_ON_THE_CLASS, *_ON_AN_OBJECT] if name not in _OURS]
DAY = timedelta(days=1)


class Ask(BaseModel):
    n: int = 1


class Answer(BaseModel):
    n: int = 1
    #: What no row can hold.
    nonsense: Any = None


class Demo(JobRunner[Ask, Answer]):
    kind = queue = "demo"
    retry = RetryPolicy(max_attempts=1)
    schedule = "0 0 3 * * *"
    keep_result = timedelta(hours=1)

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        return Answer(nonsense=object() if request.n == 2 else None)


async def live(kind: type[JobRunner[Any, Any]], *requests: BaseModel) -> list[JobHandle[Any]]:
    """Let a kind's jobs start, run, be shown and end; what its code raises to callers is ignored."""
    bench = JobBench(kind)
    handles = []
    for request in requests:
        with contextlib.suppress(Exception):  # whatever it is, it is an ordinary error
            handles.append(await bench.manager.queue_job(kind, request, user_id="ann"))
    for job in handles:
        JobView.of(bench.job(job), bench.manager.registry)
    with contextlib.suppress(Exception):
        await queue_due(bench.manager.backend, kind, now=datetime.fromisoformat("2026-01-31T12:00Z"))
    for _ in range(2):
        await bench.drain()
        bench.clock.advance(DAY)
    for job in handles:
        JobView.of(bench.job(job), bench.manager.registry)
        job.job = bench.job(job)
    return handles


def exits(*_: object) -> Any:
    sys.exit(3)


async def exits_later(*_: object) -> None:
    sys.exit(3)


def is_cancelled(*_: object) -> Any:
    raise asyncio.CancelledError


def is_interrupted(*_: object) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("raising", [exits, is_cancelled, is_interrupted, exits_later])
@pytest.mark.parametrize("method", METHODS)
def test_it_does_not_end_the_worker(method: str, raising: Callable[..., Any]) -> None:
    if method in _ON_THE_CLASS and raising is exits_later:
        with pytest.raises(TypeError, match="async"):
            type("Odd", (Demo,), {method: staticmethod(raising)})
        return
    odd: Any = staticmethod(raising) if method in _ON_THE_CLASS else lambda self, *args: raising(*args)
    asyncio.run(live(type("Odd", (Demo,), {method: odd}), Ask(), Ask(n=2)))


def test_neither_does_a_validator() -> None:
    class Strange(BaseModel):
        n: int = 1

        @field_validator("n")
        @classmethod
        def _leave(cls, n: int) -> int:
            return n if n == 1 else sys.exit(n)

    class Validated(JobRunner[Strange, None]):
        kind = queue = "validated"
        schedule = "0 0 3 * * *"
        retry = RetryPolicy(max_attempts=1)

        async def on_execute(self, request: Strange, ctx: JobContext[None]) -> None:
            return None

    asyncio.run(live(Validated, Strange.model_construct(n=2), Strange()))


def _raise(error: Exception) -> None:
    raise KeyError(error)


@pytest.mark.parametrize(
    "returned",
    [5.0, 0, False, "5s", float("nan"), timedelta(-1), timedelta.max, timedelta.min, RetryPolicy(), _raise, exits],
    ids=lambda value: getattr(value, "__name__", str(value)[:20]),
)
@pytest.mark.parametrize("method", ["retry_in", "delay"])
async def test_whatever_a_retry_policy_returns_the_outcome_is_stored(method: str, returned: Any) -> None:
    answer = returned if callable(returned) else lambda *_: returned
    policy = type("Odd", (RetryPolicy,), {method: lambda self, *args: answer(args[0])})

    class Failing(Demo):
        kind = queue = "failing"
        retry = policy(max_attempts=2)

        async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise ValueError(request)

    (handle,) = await live(Failing, Ask())
    assert handle.job.error is not None
    assert handle.job.error.type == "ValueError"
    assert handle.job.lost_count == 0
    assert handle.job.status in (JobStatus.FAILED, JobStatus.RETRYING)


def _manager(**options: Any) -> QueueManager:
    return QueueManager([Demo], repository=InMemoryRepository(), queues=FakeQueues(), **options)


@pytest.mark.parametrize("name", ["keep", "sweep_time"])
@pytest.mark.parametrize("value", [None, 30, 0.5, "30s", timedelta(-1), timedelta.max])
def test_times_of_a_manager_are_checked_when_it_is_created(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=name):
        _manager(**{name: value})
