"""Workers: with the lease or without it, in time or long after, alone or two for one job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from queued_jobs import JobContext, QueuedJob
from queued_jobs.message import JobMessage
from queued_jobs.model import JobError
from tests.model.expected import ExpectedJob
from tests.model.job_state import MAX_RESUMES
from tests.model.moves.registry import AT, move
from tests.model.moves.timer import poison
from tests.model.world import World, pick

ACTS = (
    *("succeed", "retry", "retry later", "give up", "stop for a cancel", "report", "beat", "release"),
    *("save", "save", "save the same", "resume after an error"),
)
HANDLERS: tuple[dict[str, Any], ...] = ({"kind": "other"}, {"schema_version": 0})
#: A worker of another kind, as it meets a message on its own queue.
ELSEWHERE: dict[str, Any] = {"kind": "other", "queues": ("other", "other-urgent")}
QUEUES = ("demo", "demo-poison", "demo-poison", "other", "other-poison")
_RETRIES = {
    "retry": timedelta(),
    "retry later": timedelta(minutes=20),
    "give up": None,
    "resume after an error": timedelta(),
}
_SAVES = ("save", "save the same")
_REPORTS: dict[str, tuple[float | None, str | None]] = {"report": (0.3, "a third"), "beat": (None, None)}


async def deliver(world: World, message: JobMessage, **handler: Any) -> QueuedJob | None:
    """Let a worker look at a message, perhaps one that cannot run the job."""
    able: dict[str, Any] = {"kind": "demo", "schema_version": 1} | handler
    queues = able.pop("queues", ("demo", "demo-urgent"))
    job = world.jobs.get(message.id)
    claimable = job is not None and job.claimable(message.gen, world.now) and not handler
    lease = await world.repository.claim(message, **able, lease=world.runner.lease, timeout=world.runner.timeout)
    if job is not None and claimable and world.paused:
        assert lease is not None, "a job of a paused kind is not held"
        assert lease.is_paused, "a job of a paused kind is running"
        job.held()
        return None
    assert (lease is not None) == claimable, f"P10: claimed: {lease is not None}, expected: {claimable}"
    if lease is None:
        if "demo" in queues:
            foresee_deferred(world, message, able=not handler)
        await world.repository.defer(message, **able, queues=queues)
    else:
        note_claim(world, lease)
    return lease


def foresee_deferred(world: World, message: JobMessage, *, able: bool) -> None:
    job = world.jobs.get(message.id)
    if job is None or not job.is_waiting or job.gen != message.gen:
        return
    if not job.is_due(world.now):
        job.came_early(world.now)
    elif not able and not job.paused:
        job.without_handler()


def note_claim(world: World, lease: QueuedJob) -> ExpectedJob:
    assert lease.lease_token is not None
    name = JobContext(lease, world.backend).claim_id
    assert name not in world.names, f"P7: the name {name} of an attempt came back"
    world.names.add(name)
    world.leases.append(lease)
    job = world.jobs[lease.id]
    assert lease.saved == job.saved, f"P17: {lease.saved} had been saved, expected: {job.saved}"
    job.claimed(lease.lease_token)
    return job


async def act(world: World, lease: QueuedJob, how: str) -> None:
    """Let a worker write with its lease: that of the holder counts, that of a zombie does nothing."""
    repository, job, holds = world.repository, world.jobs.get(lease.id), world.holds(lease)
    counts = holds and (how != "stop for a cancel" or (job is not None and job.cancel_requested))
    row: QueuedJob | None
    if how == "succeed":
        row = await repository.succeed(lease, {"by": str(lease.lease_token)})
    elif how in _RETRIES:
        row = await repository.fail(
            lease,
            JobError(type="Boom", message="it broke"),
            retry_in=_RETRIES[how],
            resume=how == "resume after an error",
        )
    elif how == "stop for a cancel":
        row = await repository.finish_cancelled(lease)
    elif how == "release":
        row = await repository.release(lease)
    elif how in _SAVES:
        value = job.saved if how == "save the same" and job and job.saved else {"cursor": next(world.cursors)}
        row = lease if await repository.save(lease, value, max_resumes=MAX_RESUMES) else None
        if job is not None and row is not None:
            job.saves(value)
    else:
        progress, message = _REPORTS[how]
        row = await repository.heartbeat(lease, lease=world.runner.lease, progress=progress, message=message)
    assert (row is not None) == counts, f"P5: {how} by {'the holder' if holds else 'a zombie'}: {row and row.status}"
    if job is not None and counts and how not in _SAVES:
        foresee_act(job, how)


def foresee_act(job: ExpectedJob, how: str) -> None:
    if how == "succeed":
        job.succeeds({"by": str(job.token)})
    elif how in _RETRIES:
        job.fails("Boom", _RETRIES[how], resume=how == "resume after an error")
    elif how == "stop for a cancel":
        job.cancels()
    elif how == "release":
        job.released()
    else:
        job.beats(*_REPORTS[how])


@move(at=AT, which=("any", "any", "doubled", "wakeful", "wakeful"))
async def a_message_is_delivered(world: World, at: int, which: str) -> None:
    message = world.wakeful(at) if which == "wakeful" else pick(world.mailbox.messages, at)
    if message is None:
        return
    if which == "any":
        world.mailbox.messages.remove(message)
    await deliver(world, message)


@move(at=AT, gen=range(9), queue=QUEUES, copies=(1, 2, 8))
async def messages_are_forged(world: World, at: int, gen: int, queue: str, copies: int) -> None:
    """Any generation of any job that there is or ever was, on its queue or on another one, also a poison queue."""
    key = pick([job.key for job in world.jobs.values()] + [lease.id for lease in world.leases], at)
    if key is not None:
        await put(world, JobMessage(id=key, gen=gen), queue, copies)


@move(weight=2, at=AT, queue=QUEUES, copies=(1, 2, 8))
async def messages_are_copied(world: World, at: int, queue: str, copies: int) -> None:
    job = pick([job for job in world.jobs.values() if job.is_waiting], at)
    if job is not None:
        await put(world, JobMessage(id=job.key, gen=job.gen), queue, copies)


async def put(world: World, message: JobMessage, queue: str, copies: int) -> None:
    """Deliver copies of a message from the queue of this kind or another, or as what the host has given up there."""
    for _ in range(copies):
        if queue == "demo":
            await deliver(world, message)
        elif queue == "other":
            await deliver(world, message, **ELSEWHERE)
        elif queue == "demo-poison":
            await poison(world, message)
        else:
            body = message.encode().encode()
            world.rejected.add((queue, body))
            await world.other.receive_poison(body)
        world.check()


@move(at=AT, handler=HANDLERS)
async def a_worker_without_the_handler_gets_it(world: World, at: int, handler: dict[str, Any]) -> None:
    job = world.job(at)
    if job is not None:
        await deliver(world, JobMessage(id=job.key, gen=job.gen), **handler)


@move(weight=2, at=AT, how=ACTS, zombie=(False, False, True))
async def a_worker_acts(world: World, at: int, how: str, zombie: bool) -> None:
    """The holder of a lease, or whoever held one at any time."""
    lease = pick(world.leases, at) if zombie else world.holder(at)
    if lease is not None:
        await act(world, lease, how)


@move(at=AT)
async def a_worker_asks_for_the_outcome(world: World, at: int) -> None:
    if (lease := pick(world.leases, at)) is not None:
        await outcome_is_known(world, lease)


async def outcome_is_known(world: World, lease: QueuedJob) -> None:
    job = world.jobs.get(lease.id)
    claims = [] if job is None else [claim for claim in job.claims if claim.token == lease.lease_token]
    ended = any(claim.outcome in ("succeeded", "failed", "cancelled") for claim in claims)
    row = await world.repository.outcome(lease)
    assert (row is not None) == ended, f"P6: the outcome is {row and row.status}, expected: {claims}"
