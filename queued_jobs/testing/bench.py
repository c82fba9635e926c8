"""Runs jobs in a test: queues, store, hub and clock in memory, no server and no waiting."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from typing import Any

from pydantic import BaseModel

from queued_jobs._outcome import dump_result
from queued_jobs.announcements import flush_pushes
from queued_jobs.context import JobContext
from queued_jobs.enqueue import JobHandle, queue_job
from queued_jobs.message import JobMessage
from queued_jobs.model import QueuedJob
from queued_jobs.registry import JobRegistry
from queued_jobs.runner import JobRunner
from queued_jobs.sweeper import Sweeper
from queued_jobs.testing.clock import FrozenClock
from queued_jobs.testing.doubles import FakeQueues, RecordingNotifier
from queued_jobs.testing.memory import InMemoryRepository

_MAX_ROUNDS = 1_000


class JobBench:
    """A small system around some kinds of jobs.

    Attributes
    ----------
    clock
        `bench.clock.advance(timedelta(hours=1))` makes what waits for a retry or a lease due.
    queues, notifier
        What was sent and pushed; set `away` on either to take it down.
    repository
        The rows, in `jobs` and `attempts`.
    """

    def __init__(self, *runners: type[JobRunner[Any, Any]]) -> None:
        self.clock = FrozenClock()
        self.repository = InMemoryRepository(self.clock)
        self.queues = FakeQueues(self.clock)
        self.notifier = RecordingNotifier()
        self._runners = {
            queue: instance
            for runner in JobRegistry(runners)
            for instance in [runner(self.repository, self.queues, self.notifier)]
            for queue in runner.queues_of_kind()
        }
        self._sweeper = Sweeper(self.repository, self.queues, self.notifier, runners={*self._runners.values()})

    async def queue[Request: BaseModel, Result: BaseModel | None](
        self, runner: type[JobRunner[Request, Result]], request: Request, *, user_id: str = "ann", **options: Any
    ) -> JobHandle[Result]:
        """Call `queue_job` with the bench's own parts."""
        return await queue_job(
            runner,
            request,
            user_id=user_id,
            repository=self.repository,
            queues=self.queues,
            notifier=self.notifier,
            **options,
        )

    def job(self, handle: JobHandle[Any]) -> QueuedJob:
        """Return the job's row as it is now."""
        return self.repository.jobs[handle.id]

    async def drain(self) -> int:
        """Sweep and deliver until nothing is due any more, and return how many messages were delivered.

        Retries wait for the clock: advance it and drain again. Raises `RuntimeError` for jobs that wake each other
        without end.
        """
        delivered = 0
        for _ in range(_MAX_ROUNDS):
            await self._sweeper.run_once()
            due = self.queues.take()
            if not due:
                await flush_pushes()
                return delivered
            for one in due:
                await self._runners[one.queue].execute(one.message)
            delivered += len(due)
        raise RuntimeError(f"Still messages after {_MAX_ROUNDS} rounds: some job wakes itself again and again.")


async def run_inline[Request: BaseModel, Result: BaseModel | None](
    runner: type[JobRunner[Request, Result]], request: Request, *, user_id: str = "ann", attempt: int = 1
) -> Result:
    """Run a body once, as a worker would, and return its result after a trip through JSON.

    What the body raises is raised here. `attempt` is what the body finds in `ctx.job.attempt`.
    """
    bench = JobBench(runner)
    handle = await bench.queue(runner, request, user_id=user_id)
    bench.repository.jobs[handle.id] = dataclasses.replace(handle.job, attempt=attempt - 1)
    job = await bench.repository.claim(
        JobMessage.of(handle.job),
        kind=runner.kind,
        schema_version=runner.schema_version,
        lease=runner.lease,
        timeout=runner.timeout,
    )
    assert job is not None  # noqa: S101 (nobody else is here to take it)
    body: Any = runner(bench.repository, bench.queues, bench.notifier).on_execute
    ctx: JobContext[Result] = JobContext(job, bench.repository, result_type=runner.result_type)
    stored_request = runner.read_request(job)
    if inspect.iscoroutinefunction(body):
        result = await body(stored_request, ctx)
    else:
        result = await asyncio.to_thread(body, stored_request, ctx)
        result = await result if inspect.isawaitable(result) else result
    return runner.read_result(dataclasses.replace(job, result=dump_result(result, runner.result_type)))
