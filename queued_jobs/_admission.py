"""Admits a message to an attempt once this process has a thread for its body."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from queued_jobs._executor import execute
from queued_jobs._threads import BodyThread
from queued_jobs.errors import SendFailed
from queued_jobs.message import JobMessage

if TYPE_CHECKING:
    from queued_jobs.runner import JobRunner

type Runner = "JobRunner[Any, Any]"

#: How long a message waits for a thread of this process before it is put back for any worker.
THREAD_WAIT = timedelta(seconds=30)


async def admit(runner: Runner, message: JobMessage, *, queue: str) -> None:
    """Run `execute`; a plain `def` body first waits for a free thread, so its lease and its timeout start then."""
    if not runner.runs_in_threads:
        await execute(runner, message)
    elif (thread := await _free_thread(runner, message, queue)) is not None:
        try:
            await execute(runner, message, thread=thread)
        finally:
            thread.give_back()


async def _free_thread(runner: Runner, message: JobMessage, queue: str) -> BodyThread | None:
    """Reserve a thread. None if there is none: the message was put back on its queue, and the job is unchanged."""
    while True:
        leaving = False
        try:
            thread = await runner.body_threads.take(within=THREAD_WAIT)
        except asyncio.CancelledError:
            thread, leaving = None, True  # the host is shutting down, see _Attempt.run
        if thread is not None:
            return thread
        try:
            await runner.backend.queues.send(queue, message)
        except SendFailed as exc:
            runner.logger.warning("job %s: no thread is free, and its message was not put back: %s", message.id, exc)
            if leaving:
                raise  # so the host delivers it again
        else:
            runner.logger.info("job %s: no thread is free, so its message was put back", message.id)
            return None
