"""Time, the sweeper, and what happens to messages between the sender and the worker."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta

from queued_jobs.errors import StoreUnavailable
from queued_jobs.message import JobMessage, Reserved
from tests.model.expected import KEEP
from tests.model.job_state import NOW
from tests.model.moves.registry import AT, move, refuses
from tests.model.network import FATES
from tests.model.world import World, pick

#: Tens of seconds, and all times of the library are fives: what is not due yet is at least five seconds away from it,
#: so that nothing hangs on the speed of the machine.
SPANS = (timedelta(seconds=10), timedelta(seconds=50), timedelta(minutes=11), timedelta(hours=3))


async def let_pass(world: World, span: timedelta, *, beating: bool) -> None:
    """Let time pass for every job; living workers have kept their leases meanwhile."""
    world.store.let_pass(span)
    world.unmarked = [dataclasses.replace(one, until=one.until - span) for one in world.unmarked]
    world.cleared_at = {user: moment - span for user, moment in world.cleared_at.items()}
    world.rebase()
    for lease in world.leases if beating else ():
        if world.holds(lease):
            world.jobs[lease.id].beats(None, None)
            await world.repository.heartbeat(lease, lease=world.runner.lease, progress=None, message=None)


@move(span=SPANS, beating=(True, True, False))
async def time_passes(world: World, span: timedelta, beating: bool) -> None:
    await let_pass(world, span, beating=beating)


@move(at=AT, column=("lease_until", "deadline_at"))
async def a_worker_falls_silent(world: World, at: int, column: str) -> None:
    """One lease or deadline is over, while all the others live."""
    if (lease := world.holder(at)) is not None:
        world.store.move(lease.id, timedelta(hours=1), column)
        world.rebase()


def foresee_rescue(world: World) -> None:
    for job in world.jobs.values():
        lost = job.is_lost(world.now)
        if lost or job.hangs(world.now):
            job.rescued(worker_lost=lost)


async def sweep(world: World) -> None:
    """Foresee one run of the sweeper, and run it."""
    now = world.now
    foresee_rescue(world)
    for job in world.jobs.values():
        if job.paused and job.is_waiting and not world.paused:
            job.woken(NOW)
        if job.is_silent(now):
            job.resent()
        if job.is_owed and job.at("next_send_at", now) <= now:
            job.picked()
            world.foresee_send(job, job.at("available_at", now) - now)
    for job in list(world.jobs.values()):
        if job.status.is_final and job.at("finished_at", now) < now - KEEP:
            del world.jobs[job.key]
            world.seen["prune -> gone"] += 1
    await world.sweeper.run_once()


@move(fate=FATES, marks=(True, True, False), hub_away=(False, False, True))
async def the_sweeper_runs(world: World, fate: str, marks: bool, hub_away: bool) -> None:
    world.break_things(fate=fate, marks=marks, hub_away=hub_away)
    await sweep(world)


@move()
async def the_sweeper_dies_before_it_sends(world: World) -> None:
    for job in world.jobs.values():
        if job.is_owed and job.at("next_send_at", world.now) <= world.now:
            job.picked()
    await world.repository.unsent(limit=100)


@move(at=AT, count=(1, 1, 1, 9))
async def a_slow_sender_marks(world: World, at: int, count: int) -> None:
    """The queue took the message long ago; its sender says so only now."""
    if not world.unmarked:
        return
    start = at % len(world.unmarked)
    late, world.unmarked[start : start + count] = world.unmarked[start : start + count], []
    await mark(world, late)


async def mark(world: World, late: Sequence[Reserved]) -> None:
    for one in late:
        if one.message.id in world.jobs:
            world.jobs[one.message.id].marked_late(one.message.gen, one.until)
    await world.repository.mark_sent(late)


@move(at=AT)
async def a_message_is_lost(world: World, at: int) -> None:
    if world.mailbox.messages:
        world.mailbox.messages.pop(at % len(world.mailbox.messages))


@move(at=AT, hub_away=(False, True))
async def a_message_is_poisoned(world: World, at: int, hub_away: bool) -> None:
    if not world.mailbox.messages:
        return
    world.break_things(hub_away=hub_away)
    message = world.mailbox.messages.pop(at % len(world.mailbox.messages))
    await poison(world, message)


async def poison(world: World, message: JobMessage) -> None:
    foresee_poison(world, message)
    body = message.encode().encode()
    world.rejected.add(("demo-poison", body))
    await world.runner.receive_poison(body)


def foresee_poison(world: World, message: JobMessage) -> None:
    job = world.jobs.get(message.id)
    if job is None or not job.is_waiting or job.gen != message.gen or not job.is_due(world.now):
        return
    if job.sent < job.gen:
        job.came_back_unmarked()
    elif job.may_be_poisoned(world.now):
        job.poisoned()


@move(at=AT)
async def a_job_grows_old(world: World, at: int) -> None:
    """One ended job is a month older than it was."""
    job = pick([job for job in world.jobs.values() if job.status.is_final], at)
    if job is not None:
        for column in ("finished_at", "next_send_at"):
            world.store.move(job.key, KEEP, column)
        world.rebase()


@move(kept=(True, False))
async def garbage_lies_on_the_queue(world: World, kept: bool) -> None:
    """A message that does not name a job is kept, or delivered again if the store is unavailable."""
    if kept:
        world.rejected.add(("demo", b"garbage"))
        await world.runner.receive(b"garbage")
        return
    world.store.database.refused.add("reject")
    await refuses(StoreUnavailable, world.runner.receive(b"garbage"))
