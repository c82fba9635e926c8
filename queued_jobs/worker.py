"""Runs the jobs of an application in a separate process, without the Functions host."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta

from queued_jobs._arguments import check_span, check_whole
from queued_jobs._inbox import is_set_within
from queued_jobs._listener import Listener
from queued_jobs.announcements import flush_pushes
from queued_jobs.manager import QueueManager
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.outbox import log_failure
from queued_jobs.queues import StorageQueues
from queued_jobs.registry import RunnerType

logger = logging.getLogger(__name__)

#: After an error a loop pauses for this long, doubling up to the second.
_FIRST_PAUSE, _LAST_PAUSE = timedelta(seconds=1), timedelta(seconds=30)
#: The database's time is read this often while a schedule waits.
_MAX_SLEEP = timedelta(seconds=30)
#: How long the end of cancelled attempts, and then the last pushes, may take.
_RELEASE = timedelta(seconds=10)
_MIN_VISIBILITY, _MAX_VISIBILITY = timedelta(seconds=2), timedelta(days=7)  # the most that the service takes
_MIN_IDLE, _MAX_PAUSE, _MAX_CONCURRENCY = timedelta(milliseconds=10), timedelta(days=365), 10_000


class Worker:
    """Runs the jobs of a manager's kinds, starts those with a schedule, and sweeps: all that the app's triggers do.

    It receives the messages of every queue and poison queue, and keeps a message hidden as long as its job runs. A
    message that is not handled reappears after 30 seconds; at the fifth time, and at once if it is not base64, it is
    moved to the poison queue. Any number of workers may run, in any number of processes: if one is killed, another one
    takes over its jobs when their leases have ended.

    An unavailable database or queue service, and any unexpected error, is logged and does not end it.

    Parameters
    ----------
    manager
        Its `queues` must be `StorageQueues`.
    concurrency
        Maximum concurrent jobs per queue: a backlog on one queue does not delay the jobs of another.
    sweep_every
        Pause between two runs of the sweeper.
    grace
        How long a stop waits for running jobs before it gives them back. Choose it shorter than the time after which
        your platform kills the process.
    visibility
        How long a message stays hidden after its worker was killed: at least two seconds. It is renewed while the job
        runs, so it does not limit the duration of jobs.
    max_idle
        Maximum pause between two polls of an empty queue. The pause doubles from a tenth of a second up to this.
    signals
        They stop it, if it runs in the main thread; a second one skips the grace. Empty: only `stop` does.
    """

    def __init__(
        self,
        manager: QueueManager,
        *,
        concurrency: int = 6,
        sweep_every: timedelta = timedelta(seconds=15),
        grace: timedelta = timedelta(seconds=25),
        visibility: timedelta = timedelta(minutes=1),
        max_idle: timedelta = timedelta(seconds=2),
        signals: Collection[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
    ) -> None:
        queues = manager.backend.queues
        if not isinstance(queues, StorageQueues):
            raise TypeError(f"A worker receives from StorageQueues, not from {type(queues).__name__}.")
        if not manager.registry.queues:
            raise ValueError("The manager has no kinds of jobs, so there is nothing to run: pass them to QueueManager.")
        check_whole("concurrency", concurrency, most=_MAX_CONCURRENCY)
        check_span("sweep_every", sweep_every, least=timedelta(), most=_MAX_PAUSE)
        check_span("grace", grace, least=timedelta(), most=_MAX_PAUSE)
        check_span("visibility", visibility, least=_MIN_VISIBILITY, most=_MAX_VISIBILITY)
        check_span("max_idle", max_idle, least=_MIN_IDLE, most=_MAX_PAUSE)
        self._manager = manager
        self._sweep_every = sweep_every
        self._grace = grace
        self._signals = signals
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._listeners = [
            Listener(
                manager.runner(kind.kind),
                queues,
                queue,
                is_poison=is_poison,
                concurrency=concurrency,
                visibility=visibility,
                max_idle=max_idle,
                stopping=self._stopping,
            )
            for kind in manager.registry
            for queue in kind.queues_of_kind()
            for is_poison in (False, True)
        ]

    async def run(self) -> None:
        """Work until `stop` or a signal; then wait for running jobs, up to the grace, and give back the others.

        If the call is cancelled, running jobs are given back immediately. May be called once. Raises `RuntimeError` if
        one of its loops ends unexpectedly.
        """
        loops = {
            asyncio.create_task(self._repeat(listener.name, listener.step), name=listener.name)
            for listener in self._listeners
        }
        loops.add(asyncio.create_task(self._repeat("sweeper", self._sweep), name="sweeper"))
        for kind in self._manager.registry:
            if kind.schedule is not None:
                name, schedule = f"schedule of {kind.kind}", _Schedule(self._manager, kind, self._stopping)
                loops.add(asyncio.create_task(self._repeat(name, schedule.step), name=name))
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            async with self._handling_signals():
                logger.info("worker started: %s", ", ".join(self._manager.registry.queues))
                ended, _ = await asyncio.wait({stopped, *loops}, return_when=asyncio.FIRST_COMPLETED)
                if not self._stopping.is_set():
                    _raise_end(ended)
                await self._drain(loops)
        finally:
            self._stopping.set()
            stopped.cancel()
            await asyncio.shield(self._release(loops))
            logger.info("worker stopped")

    def stop(self) -> None:
        """Take no further messages, and let `run` return when running jobs have ended or the grace is over.

        Call it in the worker's event loop. A second call skips the grace.
        """
        if self._stopping.is_set():
            self._hurrying.set()
        else:
            logger.info("stopping: %d jobs are running", sum(len(listener.tasks) for listener in self._listeners))
        self._stopping.set()

    async def _drain(self, loops: Collection[asyncio.Task[None]]) -> None:
        """Wait for running jobs and sweeps, at most for the grace."""
        tasks = {*loops, *(task for listener in self._listeners for task in listener.tasks)}
        hurry = asyncio.create_task(self._hurrying.wait())
        drained = asyncio.create_task(asyncio.wait(tasks))
        await asyncio.wait({hurry, drained}, timeout=self._grace.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        drained.cancel()

    async def _release(self, loops: Collection[asyncio.Task[None]]) -> None:
        """Cancel what still runs: the attempts give their jobs back. Then send the last pushes."""
        tasks = {*loops, *(task for listener in self._listeners for task in listener.tasks)}
        for task in tasks:
            task.cancel()
        _, late = await asyncio.wait(tasks, timeout=_RELEASE.total_seconds())
        if late:
            logger.warning("%d tasks did not stop; their jobs are rescued when their leases end", len(late))
        await flush_pushes()

    async def _repeat(self, name: str, step: Callable[[], Awaitable[timedelta]]) -> None:
        """Take steps until the worker stops; each returns the pause before the next one. Errors are logged."""
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                wait = await step()
                pause = _FIRST_PAUSE
            except Exception as exc:  # noqa: BLE001 (any error: the loop continues)
                wait, pause = pause, min(2 * pause, _LAST_PAUSE)
                log_failure(exc, "%s continues in %g s", name, wait.total_seconds())
            if wait:
                await is_set_within(self._stopping, wait.total_seconds())

    async def _sweep(self) -> timedelta:
        await self._manager.sweeper.run_once()
        return self._sweep_every

    @asynccontextmanager
    async def _handling_signals(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        handled = self._signals if threading.current_thread() is threading.main_thread() else ()
        for number in handled:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)


class _Schedule:
    """Starts the jobs of a kind at each occurrence of its schedule, by the database's clock."""

    def __init__(self, manager: QueueManager, kind: RunnerType, stopping: asyncio.Event) -> None:
        self._manager = manager
        self._kind = kind
        self._stopping = stopping

    async def step(self) -> timedelta:
        schedule = Ncrontab(self._kind.schedule or "")
        now = await self._manager.backend.repository.now()
        wait = schedule.next(now) - now
        if wait > _MAX_SLEEP:
            return _MAX_SLEEP
        if not await is_set_within(self._stopping, wait.total_seconds()):
            await self._manager.queue_due(self._kind)
        return timedelta()


def _raise_end(ended: Collection[asyncio.Task[object]]) -> None:
    for task in ended:
        cause = None if task.cancelled() else task.exception()
        raise RuntimeError(f"The worker's loop {task.get_name()!r} ended unexpectedly.") from cause
