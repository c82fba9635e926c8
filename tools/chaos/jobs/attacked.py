"""Kinds of every sort whose right results are known, and whose bodies record when they begin and end."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from datetime import timedelta
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from queued_jobs import JobContext, JobRunner, PermanentError, QueuedJob, RetryPolicy
from tools.chaos.constants import LEASE, executions_file

Mode = Literal["plain", "progress", "own-transaction", "file", "fails-first", "fails"]


class Ask(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int
    mode: Mode = "plain"
    milliseconds: int = 0
    key: str | None = None


class Answer(BaseModel):
    number: int
    value: int
    #: Of the execution that returned this.
    nonce: str
    members: int = 0
    unfinished: int = 0
    #: Name of its file.
    blob: str | None = None


def right_value(number: int) -> int:
    return number * 7 + 1


class _Attacked(JobRunner[Ask, Answer]):
    retry = RetryPolicy(max_attempts=8, base=timedelta(seconds=0.5), cap=timedelta(seconds=3))
    lease = LEASE

    def begin(self, request: Ask, ctx: JobContext[Answer]) -> str:
        """Record the start, fail if that is what the job is for, and return the nonce of this execution."""
        nonce = uuid.uuid4().hex[:12]
        _note("start", ctx, nonce)
        if request.mode == "fails":
            raise PermanentError("It always fails.")
        if request.mode == "fails-first" and ctx.job.tries == 1:
            raise RuntimeError("It fails the first time.")
        return nonce

    def end(self, request: Ask, ctx: JobContext[Answer], nonce: str) -> Answer:
        _note("end", ctx, nonce)
        return Answer(number=request.number, value=right_value(request.number), nonce=nonce)


class Coroutine(_Attacked):
    kind = "chaos-coroutine"
    queue = "chaos-coroutine"
    priorities = ("high",)

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        nonce = self.begin(request, ctx)
        pauses = _pauses(request)
        for number, pause in enumerate(pauses, start=1):
            await asyncio.sleep(pause)
            ctx.checkpoint()
            if request.mode == "progress":
                ctx.report(number / len(pauses), f"{number} of {len(pauses)}")
        result = self.end(request, ctx, nonce)
        if request.mode == "own-transaction":
            async with ctx.transaction() as conn:
                await conn.execute("insert into chaos.effect (job_id, nonce) values (%s, %s)", (ctx.job.id, nonce))
                await ctx.complete(result, conn=conn)
        return result


class Thread(_Attacked):
    kind = "chaos-thread"
    queue = "chaos-thread"

    def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        nonce = self.begin(request, ctx)
        for pause in _pauses(request):
            time.sleep(pause)
            ctx.checkpoint()
        blob = _write_file(ctx, nonce) if request.mode == "file" else None
        return self.end(request, ctx, nonce).model_copy(update={"blob": blob})

    def on_result_discarded(self, job: QueuedJob, result: Answer) -> None:
        from storage import RESULTS, delete_blob

        if result.blob is not None:
            delete_blob(RESULTS, result.blob)


class Keyed(_Attacked):
    kind = "chaos-keyed"
    queue = "chaos-keyed"
    concurrency = 2

    @classmethod
    def concurrency_key(cls, request: Ask, user_id: str) -> str | None:
        return request.key

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        nonce = self.begin(request, ctx)
        await asyncio.sleep(request.milliseconds / 1000)
        return self.end(request, ctx, nonce)


class FollowingUp(_Attacked):
    kind = "chaos-follow-up"
    queue = "chaos-follow-up"

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        nonce = self.begin(request, ctx)
        members = await ctx.batch()
        unfinished = sum(not member.status.is_final for member in members)
        seen = {"members": len(members), "unfinished": unfinished}
        return self.end(request, ctx, nonce).model_copy(update=seen)


def _pauses(request: Ask) -> list[float]:
    """Return the seconds between checkpoints, about a tenth of a second each."""
    count = max(1, request.milliseconds // 100)
    return [request.milliseconds / 1000 / count] * count


def _write_file(ctx: JobContext[Answer], nonce: str) -> str:
    from storage import RESULTS, blob_service

    name = f"{ctx.job.id}/{ctx.claim_id}.txt"
    blob_service().get_blob_client(RESULTS, name).upload_blob(nonce.encode())
    return name


@cache
def _log() -> int:
    return os.open(executions_file(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _note(event: str, ctx: JobContext[Any], nonce: str) -> None:
    job = ctx.job
    line = f"{time.time():.3f} {event} {job.id} {job.dispatch_gen} {os.getpid()} {nonce}\n"
    os.write(_log(), line.encode())
