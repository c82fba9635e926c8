"""The kind of job that the model runs; each attempt does what the model wants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

from pydantic import BaseModel, Field

from queued_jobs import JobContext, JobRunner, QueuedJob, RetryPolicy
from queued_jobs.registry import JobRegistry


class Ask(BaseModel):
    n: int = 1
    #: Another one each time, so that what was asked is told from what was made of it.
    made: int = Field(default_factory=count().__next__)


class Answer(BaseModel):
    by: str


class Demo(JobRunner[Ask, Answer]):
    kind = "demo"
    queue = "demo"
    retry = RetryPolicy(base=timedelta())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.script: Callable[[JobContext[Answer]], Awaitable[Answer]] | None = None
        self.discarded: list[QueuedJob] = []

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        assert self.script is not None
        return await self.script(ctx)

    async def on_result_discarded(self, job: QueuedJob, result: Answer) -> None:
        self.discarded.append(job)


class Other(Demo):
    """A kind with a queue of its own."""

    kind = "other"
    queue = "other"


@cache
def limited(max_attempts: int) -> type[Demo]:
    """Return the same kind with another limit of attempts."""
    return type("Demo", (Demo,), {"retry": RetryPolicy(base=timedelta(), max_attempts=max_attempts)})


REGISTRY = JobRegistry([Demo])
