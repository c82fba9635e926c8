"""The real runner: what a body does and meets, and what must be stored of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, cast

import psycopg

from queued_jobs import JobContext, PermanentError, RetryLater
from queued_jobs.errors import JobCancelled
from queued_jobs.message import JobMessage
from queued_jobs.tracker import ANY_USER
from tests.model.demo import Answer
from tests.model.expected import ExpectedJob
from tests.model.moves.registry import AT, move
from tests.model.moves.timer import sweep
from tests.model.moves.workers import deliver, foresee_deferred, note_claim
from tests.model.network import FATES
from tests.model.world import World, pick

_LATER = timedelta(seconds=30)


class Body:
    """One run of a body. Each method is a way to end; what the runner has to store is foreseen right before."""

    def __init__(self, world: World, *, fate: str, hub_away: bool) -> None:
        self.world = world
        self.fate = fate
        self.hub_away = hub_away
        self.job: ExpectedJob | None = None
        self.waits = asyncio.Event()
        self.broken: Exception | None = None

    async def run(self, ends: str, ctx: JobContext[Answer]) -> Answer:
        try:
            return await ENDS[ends](self, ctx)
        except (AssertionError, psycopg.Error) as exc:
            self.broken = exc  # the runner would take it for an error of the job's
            raise

    async def _starts(self, ctx: JobContext[Answer]) -> tuple[ExpectedJob, Answer]:
        self.job = note_claim(self.world, ctx.job)
        self.world.check()
        self.world.break_things(fate=self.fate, hub_away=self.hub_away)
        return self.job, Answer(by=str(ctx.job.lease_token))

    async def answers(self, ctx: JobContext[Answer]) -> Answer:
        job, answer = await self._starts(ctx)
        job.succeeds(answer.model_dump())
        return answer

    async def answers_what_cannot_be_stored(self, ctx: JobContext[Answer]) -> Answer:
        job, _ = await self._starts(ctx)
        job.fails("invalid-result", None)
        return Answer(by="\0")

    async def raises(self, ctx: JobContext[Answer]) -> Answer:
        return await self._fails(ctx, RuntimeError("it broke"), timedelta())

    async def gives_up(self, ctx: JobContext[Answer]) -> Answer:
        return await self._fails(ctx, PermanentError("it cannot work"), None)

    async def asks_for_later(self, ctx: JobContext[Answer]) -> Answer:
        return await self._fails(ctx, RetryLater(_LATER), _LATER)

    async def makes_up_a_cancel(self, ctx: JobContext[Answer]) -> Answer:
        return await self._fails(ctx, JobCancelled(), timedelta())

    async def is_cancelled_and_breaks(self, ctx: JobContext[Answer]) -> Answer:
        job, _ = await self._starts(ctx)
        job.cancel_asked()
        await self.world.tracker.cancel(job.key, user_id=ANY_USER)
        job.fails("RuntimeError", timedelta())
        raise RuntimeError("it broke")

    async def completes_in_its_transaction(self, ctx: JobContext[Answer]) -> Answer:
        job, answer = await self._starts(ctx)
        caller = self.world.store.caller
        with caller.transaction():
            await ctx.complete(answer, conn=cast("Any", caller))
        job.succeeds(answer.model_dump())
        return answer

    async def rolls_back_what_it_completed(self, ctx: JobContext[Answer]) -> Answer:
        job, answer = await self._starts(ctx)
        caller = self.world.store.caller
        with caller.transaction(force_rollback=True):
            await ctx.complete(answer, conn=cast("Any", caller))
        job.fails("RuntimeError", timedelta())
        self.world.foresee_retry(job, timedelta())
        raise RuntimeError("the transaction was rolled back")

    async def swallows_the_rollback_of_what_it_completed(self, ctx: JobContext[Answer]) -> Answer:
        with contextlib.suppress(RuntimeError):
            await self.rolls_back_what_it_completed(ctx)
        return Answer(by="nobody")

    async def breaks_after_its_commit(self, ctx: JobContext[Answer]) -> Answer:
        await self.completes_in_its_transaction(ctx)
        raise RuntimeError("after the commit")

    async def loses_its_job(self, ctx: JobContext[Answer]) -> Answer:
        return await self._loses(ctx)

    async def completes_too_late(self, ctx: JobContext[Answer]) -> Answer:
        answer = await self._loses(ctx)
        caller = self.world.store.caller
        with caller.transaction():
            await ctx.complete(answer, conn=cast("Any", caller))
        raise AssertionError("P6: a body that lost its job was not stopped from a commit")

    async def is_shut_down(self, ctx: JobContext[Answer]) -> Answer:
        job, answer = await self._starts(ctx)
        job.released()
        self.world.foresee_retry(job, timedelta())
        self.waits.set()
        await asyncio.Event().wait()
        return answer

    async def _loses(self, ctx: JobContext[Answer]) -> Answer:
        job, answer = await self._starts(ctx)
        self.world.store.move(job.key, timedelta(hours=1), "lease_until")
        self.world.rebase()
        await sweep(self.world)
        self.world.check()
        await deliver(self.world, JobMessage(id=job.key, gen=job.gen))
        return answer

    async def _fails(self, ctx: JobContext[Answer], error: Exception, retry_in: timedelta | None) -> Answer:
        job, _ = await self._starts(ctx)
        job.fails(type(error).__name__, retry_in)
        self.world.foresee_retry(job, retry_in)
        raise error


ENDS: dict[str, Callable[[Body, JobContext[Answer]], Awaitable[Answer]]] = {
    name: method for name, method in vars(Body).items() if not name.startswith("_") and name != "run"
}

#: After these there is a result that was not stored.
UNSTORED = ("loses_its_job", "answers_what_cannot_be_stored", "swallows_the_rollback_of_what_it_completed")


@move(weight=4, at=AT, wakeful=(True, True, False), ends=tuple(ENDS), fate=FATES, hub_away=(False, False, True))
async def a_runner_gets_a_message(world: World, at: int, wakeful: bool, ends: str, fate: str, hub_away: bool) -> None:
    message = world.wakeful(at) if wakeful else pick(world.mailbox.messages, at)
    if message is None:
        return
    job = world.jobs.get(message.id)
    claimable = job is not None and job.claimable(message.gen, world.now)
    if not claimable:
        foresee_deferred(world, message, able=True)
    elif job is not None and world.paused:
        job.held()
        claimable = False
    world.break_things(hub_away=hub_away)
    body = Body(world, fate=fate, hub_away=hub_away)
    world.runner.script = partial(body.run, ends)
    discarded = len(world.runner.discarded)
    run = asyncio.create_task(world.runner.receive(message.encode().encode()))
    if ends == "is_shut_down" and claimable:
        await asyncio.wait({run, asyncio.create_task(body.waits.wait())}, return_when=asyncio.FIRST_COMPLETED)
        run.cancel()
    await run
    if body.broken is not None:
        raise body.broken
    assert (body.job is not None) == claimable, f"P10: the body {'ran' if body.job else 'did not run'}"
    unstored = claimable and ends in UNSTORED
    assert len(world.runner.discarded) - discarded == unstored, "a result was discarded, or was not"
