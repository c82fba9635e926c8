"""Random walks over lines: jobs with concurrency keys, whose runners, senders, queue and sweeper fail in every way.

Other than in the model of single jobs, nothing is foreseen. These have to hold after every move:

L1  Of a line at most as many run as its kind allows.
L2  A job starts only if it is among the oldest of its line that are due, as many as there are places.
L3  After a sweep that reaches everything, no line has a free place and somebody due whose message is not on its way.
L4  Once faults stop, every job comes to an end.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel

from queued_jobs import (
    JobContext,
    JobMessage,
    JobRunner,
    JobStatus,
    JobTracker,
    NullNotifier,
    PermanentError,
    PostgresRepository,
    QueuedJob,
    RetryLater,
    RetryPolicy,
    Sweeper,
    queue_job,
)
from queued_jobs.tracker import ANYBODY
from tests.model.drivers import WalkFailed
from tests.model.network import FATES, Mailbox
from tests.model.store import Store

MOVES = 60
MAX_JOBS = 14
KEYS = ("a", "a", "b", None)
#: Longer than any sender holds a message, and shorter than what stands in line waits by itself.
A_SWEEP = timedelta(seconds=20)
LONG = timedelta(hours=12)
_WAITING = (JobStatus.PENDING, JobStatus.RETRYING)


class Ask(BaseModel):
    key: str | None


class Shared(JobRunner[Ask, None]):
    """Its body waits to be told how to end."""

    kind = "single"
    queue = "single"
    priorities = ("fast",)
    retry = RetryPolicy(base=timedelta(), max_attempts=3)
    bodies: ClassVar[dict[UUID | None, asyncio.Future[None]]] = {}

    @classmethod
    def concurrency_key(cls, request: Ask, user_id: str) -> str | None:
        return request.key

    async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        self.bodies[ctx.job.lease_token] = body = asyncio.get_running_loop().create_future()
        await body


class Double(Shared):
    kind = "double"
    queue = "double"
    concurrency = 2


class Triple(Shared):
    kind = "triple"
    queue = "triple"
    concurrency = 3


KINDS: tuple[type[Shared], ...] = (Shared, Double, Triple)
ENDS: dict[str, Exception | None] = {
    "succeeds": None,
    "fails": RuntimeError("it broke"),
    "gives up": PermanentError("it cannot work"),
    "asks for later": RetryLater(timedelta(seconds=40)),
    "is shut down": None,
}


class Lines:
    """One walk over an emptied database."""

    def __init__(self, store: Store, seed: int) -> None:
        store.empty()
        self.store = store
        self.dice = random.Random(seed)
        self.mailbox = Mailbox()
        self.repository = PostgresRepository(store.database)
        parts = (self.repository, self.mailbox, NullNotifier())
        self.runners = {queue: made for kind in KINDS for made in [kind(*parts)] for queue in kind.queues_of_kind()}
        self.sweeper = Sweeper(*parts, runners={*self.runners.values()})
        self.tracker = JobTracker(store.database, self.mailbox, NullNotifier())
        self.attempts: dict[UUID, asyncio.Task[None]] = {}
        self.lost: set[JobMessage] = set()
        self.trace: list[str] = []

    async def close(self) -> None:
        for attempt in self.attempts.values():
            attempt.cancel()
        await asyncio.gather(*self.attempts.values(), return_exceptions=True)

    def rows(self) -> list[QueuedJob]:
        return sorted(self.store.snapshot().jobs.values(), key=lambda job: (job.created_at, str(job.id)))

    def faults(self) -> None:
        """Let what happens next meet a queue or a store that fails, more often than not in vain."""
        self.mailbox.fate = self.dice.choice(FATES)
        for statement in ("next_in_line", "mark_sent"):
            if self.dice.random() < 0.3:
                self.store.database.refused.add(statement)

    def no_faults(self) -> None:
        self.mailbox.fate = "arrives"
        self.store.database.refused.clear()

    def note_sends(self) -> None:
        for due in self.mailbox.asked:
            if self.mailbox.fate in ("lost", "refused"):
                self.lost.add(due.message)
            else:
                self.lost.discard(due.message)
        self.mailbox.asked.clear()

    async def enqueue(self) -> None:
        if len(self.store.snapshot().jobs) >= MAX_JOBS:
            return
        await queue_job(
            self.dice.choice(KINDS),
            Ask(key=self.dice.choice(KEYS)),
            user_id="ann",
            repository=self.repository,
            queues=self.mailbox,
            delay=self.dice.choice([timedelta(), timedelta(), timedelta(seconds=40)]),
            priority=self.dice.choice([None, "fast"]),
        )

    async def deliver(self) -> None:
        """Give a message to a runner, which runs its job until told how to end."""
        if not self.mailbox.messages:
            return
        message = self.mailbox.messages.pop(self.dice.randrange(len(self.mailbox.messages)))
        job = self.store.snapshot().jobs.get(message.id)
        if job is None:
            return
        entitled = {one.id for one in self.entitled(job)}
        before = set(Shared.bodies)
        attempt = asyncio.create_task(self.runners[job.queue].execute(message))
        while not attempt.done() and not (begun := set(Shared.bodies) - before):
            await asyncio.sleep(0)
        if attempt.done():
            await attempt
            return
        assert job.concurrency_key is None or job.id in entitled, f"L2: {job.id} started before its turn"
        self.attempts[begun.pop()] = attempt  # type: ignore[index]

    def entitled(self, job: QueuedJob) -> Sequence[QueuedJob]:
        """Those of the job's line for whom there is a place now."""
        snapshot = self.store.snapshot()
        line = [one for one in self.rows() if (one.kind, one.concurrency_key) == (job.kind, job.concurrency_key)]
        running = [one for one in line if one.status is JobStatus.RUNNING]
        limit = self.runners[job.kind].concurrency
        assert job.concurrency_key is None or len(running) <= limit, f"L1: {len(running)} of {limit} run"
        due = [one for one in line if one.status in _WAITING and one.available_at <= snapshot.now]
        return due[: max(0, limit - len(running))]

    async def end(self) -> None:
        """Let one attempt end, be it a zombie's."""
        if not self.attempts:
            return
        token = self.dice.choice(list(self.attempts))
        attempt, body = self.attempts.pop(token), Shared.bodies.pop(token)
        how = self.dice.choice(list(ENDS))
        self.trace[-1] += f": {how}"
        error = ENDS[how]
        if how == "is shut down":
            attempt.cancel()
        elif error is not None:
            body.set_exception(error)
        else:
            body.set_result(None)
        await attempt

    async def fall_silent(self) -> None:
        """The lease of one that runs is over; its worker may come back as a zombie."""
        running = [job for job in self.rows() if job.status is JobStatus.RUNNING]
        if running:
            self.store.move(self.dice.choice(running).id, "lease_until", timedelta(hours=1))

    async def cancel(self) -> None:
        if found := [job for job in self.rows() if not job.status.is_final and not job.cancel_requested]:
            await self.tracker.cancel(self.dice.choice(found).id, user_id=ANYBODY)

    async def retry(self) -> None:
        badly = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.ABORTED)
        if found := [job for job in self.rows() if job.status in badly]:
            await self.tracker.retry(self.dice.choice(found).id, user_id=ANYBODY)

    async def clear(self) -> None:
        await self.tracker.clear_finished("ann")

    async def lose(self) -> None:
        if self.mailbox.messages:
            message = self.mailbox.messages.pop(self.dice.randrange(len(self.mailbox.messages)))
            if message not in self.mailbox.messages:
                self.lost.add(message)

    async def wait(self) -> None:
        self.store.let_pass(self.dice.choice([timedelta(seconds=5), A_SWEEP, timedelta(minutes=1)]))

    async def sweep(self) -> None:
        await self.sweeper.run_once()

    async def sweep_and_look(self) -> None:
        """L3: the timer fires, and everything answers."""
        self.no_faults()
        self.store.let_pass(A_SWEEP)
        await self.sweeper.run_once()
        self.note_sends()
        rows = self.rows()
        lines = {(job.kind, job.concurrency_key): job for job in rows if job.concurrency_key is not None}
        for job in lines.values():
            for first in self.entitled(job):
                on_its_way = JobMessage.of(first) in {*self.mailbox.messages, *self.lost}
                assert on_its_way, f"L3: {first.kind} {first.id} has a place and was not woken: {first}"

    async def settle(self) -> None:
        """L4: a few rounds without faults bring every job to its end."""
        self.no_faults()
        for _ in range(20):
            self.store.let_pass(LONG)
            await self.sweeper.run_once()
            while self.mailbox.messages:
                await self.deliver()
                while self.attempts:
                    _, attempt = self.attempts.popitem()
                    for body in Shared.bodies.values():
                        if not body.done():
                            body.set_result(None)
                    Shared.bodies.clear()
                    await attempt
            if all(job.status.is_final for job in self.rows()):
                return
        left = [job for job in self.rows() if not job.status.is_final]
        raise AssertionError(f"L4: jobs that do not end: {left}")


Move = Callable[[Lines], Awaitable[None]]
_WEIGHTS: dict[Move, int] = {
    Lines.enqueue: 6,
    Lines.deliver: 10,
    Lines.end: 7,
    Lines.fall_silent: 1,
    Lines.cancel: 1,
    Lines.retry: 1,
    Lines.clear: 1,
    Lines.lose: 1,
    Lines.wait: 1,
    Lines.sweep: 1,
    Lines.sweep_and_look: 2,
}


async def walk(store: Store, seed: int) -> None:
    """Make one walk. Raises an error that names the seed and the last moves."""
    lines = Lines(store, seed)
    Shared.bodies.clear()
    try:
        for _ in range(MOVES):
            (move,) = lines.dice.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
            lines.trace.append(f"{move.__name__} under {lines.mailbox.fate}, {store.database.refused or 'no'} fault")
            await move(lines)
            lines.note_sends()
            lines.no_faults()
            if lines.dice.random() < 0.4:
                lines.faults()
        await lines.sweep_and_look()
        await lines.settle()
    except Exception as exc:
        moves = "\n  ".join(lines.trace[-12:])
        raise WalkFailed(f"MODEL_SEED={seed}, move {len(lines.trace)}: {exc}\n  {moves}") from exc
    finally:
        store.database.refused.clear()
        await lines.close()


def walks(store: Store, seeds: range) -> None:
    with asyncio.Runner() as runner:
        for seed in seeds:
            runner.run(walk(store, seed))
