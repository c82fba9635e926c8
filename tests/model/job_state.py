"""One job as the model has it: its fields, and the questions that the walks ask about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from queued_jobs import JobStatus, QueuedJob
from queued_jobs.model import JobKey

# The numbers are stated here again on purpose: a wrong one in the library must not correct itself in the model.
STALE = timedelta(minutes=10)
SLACK = timedelta(seconds=1)
MAX_RESUMES = 2

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
class JobState:
    """A job as the model has it.

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
    #: It waits for its kind to be resumed.
    paused: bool = False
    token: UUID | None = None
    cancel_requested: bool = False
    error: str | None = None
    result: dict[str, Any] | None = None
    progress: float | None = None
    message: str | None = None
    #: What its body has saved last, the generation that changed it last, and how many attempts did not count for it.
    saved: dict[str, Any] | None = None
    saved_gen: int = 0
    resumes: int = 0
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
    def resumes_free(self) -> bool:
        """Return whether the current attempt, if its worker is lost, does not count."""
        return self.saved is not None and self.saved_gen == self.gen and self.resumes < MAX_RESUMES

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

    def set_times(self, **times: Moment) -> None:
        self.times |= times

    def note_step(self, name: str, *, visible: bool = True) -> None:
        self.version += visible
        self.steps.append(f"{name} -> {self.status}")
