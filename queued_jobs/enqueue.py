"""Starts jobs: a row for each, and a message to wake a worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection
from pydantic import BaseModel

from queued_jobs import telemetry
from queued_jobs.announcements import announce
from queued_jobs.dispatch import Dispatcher
from queued_jobs.errors import InvalidRequest, StoreRefused
from queued_jobs.message import Due, JobMessage
from queued_jobs.model import JobKey, NewJob, QueuedJob
from queued_jobs.notifier import Notifier, NullNotifier
from queued_jobs.offload import offload
from queued_jobs.queues import Queues
from queued_jobs.repository import Repository
from queued_jobs.runner import JobRunner
from queued_jobs.serialization import NotStorable, form_of

_LONGEST_DELAY = timedelta(days=36_500)


@dataclass(slots=True, kw_only=True)
class JobHandle[Result: BaseModel | None]:
    """A stored job and whether a worker was woken for it.

    Attributes
    ----------
    job
        The row as it was stored, or the older job that stands in its place.
    duplicate
        True if the idempotency or unique key was taken by that older job: nothing new was stored.
    sent
        False where the message is owed still, by the sweeper or by whoever ends what the job waits for.
    """

    job: QueuedJob
    duplicate: bool
    delay: timedelta
    repository: Repository
    queues: Queues
    notifier: Notifier
    sent: bool = False

    @property
    def id(self) -> JobKey:
        return self.job.id

    async def send(self) -> None:
        """Send the message and tell the owner. After `queue_job(conn=...)` call it once your transaction is committed.

        Never raises for a queue, a database or a hub that is away, and a second call is harmless. Called before the
        commit it would wake a worker too early, for a row that it cannot see.
        """
        await send_all([self])


async def queue_job[Request: BaseModel, Result: BaseModel | None](
    runner: type[JobRunner[Request, Result]],
    request: Request,
    *,
    user_id: str,
    repository: Repository,
    queues: Queues,
    notifier: Notifier | None = None,
    delay: timedelta = timedelta(),
    priority: str | None = None,
    idempotency_key: str | None = None,
    unique_key: str | None = None,
    parent_id: JobKey | None = None,
    conn: AsyncConnection[Any] | None = None,
) -> JobHandle[Result]:
    """Store a job for a user and wake a worker for it.

    The row is stored first and owes its message until that was sent: a queue that is away, or a crash between the two,
    delays the job but never loses it.

    Parameters
    ----------
    user_id
        The owner: 1 to 128 characters.
    delay
        Run no earlier than this after now, by the database's clock: up to 100 years. Negative means now.
    priority
        One of the runner's `priorities`: the job goes through that queue. None: through the ordinary one.
    idempotency_key
        Up to 200 characters. A repeated call of the same user and kind with the same key returns the first job. Raises
        `KeyReused` if the request differs in what was set in it; what its defaults made does not count.
    unique_key
        Up to 200 characters. While a job of this kind with the same key has not ended, that job is returned.
        Raises `JobConflict` if it belongs to another user.
    parent_id
        The job that this one belongs to, for people who look for it.
    conn
        Store the row in this connection's transaction: it exists if, and only if, that commits. Then call
        `JobHandle.send`, or leave it to the sweeper.

    Raises
    ------
    InvalidRequest
        The request would not be read back as it is, an identifier has a wrong length or a character that Postgres
        cannot keep, the priority is unknown, or the delay is longer than that.
    StoreUnavailable
        Postgres did not answer. Whether the job was stored is unknown: try again with an idempotency key.
    """
    check_length("unique_key", unique_key, 200)
    with telemetry.enqueuing(runner.kind, runner.queue) as traceparent:
        job = await offload(
            new_job,
            runner,
            request,
            (await repository.new_keys(1, conn=conn))[0],
            user_id=user_id,
            delay=delay,
            priority=priority,
            idempotency_key=idempotency_key,
            unique_key=unique_key,
            parent_id=parent_id,
            traceparent=traceparent,
        )
        (handle,) = await store([job], repository, queues, notifier, conn)
        if conn is None:
            await handle.send()
    return handle


def new_job[Request: BaseModel](
    runner: type[JobRunner[Request, Any]],
    request: Request,
    key: JobKey,
    *,
    user_id: str,
    delay: timedelta = timedelta(),
    priority: str | None = None,
    idempotency_key: str | None = None,
    **others: Any,
) -> NewJob:
    """Put together the row of a job. Raises `InvalidRequest` for what could not be stored, or not be read again.

    Takes long for a large request.
    """
    check_length("user_id", user_id, 128)
    check_length("idempotency_key", idempotency_key, 200)
    if delay > _LONGEST_DELAY:
        # Python cannot read moments after the year 9999, so whoever lists such a job would fail
        raise InvalidRequest(f"The delay is {delay}, but may be {_LONGEST_DELAY.days:,} days at most.")
    if priority is not None and priority not in runner.priorities:
        raise InvalidRequest(
            f"{runner.kind} has no priority {priority!r}, only {', '.join(runner.priorities) or 'none'}."
        )
    concurrency_key = runner.concurrency_key(request, user_id)
    check_length("concurrency_key", concurrency_key, 200)
    return NewJob(
        id=key,
        kind=runner.kind,
        schema_version=runner.schema_version,
        queue=runner.queue if priority is None else f"{runner.queue}-{priority}",
        user_id=user_id,
        **_stored(runner, request),
        max_attempts=runner.retry.max_attempts,
        delay=max(delay, timedelta()),
        idempotency_key=idempotency_key,
        concurrency_key=concurrency_key,
        **others,
    )


def _stored[Request: BaseModel](runner: type[JobRunner[Request, Any]], request: Request) -> dict[str, Any]:
    try:
        form = form_of(runner.request_type)
        return {"request": form.dump(request), "asked": form.asked(request)}
    except NotStorable as exc:
        raise InvalidRequest(f"The request of {runner.kind} cannot be stored: {exc}.") from exc


async def store(
    jobs: Sequence[NewJob],
    repository: Repository,
    queues: Queues,
    notifier: Notifier | None,
    conn: AsyncConnection[Any] | None,
) -> list[JobHandle[Any]]:
    """Store the rows, and return a handle for each, in their order."""
    try:
        added = await repository.add(*jobs, conn=conn)
    except StoreRefused as exc:
        raise InvalidRequest(str(exc)) from exc
    for one in added:
        if not one.duplicate:
            telemetry.queued(one.job)
    return [
        JobHandle(
            job=one.job,
            duplicate=one.duplicate,
            delay=job.delay,
            repository=repository,
            queues=queues,
            notifier=notifier or NullNotifier(),
            sent=one.job.status.is_final or one.job.sent_gen >= one.job.dispatch_gen,
        )
        for job, one in zip(jobs, added, strict=True)
    ]


async def send_all(handles: Sequence[JobHandle[Any]]) -> None:
    """Send what these new jobs owe, and announce them; all of them are of one owner."""
    new = [handle for handle in handles if not handle.duplicate and not handle.sent]
    if not new:
        return
    due = [
        Due(message=JobMessage.of(handle.job), queue=handle.job.queue, delay=handle.delay)
        for handle in new
        if not handle.job.is_held
    ]
    first = new[0]
    # before the sending, so that a worker's own push seldom comes first
    await announce(first.notifier, *(handle.job for handle in new))
    sent = await Dispatcher(first.repository, first.queues).send(due)
    for handle in new:
        handle.sent = JobMessage.of(handle.job) in sent


def check_length(name: str, value: str | None, most: int) -> None:
    """Raise `InvalidRequest` for an identifier that the database would refuse."""
    if value is not None and not 1 <= len(value) <= most:
        raise InvalidRequest(f"{name} must have 1 to {most} characters, not {len(value)}.")
