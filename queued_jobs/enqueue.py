"""Starts a job: one row, and one message to wake a worker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from psycopg import AsyncConnection
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from queued_jobs import telemetry
from queued_jobs.dispatch import dispatch
from queued_jobs.errors import InvalidRequest, StoreRefused
from queued_jobs.message import Due, JobMessage
from queued_jobs.model import JobKey, NewJob, QueuedJob
from queued_jobs.notifier import Notifier, NullNotifier, announce
from queued_jobs.queues import Queues
from queued_jobs.repository import Repository
from queued_jobs.runner import JobRunner

RequestT = TypeVar("RequestT", bound=BaseModel)
ResultT = TypeVar("ResultT", bound=BaseModel | None)


@dataclass(slots=True, kw_only=True)
class JobHandle(Generic[ResultT]):
    """A stored job and whether a worker was woken for it.

    Attributes
    ----------
    job
        The row as it was stored, or the older job that stands in its place.
    duplicate
        True if the idempotency or unique key was taken by that older job: nothing new was stored.
    sent
        False while the message is still owed. The sweeper sends it then.
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
        if self.duplicate or self.sent:
            return
        due = Due(message=JobMessage.of(self.job), queue=self.job.queue, delay=self.delay)
        sent, _ = await asyncio.gather(
            dispatch([due], repository=self.repository, queues=self.queues),
            announce(self.notifier.job_changed(self.job), f"job {self.id} ({self.job.kind}) {self.job.status}"),
        )
        self.sent = sent == 1


async def queue_job(
    runner: type[JobRunner[RequestT, ResultT]],
    request: RequestT,
    *,
    user_id: str,
    repository: Repository,
    queues: Queues,
    notifier: Notifier | None = None,
    delay: timedelta = timedelta(),
    idempotency_key: str | None = None,
    unique_key: str | None = None,
    parent_id: JobKey | None = None,
    conn: AsyncConnection[Any] | None = None,
) -> JobHandle[ResultT]:
    """Store a job for a user and wake a worker for it.

    The row is stored first and owes its message until that was sent: a queue that is away, or a crash between the two,
    delays the job but never loses it.

    Parameters
    ----------
    user_id
        The owner: 1 to 128 characters.
    delay
        Run no earlier than this after now, by the database's clock. Negative means now.
    idempotency_key
        Up to 200 characters. A repeated call of the same user and kind with the same key returns the first job. Raises
        `KeyReused` if the request differs.
    unique_key
        Up to 200 characters. While a job of this kind with the same key has not ended, that job is returned.
        Raises `JobConflict` if it belongs to another user.
    conn
        Store the row in this connection's transaction: it exists if, and only if, that commits. Then call
        `JobHandle.send`, or leave it to the sweeper.

    Raises
    ------
    InvalidRequest
        A text has a character that Postgres cannot keep, or an identifier has a wrong length.
    StoreUnavailable
        Postgres did not answer. Whether the job was stored is unknown: try again with an idempotency key.
    """
    _check_length("user_id", user_id, 128)
    _check_length("idempotency_key", idempotency_key, 200)
    _check_length("unique_key", unique_key, 200)
    delay = max(delay, timedelta())
    with telemetry.enqueuing(runner.kind, runner.queue) as traceparent:
        job = NewJob(
            id=uuid7(),
            kind=runner.kind,
            schema_version=runner.schema_version,
            queue=runner.queue,
            user_id=user_id,
            request=request.model_dump(mode="json", by_alias=True),
            max_attempts=runner.retry.max_attempts,
            delay=delay,
            idempotency_key=idempotency_key,
            unique_key=unique_key,
            parent_id=parent_id,
            traceparent=traceparent,
        )
        try:
            added = await repository.add(job, conn=conn)
        except StoreRefused as exc:
            raise InvalidRequest(str(exc)) from exc
        handle: JobHandle[ResultT] = JobHandle(
            job=added.job,
            duplicate=added.duplicate,
            delay=delay,
            repository=repository,
            queues=queues,
            notifier=notifier or NullNotifier(),
            sent=added.job.sent_gen >= added.job.dispatch_gen,
        )
        if not added.duplicate:
            telemetry.queued(added.job)
        if conn is None:
            await handle.send()
    return handle


def _check_length(name: str, value: str | None, most: int) -> None:
    if value is not None and not 1 <= len(value) <= most:
        raise InvalidRequest(f"{name} must have 1 to {most} characters, not {len(value)}.")
