"""Runs jobs in a test: queues, store, hub and clock in memory, without servers or waiting."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from queued_jobs._outcome import dump_result
from queued_jobs.announcements import announce, flush_pushes
from queued_jobs.context import JobContext
from queued_jobs.handle import JobHandle
from queued_jobs.manager import QueueManager
from queued_jobs.message import JobMessage
from queued_jobs.model import QueuedJob
from queued_jobs.runner import JobRunner
from queued_jobs.testing.clock import FrozenClock
from queued_jobs.testing.doubles import FakeQueues, RecordingNotifier
from queued_jobs.testing.memory import InMemoryRepository
from queued_jobs.testing.rows import StoredStream

_MAX_ROUNDS = 1_000


class JobBench:
    """A complete in-memory system for some kinds of jobs.

    Attributes
    ----------
    clock
        `bench.clock.advance(timedelta(hours=1))` makes retries and expired leases due.
    manager
        Starts the jobs: `await bench.manager.queue_job(...)`.
    queues, notifier
        The messages sent and the changes pushed; set `unavailable` on either to simulate an outage.
    repository
        The rows, in `jobs` and `attempts`.
    """

    def __init__(self, *runners: type[JobRunner[Any, Any]]) -> None:
        self.clock = FrozenClock()
        self.repository = InMemoryRepository(self.clock)
        self.queues = FakeQueues(self.clock)
        self.notifier = RecordingNotifier()
        self.manager = QueueManager(runners, repository=self.repository, queues=self.queues, notifier=self.notifier)
        self.repository.on_save = self._count_save
        self._saves_left = 0
        self._executing: asyncio.Task[None] | None = None
        self._kinds = {queue: runner.kind for runner in self.manager.registry for queue in runner.queues_of_kind()}

    def job(self, handle: JobHandle[Any]) -> QueuedJob:
        """Return the job's row as it is now."""
        return self.repository.jobs[handle.id]

    def output(self, handle: JobHandle[Any], topic: str | None = None) -> list[str]:
        """Return the texts that the job has emitted, in order; of one topic, or of all."""
        stored = self.repository.streams.get(handle.id, StoredStream()).chunks
        return [chunk.text for _, chunk in stored if topic in (None, chunk.topic)]

    async def cancel(self, handle: JobHandle[Any]) -> QueuedJob:
        """Request a cancel, as the owner does, and return the row.

        A waiting job ends now; a running one stops at a checkpoint after its next heartbeat or report. Raises
        `JobConflict` if the job has ended.
        """
        job = await self.repository.cancel(handle.id)
        await announce(self.notifier, job)
        return job

    def interrupt_after(self, saves: int = 1) -> None:
        """Shut the worker down right after this many further saves of a cursor or a step, as a deployment does.

        The attempt is released, and `drain` starts the next one.
        """
        self._saves_left = saves

    async def _count_save(self) -> None:
        self._saves_left -= 1
        if self._saves_left == 0 and self._executing is not None:
            self._executing.cancel()
            await asyncio.Event().wait()  # the body does not continue

    async def drain(self) -> int:
        """Sweep and deliver until no job is due, and return how many messages were delivered.

        Retries wait for the clock: advance it and drain again. Raises `RuntimeError` for jobs that wake each other
        endlessly.
        """
        delivered = 0
        for _ in range(_MAX_ROUNDS):
            await self.manager.sweeper.run_once()
            due = self.queues.take()
            if not due:
                await flush_pushes()
                return delivered
            for one in due:
                self._executing = asyncio.create_task(self.manager.runner(self._kinds[one.queue]).execute(one.message))
                await self._executing
            delivered += len(due)
        raise RuntimeError(f"Messages remain after {_MAX_ROUNDS} rounds; a job probably keeps waking itself.")


async def run_inline[Request: BaseModel, Result: BaseModel | None](
    runner: type[JobRunner[Request, Result]], request: Request, *, user_id: str = "ann", attempt: int = 1
) -> Result:
    """Run a body once, as a worker would, and return its result after a round trip through JSON.

    Exceptions of the body are raised. `attempt` is the body's `ctx.job.attempt`.
    """
    bench = JobBench(runner)
    handle = await bench.manager.queue_job(runner, request, user_id=user_id)
    bench.repository.jobs[handle.id] = dataclasses.replace(handle.job, attempt=attempt - 1)
    job = await bench.repository.claim(
        JobMessage.of(handle.job),
        kind=runner.kind,
        schema_version=runner.schema_version,
        lease=runner.lease,
        timeout=runner.timeout,
    )
    assert job is not None  # noqa: S101 (there is no other worker)
    instance = bench.manager.runner(runner.kind)
    body: Any = instance.on_execute
    ctx: JobContext[Result] = JobContext(
        job,
        instance.backend,
        result_type=runner.result_type,
        max_resumes=runner.max_resumes,
        max_output=runner.max_output,
    )
    stored_request = runner.read_request(job)
    if inspect.iscoroutinefunction(body):
        result = await body(stored_request, ctx)
    else:
        result = await asyncio.to_thread(body, stored_request, ctx)
        result = await result if inspect.isawaitable(result) else result
    await ctx.output.close(within=timedelta(seconds=1))
    return runner.read_result(dataclasses.replace(job, result=dump_result(result, runner.result_type)))
