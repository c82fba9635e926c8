"""The job that every subject runs: it does nothing with a small request, and returns a small result."""

from __future__ import annotations

from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner


class Ask(BaseModel):
    n: int
    text: str = "a request of ordinary length"


class Done(BaseModel):
    n: int
    text: str


class Noop(JobRunner[Ask, Done]):
    kind = "noop"
    queue = "noop"

    async def on_execute(self, request: Ask, ctx: JobContext[Done]) -> Done:
        return Done(n=request.n, text=request.text)
