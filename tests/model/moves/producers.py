"""Producers: they repeat themselves, roll back, crash before they send, and miss the answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from queued_jobs import JobHandle
from queued_jobs.errors import JobConflict, KeyReused, StoreUnavailable
from tests.model.demo import Answer, Ask, limited
from tests.model.expected import ExpectedJob
from tests.model.moves.registry import move, refuses
from tests.model.network import FATES
from tests.model.world import USERS, World

#: Few jobs with long lives meet more than many with short ones.
MAX_JOBS = 5
DELAYS = (timedelta(), timedelta(), timedelta(seconds=30), timedelta(minutes=20), timedelta(hours=2), -timedelta(1))
KEYS: Sequence[str | None] = (None, None, "a", "b")
UNIQUE: Sequence[str | None] = (None, "u")


async def start(world: World, user: str, *, n: int = 1, limit: int = 3, **options: Any) -> JobHandle[Answer]:
    return await world.manager.queue_job(limited(limit), Ask(n=n), user_id=user, **options)


def stored(handle: JobHandle[Answer], options: dict[str, Any]) -> ExpectedJob:
    """What has to be there after a new job was accepted."""
    job = ExpectedJob(
        key=handle.id,
        user=options["user"],
        request={"n": options["n"], "made": handle.job.request["made"]},
        allowed=options["limit"],
        idempotency_key=options["idempotency_key"],
        unique_key=options["unique_key"],
    )
    job.added(max(options["delay"], timedelta()))
    return job


def in_the_way(world: World, user: str, idempotency_key: str | None, unique_key: str | None) -> ExpectedJob | None:
    """The job that keeps another one with these keys from being stored; the idempotency key is looked at first."""
    for job in world.jobs.values():
        if idempotency_key is not None and (job.user, job.idempotency_key) == (user, idempotency_key):
            return job
    for job in world.jobs.values():
        if unique_key is not None and job.unique_key == unique_key and not job.status.is_final:
            return job
    return None


@move(
    weight=3,
    user=USERS,
    n=(1, 1, 1, 2),
    limit=(1, 2, 4, 5),
    delay=DELAYS,
    idempotency_key=KEYS,
    unique_key=UNIQUE,
    fate=FATES,
    marks=(True, True, False),
    hub_away=(False, False, True),
)
async def enqueue(world: World, fate: str, marks: bool, hub_away: bool, **options: Any) -> None:
    user, keys = options["user"], (options["idempotency_key"], options["unique_key"])
    other = in_the_way(world, user, *keys)
    if other is None and len(world.jobs) >= MAX_JOBS:
        return
    world.break_things(fate=fate, marks=marks, hub_away=hub_away)
    if other is not None and keys[0] is not None and (other.user, other.idempotency_key) == (user, keys[0]):
        if other.request["n"] != options["n"]:
            await refuses(KeyReused, start(world, **options))
            return
    elif other is not None and other.user != user:
        await refuses(JobConflict, start(world, **options))
        return
    handle = await start(world, **options)
    assert handle.duplicate == (other is not None), (
        f"P2: a duplicate: {handle.duplicate}, in the way: {other is not None}"
    )
    if other is not None:
        assert handle.id == other.key, f"P2: job {handle.id} was returned instead of {other.key}"
        return
    job = stored(handle, options)
    world.accept(job)
    world.foresee_send(job, max(options["delay"], timedelta()))


@move(user=USERS, delay=DELAYS, unique_key=UNIQUE, ends=("rolled back", "committed", "committed and sent"))
async def enqueue_in_a_transaction(world: World, ends: str, **chosen: Any) -> None:
    """A producer's own transaction; without a send after it, the sweeper has to do that."""
    options = chosen | {"n": 1, "limit": 3, "idempotency_key": None}
    if in_the_way(world, options["user"], None, options["unique_key"]) or len(world.jobs) >= MAX_JOBS:
        return
    caller = world.store.caller
    with caller.transaction(force_rollback=ends == "rolled back"):
        handle = await start(world, **options, conn=cast("Any", caller))
        assert not world.mailbox.asked, "P15: a worker was woken before the commit"
    if ends == "rolled back":
        return
    job = stored(handle, options)
    world.accept(job)
    if ends == "committed and sent":
        world.foresee_send(job, max(options["delay"], timedelta()))
        await handle.send()
        await handle.send()


@move(user=USERS, limit=(1, 2, 3))
async def enqueue_without_hearing_the_answer(world: World, **chosen: Any) -> None:
    """The commit went through and its reply did not: the same key again finds the job."""
    options = chosen | {"n": 1, "delay": timedelta(), "idempotency_key": "unheard", "unique_key": None}
    if in_the_way(world, options["user"], "unheard", None) or len(world.jobs) >= MAX_JOBS:
        return
    world.store.database.unheard.add("enqueue")
    await refuses(StoreUnavailable, start(world, **options))
    handle = await start(world, **options)
    assert handle.duplicate, "P2: the first call was stored, and so was the second"
    world.accept(stored(handle, options))
