"""What must become of one job, said once more without SQL: its transitions, and the times that they set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from queued_jobs import JobStatus, QueuedJob
from queued_jobs.model import JobKey

# The numbers are stated here again on purpose: a wrong one in the library must not correct itself in the model.
LEASE = timedelta(seconds=60)
TIMEOUT = timedelta(minutes=20)
GRACE = timedelta(seconds=5)
HOLD = timedelta(seconds=15)
NEAR = timedelta(minutes=10)
STALE = timedelta(minutes=10)
SLACK = timedelta(seconds=1)
POISON_PAUSES = [timedelta(seconds=30), *(timedelta(minutes=10 * 2**n) for n in range(5))]
KEEP = timedelta(days=30, hours=12)  # no whole number of days, so that a rounding of it shows
MAX_LOST = 3
MAX_RESEND = 5
GIVE_UP = 147

#: A time that a transition sets: so long from now, this very moment, or none.
type Moment = timedelta | datetime | None
NOW = timedelta()


@dataclass(slots=True, kw_only=True)
class Claim:
    """One line of the history."""

    gen: int
    attempt: int
    token: UUID
    outcome: str | None = None
    error: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class ExpectedJob:
    """A job as the model has it. Every method is a transition that the store has to make, too.

    `row` is the stored row as it was last compared; `times` is what has been set since then.
    """

    key: JobKey
    user: str
    request: dict[str, Any]
    #: How many attempts its kind allows.
    allowed: int
    idempotency_key: str | None
    unique_key: str | None
    status: JobStatus = JobStatus.PENDING
    version: int = 0
    attempt: int = 0
    #: Attempts that were released, or made before the last manual retry.
    uncounted: int = 0
    lost_count: int = 0
    gen: int = 1
    sent: int = 0
    resends: int = 0
    #: How often senders have marked the current generation as sent.
    marks: int = 0
    #: How often the host gave up on messages of which generation.
    poisonings: int = 0
    poisoned_gen: int = 0
    #: Its last message was answered without a start, so that a late mark of it counts for nothing.
    parked: bool = False
    token: UUID | None = None
    cancel_requested: bool = False
    error: str | None = None
    result: dict[str, Any] | None = None
    progress: float | None = None
    message: str | None = None
    claims: list[Claim] = field(default_factory=list)
    times: dict[str, Moment] = field(default_factory=dict)
    #: Which transitions led to which status since the row was last compared.
    steps: list[str] = field(default_factory=list)
    row: QueuedJob | None = None

    @property
    def is_waiting(self) -> bool:
        return self.status in (JobStatus.PENDING, JobStatus.RETRYING)

    @property
    def tries(self) -> int:
        return self.attempt - self.uncounted

    @property
    def is_owed(self) -> bool:
        return self.is_waiting and self.sent < self.gen

    def at(self, column: str, now: datetime) -> datetime:
        """Return a time of the job that must be there."""
        value = self.times[column] if column in self.times else getattr(self.row, column)
        assert value is not None, f"{column} of job {self.key} is empty"
        return now + value if isinstance(value, timedelta) else value

    def has(self, column: str) -> bool:
        return (self.times[column] if column in self.times else getattr(self.row, column)) is not None

    def is_due(self, now: datetime) -> bool:
        return self.at("available_at", now) <= now + SLACK

    def is_lost(self, now: datetime) -> bool:
        return self.status is JobStatus.RUNNING and self.at("lease_until", now) < now

    def hangs(self, now: datetime) -> bool:
        return self.status is JobStatus.RUNNING and self.at("deadline_at", now) < now

    def is_silent(self, now: datetime) -> bool:
        """Return whether its message went out so long ago that it must be lost."""
        sent_at = self.at("next_send_at", now)
        awake_at = max(sent_at, self.at("available_at", now))
        patience = STALE * 2 ** min(self.resends, 6)
        return self.is_waiting and self.sent >= self.gen and sent_at < now - STALE and awake_at < now - patience

    def added(self, delay: timedelta) -> None:
        self._set(created_at=NOW, available_at=delay, next_send_at=max(GRACE, delay - NEAR))
        self._step("add")

    def marked(self, gen: int) -> None:
        if self.gen == gen > self.sent and not self.parked:
            self.sent = gen
            self.marks += 1
            self._set(next_send_at=NOW)

    def picked(self) -> None:
        self.parked = False
        self._set(next_send_at=HOLD)

    def resent(self) -> None:
        self.sent, self.resends = self.gen - 1, self.resends + 1
        self._set(next_send_at=NOW)
        self._step("resend_silent", visible=False)

    def claimable(self, gen: int, now: datetime) -> bool:
        return self.is_waiting and gen == self.gen and not self.cancel_requested and self.is_due(now)

    def claimed(self, token: UUID) -> None:
        self.status, self.token, self.attempt = JobStatus.RUNNING, token, self.attempt + 1
        self.sent, self.resends, self.parked = self.gen, 0, False
        self.progress = self.message = None
        self.claims.append(Claim(gen=self.gen, attempt=self.attempt, token=token))
        self._set(lease_until=LEASE, deadline_at=TIMEOUT, started_at=NOW)
        self._step("claim")

    def came_early(self, now: datetime) -> None:
        if self.sent >= self.gen or not self.parked:
            near = self.at("available_at", now) - NEAR
            self.sent, self.parked = self.gen - 1, True
            self._set(next_send_at=near if near > now else NOW)
            self._step("not_due", visible=False)

    def without_handler(self) -> None:
        wait = timedelta(seconds=min(600, 30 * 2 ** min(self.resends, 5)))
        self._give_up(self.resends >= GIVE_UP, "no-handler")
        self.resends += 1
        self._set(available_at=wait, next_send_at=NOW)
        self._step("no_handler")

    def came_back_unmarked(self) -> None:
        """The poison queue has a message whose sender has not said yet that it was sent."""
        if not self.parked:
            self.parked = True
            self._step("poisoned_unmarked", visible=False)

    def may_be_poisoned(self, now: datetime) -> bool:
        return self.poisoned_gen != self.gen or self.at("poisoned_until", now) <= now

    def poisoned(self) -> None:
        self.poisonings = self.poisonings + 1 if self.poisoned_gen == self.gen else 1
        self.poisoned_gen = self.gen
        self._give_up(self.poisonings > MAX_RESEND, "poison")
        pause = POISON_PAUSES[self.poisonings - 1]
        self._set(next_send_at=pause, poisoned_until=pause)
        self._step("poisoned")

    def beats(self, progress: float | None, message: str | None) -> None:
        before = self.progress, self.message
        self.progress = self.progress if progress is None else progress
        self.message = self.message if message is None else message
        self._set(lease_until=LEASE)
        self._step("heartbeat", visible=(self.progress, self.message) != before)

    def succeeds(self, result: dict[str, Any]) -> None:
        self._leave(JobStatus.SUCCEEDED, "succeeded")
        self.result, self.error, self.progress = result, None, 1.0
        self._step("succeed")

    def fails(self, error: str, retry_in: timedelta | None) -> None:
        final = retry_in is None or self.tries >= self.allowed
        status = JobStatus.FAILED if final else JobStatus.RETRYING
        self._leave(JobStatus.CANCELLED if self.cancel_requested else status, "failed", error)
        self.error = error
        delay = retry_in or NOW
        self._again(delay, max(GRACE, delay - NEAR))
        self._step("fail")

    def cancels(self) -> None:
        self._leave(JobStatus.CANCELLED, "cancelled")
        self._step("finish_cancelled")

    def released(self) -> None:
        status = JobStatus.RETRYING if self.tries > 1 else JobStatus.PENDING
        self._leave(JobStatus.CANCELLED if self.cancel_requested else status, "released")
        self.uncounted += 1
        self._again(NOW, NOW)
        self._step("release")

    def rescued(self, *, worker_lost: bool) -> None:
        self.lost_count += worker_lost
        status = JobStatus.RETRYING
        if worker_lost and (self.lost_count >= MAX_LOST or self.tries >= self.allowed):
            status = JobStatus.ABORTED
        elif self.tries >= self.allowed:
            status = JobStatus.FAILED
        self._leave(JobStatus.CANCELLED if self.cancel_requested else status, "lost" if worker_lost else "timeout")
        self.error = "worker-lost" if worker_lost else "timeout"
        self._again(NOW, NOW)
        self._step("rescue")

    def cancel_asked(self) -> None:
        self.cancel_requested = True
        if self.is_waiting:
            self.status = JobStatus.CANCELLED
            self._set(finished_at=NOW)
        self._step("cancel")

    def requeued(self) -> None:
        self.status, self.uncounted, self.lost_count, self.resends = JobStatus.PENDING, self.attempt, 0, 0
        self.parked = False
        self.error, self.cancel_requested, self.progress, self.message = None, False, None, None
        self._set(started_at=None, finished_at=None, seen_at=None, cleared_at=None)
        self._again(NOW, NOW)
        self._step("requeue")

    def seen(self) -> None:
        self._set(seen_at=NOW)
        self._step("mark_seen")

    def cleared(self) -> None:
        self._set(cleared_at=NOW)
        if not self.has("seen_at"):
            self._set(seen_at=NOW)
        self._step("clear")

    def brought_back(self) -> None:
        self._set(cleared_at=None)
        self._step("undo_clear")

    def _give_up(self, gone: bool, error: str) -> None:
        if gone:
            self.status, self.error = JobStatus.ABORTED, error
            self._set(finished_at=NOW)
        self.sent, self.parked = self.gen - 1, True

    def _leave(self, status: JobStatus, outcome: str, error: str | None = None) -> None:
        self.status, self.token = status, None
        self.claims[-1].outcome, self.claims[-1].error = outcome, error
        self._set(lease_until=None, deadline_at=None)
        if status.is_final:
            self._set(finished_at=NOW)

    def _again(self, available_in: timedelta, send_in: timedelta) -> None:
        self.gen, self.marks = self.gen + 1, 0
        self._set(next_send_at=send_in)
        if not self.status.is_final:  # else how long the last attempt waited is still to be told
            self._set(available_at=available_in)

    def _set(self, **times: Moment) -> None:
        self.times |= times

    def _step(self, name: str, *, visible: bool = True) -> None:
        self.version += visible
        self.steps.append(f"{name} -> {self.status}")
