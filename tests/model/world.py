"""The library, its users and its machines, beside what the model expects of them; `check` compares the two."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count

from queued_jobs import QueuedJob, QueueManager
from queued_jobs.backend import Backend
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import JobKey
from queued_jobs.postgres import PostgresRepository
from tests.model import properties
from tests.model.demo import REGISTRY, Demo, Other
from tests.model.expected import KEEP, NEAR, ExpectedJob
from tests.model.network import Hub, Mailbox
from tests.model.store import Store

USERS = ("ann", "bob")


class World:
    """One sequence over an emptied database.

    Attributes
    ----------
    jobs
        What is expected of every job that should be there.
    owners
        The owner of every job that ever was, by the key as pushes write it.
    leases
        The row of every claim ever made: a zombie may come back with any of them.
    names
        What every claim ever made was called.
    unmarked
        Messages that were taken by the queue and whose sender has yet to say so.
    sent
        Every message that ever was handed to the queue.
    rejected
        The queue and the body of every message that is kept for the admin.
    cleared_at
        What the last "clear all finished" of each user answered for "undo".
    """

    def __init__(self, store: Store, seen: Counter[str], seed: int) -> None:
        store.empty()
        self.store = store
        self.seen = seen
        self.dice = random.Random(seed)
        self.mailbox = Mailbox()
        self.hub = Hub(REGISTRY)
        self.repository = PostgresRepository(store.database)
        self.backend = Backend(self.repository, self.mailbox, self.hub)
        self.manager = QueueManager((), repository=self.repository, queues=self.mailbox, notifier=self.hub, keep=KEEP)
        self.tracker = self.manager.tracker
        self.sweeper = self.manager.sweeper
        self.runner = Demo(self.backend)
        self.other = Other(self.backend)
        self.jobs: dict[JobKey, ExpectedJob] = {}
        self.owners: dict[str, str] = {}
        self.leases: list[QueuedJob] = []
        self.names: set[str] = set()
        self.unmarked: list[Reserved] = []
        self.sent: set[JobMessage] = set()
        self.cleared_at: dict[str, datetime] = {}
        self.rejected: set[tuple[str, bytes]] = set()
        #: Whether the kind of the jobs is paused.
        self.paused = False
        #: What bodies save: another value each time.
        self.cursors = count()
        self._marks = True
        self._foreseen: Counter[JobMessage] = Counter()
        self._pushes_checked = 0
        self.snapshot = store.snapshot()

    @property
    def now(self) -> datetime:
        """The database's clock at the last comparison."""
        return self.snapshot.now

    def job(self, at: int) -> ExpectedJob | None:
        return pick(list(self.jobs.values()), at)

    def wakeful(self, at: int) -> JobMessage | None:
        """The message that starts a job which can be started now."""
        due = [job for job in self.jobs.values() if job.claimable(job.gen, self.now)]
        job = pick(due, at)
        return None if job is None else JobMessage(id=job.key, gen=job.gen)

    def holder(self, at: int) -> QueuedJob | None:
        """One of the leases that count."""
        return pick([lease for lease in self.leases if self.holds(lease)], at)

    def holds(self, lease: QueuedJob) -> bool:
        job = self.jobs.get(lease.id)
        return job is not None and job.token == lease.lease_token

    def waiting_for(self, job: ExpectedJob) -> Iterable[JobMessage]:
        return [message for message in self.mailbox.messages if message.id == job.key]

    def break_things(self, *, fate: str = "arrives", marks: bool = True, hub_away: bool = False) -> None:
        """Let the queue, the marking of what was sent, or the hub fail until the next comparison."""
        self.mailbox.fate, self.hub.unavailable, self._marks = fate, hub_away, marks
        if not marks:
            self.store.database.refused.add("mark_sent")

    def accept(self, job: ExpectedJob) -> None:
        """A producer was told that this job is stored."""
        self.jobs[job.key] = job
        self.owners[str(job.key)] = job.user

    def foresee_send(self, job: ExpectedJob, delay: timedelta) -> None:
        """The library has to send the job's message now, unless the sweeper does it nearer to its time."""
        if delay > NEAR:
            return
        message = JobMessage(id=job.key, gen=job.gen)
        self._foreseen[message] += 1
        if not self.mailbox.takes:
            return
        if self._marks:
            job.marked(message.gen)

    def foresee_retry(self, job: ExpectedJob, retry_in: timedelta | None) -> None:
        """A runner has to send what it leaves waiting."""
        if job.is_waiting:
            self.foresee_send(job, retry_in or timedelta())

    def check(self) -> None:
        """Compare all of the store with what is expected, and end the faults of the last move."""
        if self._something_happened():
            self._compare()
        self.unmarked += self.store.database.unmarked()
        self.store.database.refused.clear()
        self.store.database.unheard.clear()
        self.break_things()

    def _something_happened(self) -> bool:
        """Return whether a statement ran, or should have; most of the time goes into snapshots."""
        expected = self._foreseen or any(job.times or job.steps for job in self.jobs.values())
        return self.store.database.used or bool(expected)

    def _compare(self) -> None:
        before, self.snapshot = self.snapshot, self.store.snapshot()
        properties.every_job_is_there(self.jobs.keys(), self.snapshot)
        properties.keys_are_unique(self.snapshot.jobs.values())
        for key, job in self.jobs.items():
            row = self.snapshot.jobs[key]
            if (row is not job.row and row != job.row) or job.times or job.steps:
                properties.row_is_as_expected(job, row, before.now, self.now)
                properties.history_is_as_expected(job, self.snapshot.claims[key])
                properties.changes_show(job.row, row)
                self.seen.update(job.steps)
                job.row = row
                job.times.clear()
                job.steps.clear()
        self._check_network(before.now)

    def rebase(self) -> None:
        """Take the stored times as they are, after they were moved on purpose."""
        self.snapshot = self.store.snapshot()
        for key, job in self.jobs.items():
            job.row = self.snapshot.jobs[key]

    def _check_network(self, before: datetime) -> None:
        asked = Counter(due.message for due in self.mailbox.asked)
        assert asked == self._foreseen, f"P12: messages were sent: {asked}, expected: {self._foreseen}"
        self.sent.update(asked)
        for due in self.mailbox.asked:
            row = self.snapshot.jobs[due.message.id]
            if row.dispatch_gen == due.message.gen:
                properties.message_wakes_in_time(due, row, before, self.now)
        properties.only_what_was_sent_is_marked(self.snapshot.jobs.values(), self.sent)
        properties.pushes_reach_owners_only(self.hub.pushes[self._pushes_checked :], self.owners)
        self._pushes_checked = len(self.hub.pushes)
        self.mailbox.asked.clear()
        self._foreseen.clear()
        kept = self.snapshot.rejected_count
        assert kept == len(self.rejected), f"{kept} rejected messages are kept, expected: {self.rejected}"


def pick[T](items: Sequence[T], at: int) -> T | None:
    """Return the item that a number means, whatever the number; None if there are none."""
    return items[at % len(items)] if items else None
