"""Long stories that single moves hardly ever line up: freezes and takeovers, late marks, lost answers, bad days."""

from __future__ import annotations

from datetime import timedelta

from queued_jobs.errors import StoreUnavailable
from queued_jobs.message import JobMessage
from tests.model.expected import GIVE_UP, MAX_LOST, MAX_RESEND
from tests.model.moves.people import pause, resume
from tests.model.moves.registry import AT, move, refuses
from tests.model.moves.timer import (
    SPANS,
    foresee_rescue,
    let_pass,
    mark,
    poison,
    sweep,
    the_sweeper_dies_before_it_sends,
)
from tests.model.moves.workers import ACTS, act, deliver, foresee_act, outcome_is_known
from tests.model.network import FATES
from tests.model.world import World, pick


@move(at=AT, span=(*SPANS, None))
async def a_job_comes_to_a_worker(world: World, at: int, span: timedelta | None) -> None:
    """Whatever it takes to get a job claimed."""
    job = pick([job for job in world.jobs.values() if job.is_waiting], at)
    if job is None:
        return
    if span is not None:
        await let_pass(world, span, beating=True)
        world.check()
    await sweep(world)
    world.check()
    for message in world.waiting_for(job):
        world.mailbox.messages.remove(message)
        await deliver(world, message)


@move(at=AT, span=SPANS, fate=FATES, until=("resumed", "resumed", "not sent", "later"))
async def the_kind_is_paused(world: World, at: int, span: timedelta, fate: str, until: str) -> None:
    """Messages come all the same, also more of them while the jobs wait, and time passes."""
    await pause(world)
    world.check()
    waiting = [job for job in world.jobs.values() if job.is_waiting]
    for job in waiting:
        await deliver(world, JobMessage(id=job.key, gen=job.gen))
    world.check()
    await let_pass(world, span, beating=True)
    await sweep(world)
    world.check()
    if (once_more := pick(waiting, at)) is not None:
        await deliver(world, JobMessage(id=once_more.key, gen=once_more.gen))
        world.check()
    if until == "resumed":
        world.break_things(fate=fate)
        await resume(world)
    elif until == "not sent":
        # the process that resumed it died before the jobs were woken
        await world.repository.resume("demo")
        world.paused = False


@move(at=AT)
async def a_day_without_a_handler(world: World, at: int) -> None:
    """The last of many tries, which random moves would never add up to."""
    job = pick([job for job in world.jobs.values() if job.is_waiting], at)
    if job is None:
        return
    job.resends = GIVE_UP
    world.store.set_resend_count(job.key, job.resends)
    world.rebase()
    await deliver(world, JobMessage(id=job.key, gen=job.gen), kind="other")


@move(at=AT, early=("poisoned_until", "next_send_at", None, None), runs_after=(1, 2, 9, 9))
async def every_send_ends_in_the_poison_queue(world: World, at: int, early: str | None, runs_after: int) -> None:
    """Somebody copies each message and sees to it that the host gives them up at once, or before they are sent again.

    The job is aborted when that goes on for long enough, unless it runs once meanwhile, or is sent too early to count.
    """
    job = pick([job for job in world.jobs.values() if job.is_waiting], at)
    if job is None:
        return
    for turn in range(1, MAX_RESEND + 3):
        world.store.move(job.key, timedelta(hours=3), *({"available_at", "next_send_at", "poisoned_until"} - {early}))
        world.rebase()
        await poison(world, JobMessage(id=job.key, gen=job.gen))
        world.check()
        await sweep(world)
        world.check()
        if turn == runs_after and (lease := await deliver(world, JobMessage(id=job.key, gen=job.gen))) is not None:
            await act(world, lease, "retry")
            world.check()
        for _ in range(2):
            await poison(world, JobMessage(id=job.key, gen=job.gen))
            world.check()


@move(at=AT, column=("lease_until", "lease_until", "deadline_at"))
async def its_workers_die_one_after_another(world: World, at: int, column: str) -> None:
    """A job that kills whoever runs it."""
    patient = [job for job in world.jobs.values() if not job.status.is_final and job.allowed >= MAX_LOST]
    job = pick(patient, at)
    while job is not None and not job.status.is_final:
        if job.token is None:
            if await deliver(world, JobMessage(id=job.key, gen=job.gen)) is None:
                return  # it is not due
            world.check()
        world.store.move(job.key, timedelta(hours=1), column)
        world.rebase()
        foresee_rescue(world)
        await world.repository.rescue(limit=100)
        world.check()


@move(column=("lease_until", "deadline_at"), fate=FATES)
async def the_host_dies(world: World, column: str, fate: str) -> None:
    """Every worker at once."""
    for job in world.jobs.values():
        if job.token is not None:
            world.store.move(job.key, timedelta(hours=1), column)
    world.rebase()
    world.break_things(fate=fate)
    await sweep(world)


@move(at=AT, how=ACTS, lost=(False, False, True))
async def a_running_job_is_cancelled(world: World, at: int, how: str, lost: bool) -> None:
    """A cancel is asked for, and then the attempt ends in one way or another."""
    lease = world.holder(at)
    if lease is None:
        return
    job = world.jobs[lease.id]
    if not job.cancel_requested:
        job.cancel_asked()
    await world.tracker.cancel(job.key, user_id=job.user)
    world.check()
    if lost:
        world.store.move(job.key, timedelta(hours=1), "lease_until")
        world.rebase()
        await sweep(world)
    else:
        await act(world, lease, how)


@move(weight=2, at=AT, then=ACTS, column=("lease_until", "deadline_at"))
async def a_worker_freezes_and_its_job_is_taken_over(world: World, at: int, then: str, column: str) -> None:
    """A freeze beyond the lease, rescue, a second claim; the first worker wakes up and tries everything."""
    zombie = world.holder(at)
    if zombie is None:
        return
    await act(world, zombie, "report")
    world.check()
    world.store.move(zombie.id, timedelta(hours=1), column)
    world.rebase()
    await sweep(world)
    world.check()
    winner = await deliver(world, JobMessage(id=zombie.id, gen=world.jobs[zombie.id].gen))
    for how in ACTS:
        await act(world, zombie, how)
    world.check()
    if winner is not None:
        await act(world, winner, then)
        await outcome_is_known(world, winner)
    await outcome_is_known(world, zombie)


@move(at=AT, how=ACTS)
async def a_sender_marks_after_the_work(world: World, at: int, how: str) -> None:
    """A message is out, claimed and worked on before its sender says that it was sent."""
    job = pick([job for job in world.jobs.values() if job.is_waiting], at)
    if job is None:
        return
    await let_pass(world, timedelta(hours=3), beating=True)
    world.break_things(marks=False)
    await sweep(world)
    world.check()
    for message in world.waiting_for(job):
        lease = await deliver(world, message)
        if lease is not None:
            await act(world, lease, how)
            world.check()
    late, world.unmarked = world.unmarked, []
    await mark(world, late)


@move(at=AT, answer=("the poison queue", "no handler"))
async def a_sender_marks_after_the_answer(world: World, at: int, answer: str) -> None:
    """A message is out, and nobody could start its job, before its sender says that it was sent."""
    job = pick([job for job in world.jobs.values() if job.is_waiting and job.is_owed], at)
    if job is None:
        return
    for column in ("available_at", "next_send_at"):
        world.store.move(job.key, timedelta(hours=3), column)
    world.rebase()
    world.break_things(marks=False)
    await sweep(world)
    world.check()
    message = JobMessage(id=job.key, gen=job.gen)
    if answer == "no handler":
        await deliver(world, message, kind="other")
    else:
        await poison(world, message)
    world.check()
    late, world.unmarked = world.unmarked, []
    await mark(world, late)


@move(at=AT)
async def a_slow_sender_is_overtaken(world: World, at: int) -> None:
    """The sweeper takes the message of a sender that hangs, and dies; then the first one says that it was sent."""
    job = pick([job for job in world.jobs.values() if job.is_waiting and job.is_owed], at)
    if job is None:
        return
    world.store.move(job.key, timedelta(hours=3), "available_at", "next_send_at")
    world.rebase()
    world.break_things(marks=False)
    await sweep(world)
    world.check()
    world.store.move(job.key, timedelta(hours=3), "next_send_at")
    world.rebase()
    await the_sweeper_dies_before_it_sends(world)
    world.check()
    late, world.unmarked = world.unmarked, []
    await mark(world, late)


@move(at=AT, how=("succeed", "retry", "give up"), lost=("the call", "the reply"))
async def a_finish_is_not_heard(world: World, at: int, how: str, lost: str) -> None:
    """The store goes away during a finish; the worker tries again and, refused, asks what became of the first try."""
    lease = world.holder(at)
    if lease is None:
        return
    statement = "succeed" if how == "succeed" else "fail"
    faults = world.store.database.refused if lost == "the call" else world.store.database.unheard
    faults.add(statement)
    await refuses(StoreUnavailable, act(world, lease, how))
    if lost == "the reply":
        foresee_act(world.jobs[lease.id], how)
    world.check()
    await act(world, lease, how)
    await outcome_is_known(world, lease)
