"""People: owners, strangers and admins, who press every button at any time."""

from __future__ import annotations

from datetime import UTC, datetime

from queued_jobs import JobStatus
from queued_jobs.errors import JobConflict, JobNotFound
from queued_jobs.model import Changed
from queued_jobs.tracker import ANY_USER
from tests.model.expected import HOLD, ExpectedJob
from tests.model.job_state import NOW
from tests.model.moves.registry import AT, WHO, move, refuses
from tests.model.network import FATES
from tests.model.world import USERS, World, pick

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_ENDED_BADLY = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.ABORTED)


def user_of(job: ExpectedJob, who: str) -> str:
    """The owner, or the other user."""
    return job.user if who != "stranger" else next(user for user in USERS if user != job.user)


@move(at=AT, who=WHO, hub_away=(False, False, True))
async def cancel(world: World, at: int, who: str, hub_away: bool) -> None:
    if (job := world.job(at)) is None:
        return
    world.break_things(hub_away=hub_away)
    user = ANY_USER if who == "admin" else user_of(job, who)
    if who == "stranger" or job.status.is_final:
        await refuses(JobNotFound if who == "stranger" else JobConflict, world.tracker.cancel(job.key, user_id=user))
        return
    if not job.cancel_requested:
        job.cancel_asked()
    asked = await world.tracker.cancel(job.key, user_id=user)
    assert (asked.status, asked.cancel_requested) == (job.status, True), "the cancel was not noted"


@move(
    weight=2,
    at=AT,
    ended=("badly", "badly", "well", "or not"),
    who=WHO,
    from_start=(False, False, True),
    fate=FATES,
    hub_away=(False, False, True),
)
async def retry(world: World, at: int, ended: str, who: str, from_start: bool, fate: str, hub_away: bool) -> None:
    statuses = {"badly": _ENDED_BADLY, "well": (JobStatus.SUCCEEDED,)}.get(ended, tuple(JobStatus))
    if (job := pick([job for job in world.jobs.values() if job.status in statuses], at)) is None:
        return
    world.break_things(fate=fate, hub_away=hub_away)
    user = ANY_USER if who == "admin" else user_of(job, who)
    rivals = [
        other
        for other in world.jobs.values()
        if job.unique_key is not None and other.unique_key == job.unique_key and not other.status.is_final
    ]
    if who == "stranger" or job.status not in _ENDED_BADLY or rivals:
        await refuses(JobNotFound if who == "stranger" else JobConflict, world.tracker.retry(job.key, user_id=user))
        return
    job.requeued(from_start=from_start)
    world.foresee_send(job, NOW)
    await world.tracker.retry(job.key, user_id=user, from_start=from_start)


@move(at=AT, who=("owner", "owner", "stranger"))
async def look_at_a_job(world: World, at: int, who: str) -> None:
    if (job := world.job(at)) is None:
        return
    user = user_of(job, who)
    history = await world.tracker.attempts(job.key, user_id=user)
    assert len(history) == (len(job.claims) if who == "owner" else 0), "P9: somebody else's history"
    if who == "stranger":
        await refuses(JobNotFound, world.tracker.get(job.key, user_id=user))
    else:
        assert await world.tracker.get(job.key, user_id=user) == job.row


@move(user=USERS, limit=(1, 50))
async def look_at_the_bell(world: World, user: str, limit: int) -> None:
    page = await world.tracker.for_user(user, limit=limit)
    rows = [row for row in world.snapshot.jobs.values() if row.user_id == user and row.cleared_at is None]
    rows.sort(key=lambda row: (row.created_at, row.id), reverse=True)
    assert list(page.jobs) == rows[:limit], "P9: the bell shows something else"
    assert page.more == (len(rows) > limit), "P9: there are more jobs, or fewer"
    unseen = sum(row.status.is_final and row.seen_at is None for row in rows)
    running = sum(not row.status.is_final for row in rows)
    assert (page.unseen, page.running) == (unseen, running), "P9: the bell counts something else"


@move(user=USERS)
async def mark_seen(world: World, user: str) -> None:
    """The bell was opened; the request names every job that there is, the other user's too."""
    expected = [job for job in of(world, user) if job.status.is_final and not job.has("seen_at")]
    for job in expected:
        job.seen()
    same(await world.tracker.mark_seen(user, list(world.jobs)), expected)


@move(at=AT, who=("owner", "owner", "stranger"), hub_away=(False, True))
async def clear(world: World, at: int, who: str, hub_away: bool) -> None:
    if (job := world.job(at)) is None:
        return
    world.break_things(hub_away=hub_away)
    if who == "stranger" or not job.status.is_final:
        await refuses(
            JobNotFound if who == "stranger" else JobConflict, world.tracker.clear(user_of(job, who), job.key)
        )
        return
    if not job.has("cleared_at"):
        job.cleared()
    await world.tracker.clear(job.user, job.key)


@move(user=USERS)
async def clear_finished(world: World, user: str) -> None:
    expected = [job for job in of(world, user) if job.status.is_final and not job.has("cleared_at")]
    for job in expected:
        job.cleared()
    changes, since = await world.tracker.clear_finished(user)
    same(changes, expected)
    if changes:
        world.cleared_at[user] = since


@move(user=USERS, everything=(False, True))
async def undo_clear(world: World, user: str, everything: bool) -> None:
    """Undo the last "clear all finished", or all there ever was; the request names the other user's jobs too."""
    since = _LONG_AGO if everything else world.cleared_at.get(user, world.now)
    expected = [job for job in of(world, user) if job.has("cleared_at") and job.at("cleared_at", world.now) >= since]
    for job in expected:
        job.brought_back()
    same(await world.tracker.undo_clear(user, list(world.jobs), since=since), expected)


async def pause(world: World) -> None:
    await world.manager.pauses.pause("demo", subject="eve")
    world.paused = True


async def resume(world: World) -> None:
    for job in world.jobs.values():
        if job.paused and job.is_waiting:
            job.woken(HOLD)
            world.foresee_send(job, NOW)
    world.paused = False
    await world.manager.pauses.resume("demo")


def of(world: World, user: str) -> list[ExpectedJob]:
    return [job for job in world.jobs.values() if job.user == user]


def same(changes: list[Changed], expected: list[ExpectedJob]) -> None:
    changed, right = {change.id: change.version for change in changes}, {job.key: job.version for job in expected}
    assert changed == right, f"P9: changed were {changed}, expected: {right}"
