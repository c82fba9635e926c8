"""The single access point to the jobs of an application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

from psycopg import AsyncConnection
from pydantic import BaseModel

from queued_jobs import batch, enqueue, periodic
from queued_jobs._arguments import check_span, check_type
from queued_jobs._descriptions import describe
from queued_jobs.backend import Backend
from queued_jobs.batch import Batch, FollowUp
from queued_jobs.blocking import BlockingJobs
from queued_jobs.erasure import Erasure
from queued_jobs.handle import JobHandle
from queued_jobs.model import JobKey
from queued_jobs.notifier import Notifier, NullNotifier
from queued_jobs.pauses import Pauses
from queued_jobs.postgres import PostgresRepository
from queued_jobs.queues import Queues
from queued_jobs.registry import JobRegistry, RunnerType
from queued_jobs.repository import Repository
from queued_jobs.runner import JobRunner
from queued_jobs.schedules import Schedules
from queued_jobs.sweeper import MAX_KEPT, MAX_SWEEP, Sweeper
from queued_jobs.tracker import JobTracker


class QueueManager:
    """Starts, runs and reads the jobs of an application, and provides its sweeper.

    Create one per process. It connects on first use, and works in any number of event loops, in sequence or
    concurrently; the connections of a loop are closed with it.

    Parameters
    ----------
    runners
        The kinds of jobs that this process runs or schedules: a `JobRegistry`, or the runner classes. A process that
        only starts jobs may leave it empty. Raises `TypeError` if two have the same kind or queue.
    repository
        The store: `PostgresRepository(Database(url))`.
    queues
        The queues that wake workers: `StorageQueues(account)`.
    notifier
        Pushes changes to the owners' browsers; None for no pushes.
    keep
        How long the sweeper keeps ended jobs, unless the kind declares `keep`: at most 100 years. Raises `TypeError` or
        `ValueError` for anything else.
    sweep_time
        Maximum duration of a sweep; choose it a little shorter than its timer's interval.
    on_erase
        Called with a user's id when the user is erased: remove what the application stores for them, such as uploads.
        `async def`, or a plain `def`, which runs in a thread.

    Attributes
    ----------
    registry
        The kinds.
    backend
        The store, the queues and the notifier.
    """

    def __init__(
        self,
        runners: Iterable[RunnerType],
        *,
        repository: Repository,
        queues: Queues,
        notifier: Notifier | None = None,
        keep: timedelta = timedelta(days=30),
        sweep_time: timedelta = timedelta(seconds=40),
        on_erase: Callable[[str], object] | None = None,
    ) -> None:
        self.registry = runners if isinstance(runners, JobRegistry) else JobRegistry(runners)
        self.backend = Backend(repository, queues, notifier or NullNotifier())
        self._runners = {runner.kind: runner(self.backend) for runner in self.registry}
        check_span("keep", keep, least=timedelta(), most=MAX_KEPT)
        check_span("sweep_time", sweep_time, least=timedelta(), most=MAX_SWEEP)
        self._keep = keep
        self._sweep_time = sweep_time
        self.on_erase = on_erase

    async def queue_job[Request: BaseModel, Result: BaseModel | None](
        self,
        runner: type[JobRunner[Request, Result]],
        request: Request,
        *,
        user_id: str,
        user_name: str | None = None,
        delay: timedelta = timedelta(),
        priority: str | None = None,
        idempotency_key: str | None = None,
        unique_key: str | None = None,
        parent_id: JobKey | None = None,
        conn: AsyncConnection[Any] | None = None,
    ) -> JobHandle[Result]:
        """Store a job for a user and wake a worker for it.

        The row is stored first and the message stays due until it was sent: an unavailable queue, or a crash between
        the two, delays the job but never loses it. In a body use `JobContext.queue_job`, which starts a job once,
        however often the body runs.

        Parameters
        ----------
        user_id
            The owner: 1 to 128 characters.
        user_name
            The owner's name, up to 200 characters, for the dashboard. It decides nothing.
        delay
            Minimum time from now until the job runs, by the database's clock: up to 100 years. Negative means now.
        priority
            One of the runner's `priorities`, whose queue the job uses. None for the default queue.
        idempotency_key
            Up to 200 characters, not beginning with `schedule:`. A repeated call for the same user and kind with the
            same key returns the first job.
            Raises `KeyReused` if the request differs in the fields that were set; defaults do not count.
        unique_key
            Up to 200 characters. If an unfinished job of this kind has the same key, that job is returned.
            Raises `JobConflict` if it belongs to another user.
        parent_id
            The job that this one belongs to, for display and search.
        conn
            Store the row in this connection's transaction: it exists if and only if that commits. Then call
            `JobHandle.send`, or leave it to the sweeper.

        Raises
        ------
        InvalidRequest
            The request cannot be stored without loss, an identifier has an invalid length or a character that Postgres
            cannot store, the priority is unknown, or the delay is too long.
        StoreUnavailable
            Postgres did not respond. Whether the job was stored is unknown: try again with an idempotency key.
        """
        enqueue.check_key_of_caller(idempotency_key)
        return await enqueue.queue_job(
            self.backend,
            runner,
            request,
            user_id=user_id,
            user_name=user_name,
            delay=delay,
            priority=priority,
            idempotency_key=idempotency_key,
            unique_key=unique_key,
            parent_id=parent_id,
            conn=conn,
        )

    async def queue_jobs[Request: BaseModel, Result: BaseModel | None](
        self,
        runner: type[JobRunner[Request, Result]],
        requests: Sequence[Request],
        *,
        user_id: str,
        user_name: str | None = None,
        delay: timedelta = timedelta(),
        priority: str | None = None,
        idempotency_key: str | None = None,
        parent_id: JobKey | None = None,
        follow_up: FollowUp[Any] | None = None,
        conn: AsyncConnection[Any] | None = None,
    ) -> Batch[Result]:
        """Store many jobs of one kind for a user, all or none, and wake workers for them.

        One insert stores all of them, with the follow-up; the messages are sent concurrently, for about half a minute
        at most: the sweeper sends the rest, see `JobHandle.sent`. Otherwise like `queue_job`.

        Parameters
        ----------
        requests
            Up to 10,000; raises `InvalidRequest` for more, and if one of them cannot be stored.
        idempotency_key
            Up to 190 characters, for the batch as a whole: a repeated call with the same requests returns the same
            jobs. Raises `KeyReused` if it has additional requests, or a follow-up that the first call did not have.
        follow_up
            A job of the same user that is stored now and runs when all the others have ended. With an empty batch it
            runs immediately.
        """
        enqueue.check_key_of_caller(idempotency_key)
        return await batch.queue_jobs(
            self.backend,
            runner,
            requests,
            user_id=user_id,
            user_name=user_name,
            delay=delay,
            priority=priority,
            idempotency_key=idempotency_key,
            parent_id=parent_id,
            follow_up=follow_up,
            conn=conn,
        )

    async def queue_due[Request: BaseModel, Result: BaseModel | None](
        self, runner: type[JobRunner[Request, Result]]
    ) -> JobHandle[Result]:
        """Queue the job of the current occurrence. Call it from a timer with the runner's schedule.

        There is one job per occurrence, however often the timer fires and on however many machines: its idempotency key
        is the due time. The database's clock decides what is due; a late timer starts the job of the previous
        occurrence. The sweeper makes up for occurrences that no timer has started. Raises `ValueError` for a runner
        without a schedule, and otherwise as `queue_job` does; the sweeper then starts the job.
        """
        return await periodic.queue_due(self.backend, runner)

    def runner(self, kind: str) -> JobRunner[Any, Any]:
        """Return the runner of a kind; pass the messages of its queues to its `receive`.

        Each call returns the same object. Raises `LookupError` for a kind that is not registered.
        """
        check_type("kind", kind, str)
        try:
            return self._runners[kind]
        except KeyError:
            known = ", ".join(sorted(self._runners)) or "none"
            raise LookupError(
                f"The kind {describe(kind)} is not registered with this manager. Registered kinds: {known}."
            ) from None

    @cached_property
    def sweeper(self) -> Sweeper:
        """The sweeper, to be run by a timer: it sends unsent messages, and reclaims jobs of lost workers."""
        return Sweeper(self.backend, runners=self._runners.values(), keep=self._keep, time=self._sweep_time)

    @cached_property
    def pauses(self) -> Pauses:
        """The paused kinds, which operators pause and resume."""
        return Pauses(self.backend)

    @cached_property
    def schedules(self) -> Schedules:
        """The kinds with a schedule, which operators list and start manually."""
        return Schedules(self.backend, self.registry)

    @cached_property
    def tracker(self) -> JobTracker:
        """The read side and the actions of users and admins. Raises `TypeError` unless the repository is Postgres."""
        return JobTracker(self._postgres.database, self.backend, self.registry)

    @cached_property
    def erasure(self) -> Erasure:
        """Forgets users, for operators. Raises `TypeError` unless the repository is Postgres."""
        return Erasure(self._postgres, self.tracker, self.backend.notifier, self._runners, self.on_erase)

    @property
    def _postgres(self) -> PostgresRepository:
        repository = self.backend.repository
        if not isinstance(repository, PostgresRepository):
            raise TypeError(f"This requires PostgresRepository, not {type(repository).__name__}.")
        return repository

    def blocking(self, *, connections: int = 1) -> BlockingJobs:
        """Return an interface for code without an event loop: Flask, Django, scripts.

        Use it as `with manager.blocking() as jobs: ...`. The first call starts one thread with one event loop, which
        serves all calls of all threads until the end of the block. So create
        one per process, not one per call: each has a separate thread. If a server creates it before forking its
        workers, and does not use it until then, it works in each of them.

        Parameters
        ----------
        connections
            Maximum connections to Postgres, shared by all threads; starting a job takes a few milliseconds.
        """

        def start() -> None:
            if isinstance(self.backend.repository, PostgresRepository):
                self.backend.repository.database.limit(connections)

        return BlockingJobs(self, start=start)
