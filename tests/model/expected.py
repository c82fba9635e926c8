"""What must become of one job, said once more without SQL: its transitions, and the times that they set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from queued_jobs import JobStatus
from queued_jobs.model import HELD
from tests.model.job_state import NOW, Claim, JobState

# The numbers are stated here again on purpose: a wrong one in the library must not correct itself in the model.
LEASE = timedelta(seconds=60)
TIMEOUT = timedelta(minutes=20)
HOLD = timedelta(seconds=15)
NEAR = timedelta(minutes=10)
POISON_PAUSES = [timedelta(seconds=30), *(timedelta(minutes=10 * 2**n) for n in range(5))]
KEEP = timedelta(days=30, hours=12)  # no whole number of days, so that a rounding of it shows
MAX_LOST = 3
MAX_RESEND = 5
GIVE_UP = 147


@dataclass(slots=True, kw_only=True, eq=False)
class ExpectedJob(JobState):
    """Every method is a transition that the store has to make, too."""

    def added(self, delay: timedelta) -> None:
        self.set_times(created_at=NOW, available_at=delay, next_send_at=max(HOLD, delay - NEAR))
        self.note_step("add")

    def marked_late(self, gen: int, until: datetime) -> None:
        """A sender reports late; what another sender has taken since is no longer its own."""
        if self.row is not None and self.row.next_send_at == until:
            self.marked(gen)

    def marked(self, gen: int) -> None:
        if self.gen == gen > self.sent and not self.parked:
            self.sent = gen
            self.marks += 1
            self.set_times(next_send_at=NOW)

    def picked(self) -> None:
        self.parked = False
        self.set_times(next_send_at=HOLD)

    def resent(self) -> None:
        self.sent, self.resends = self.gen - 1, self.resends + 1
        self.set_times(next_send_at=NOW)
        self.note_step("resend_silent", visible=False)

    def claimable(self, gen: int, now: datetime) -> bool:
        return self.is_waiting and gen == self.gen and not self.cancel_requested and self.is_due(now)

    def claimed(self, token: UUID) -> None:
        self.status, self.token, self.attempt = JobStatus.RUNNING, token, self.attempt + 1
        self.sent, self.resends, self.parked = self.gen, 0, False
        self.progress, self.message = self.progress if self.saved else None, None
        self.claims.append(Claim(gen=self.gen, attempt=self.attempt, token=token))
        self.set_times(lease_until=LEASE, deadline_at=TIMEOUT, started_at=NOW)
        if self.paused:
            self.paused = False
            self.set_times(paused_at=None, next_send_at=NOW)
        self.note_step("claim")

    def held(self) -> None:
        """Its message came while its kind is paused."""
        self.sent, self.parked = self.gen - 1, True
        self.set_times(next_send_at=HELD)
        if not self.paused:
            self.set_times(paused_at=NOW)
        self.note_step("hold", visible=not self.paused)
        self.paused = True

    def woken(self, hold: timedelta) -> None:
        """Its kind is no longer paused."""
        self.paused = self.parked = False
        self.set_times(paused_at=None, next_send_at=hold)
        self.note_step("wake_paused")

    def came_early(self, now: datetime) -> None:
        if self.sent >= self.gen or not self.parked:
            near = self.at("available_at", now) - NEAR
            self.sent, self.parked = self.gen - 1, True
            self.set_times(next_send_at=near if near > now else NOW)
            self.note_step("not_due", visible=False)

    def without_handler(self) -> None:
        wait = timedelta(seconds=min(600, 30 * 2 ** min(self.resends, 5)))
        self._give_up(self.resends >= GIVE_UP, "no-handler")
        self.resends += 1
        self.set_times(available_at=wait, next_send_at=NOW)
        self.note_step("no_handler")

    def came_back_unmarked(self) -> None:
        """The poison queue has a message whose sender has not said yet that it was sent."""
        if not self.parked:
            self.parked = True
            self.note_step("poisoned_unmarked", visible=False)

    def may_be_poisoned(self, now: datetime) -> bool:
        return self.poisoned_gen != self.gen or self.at("poisoned_until", now) <= now

    def poisoned(self) -> None:
        self.poisonings = self.poisonings + 1 if self.poisoned_gen == self.gen else 1
        self.poisoned_gen = self.gen
        self._give_up(self.poisonings > MAX_RESEND, "poison")
        pause = POISON_PAUSES[self.poisonings - 1]
        self.set_times(next_send_at=pause, poisoned_until=pause)
        self.note_step("poisoned")

    def beats(self, progress: float | None, message: str | None) -> None:
        before = self.progress, self.message
        self.progress = self.progress if progress is None else progress
        self.message = self.message if message is None else message
        self.set_times(lease_until=LEASE)
        self.note_step("heartbeat", visible=(self.progress, self.message) != before)

    def saves(self, value: dict[str, Any]) -> None:
        if value != self.saved:
            self.saved, self.saved_gen = value, self.gen
        self.note_step("save", visible=False)

    def succeeds(self, result: dict[str, Any]) -> None:
        self._leave(JobStatus.SUCCEEDED, "succeeded")
        self.result, self.error, self.progress = result, None, 1.0
        self.note_step("succeed")

    def fails(self, error: str, retry_in: timedelta | None, *, resume: bool = False) -> None:
        if resume and retry_in is not None and self.resumes_free:
            self._resumed()
        final = retry_in is None or self.tries >= self.allowed
        status = JobStatus.FAILED if final else JobStatus.RETRYING
        self._leave(JobStatus.CANCELLED if self.cancel_requested else status, "failed", error)
        self.error = error
        delay = retry_in or NOW
        self._again(delay, max(HOLD, delay - NEAR))
        self.note_step("fail")

    def cancels(self) -> None:
        self._leave(JobStatus.CANCELLED, "cancelled")
        self.note_step("finish_cancelled")

    def released(self) -> None:
        status = JobStatus.RETRYING if self.tries > 1 else JobStatus.PENDING
        self._leave(JobStatus.CANCELLED if self.cancel_requested else status, "released")
        self.uncounted += 1
        self._again(NOW, HOLD)
        self.note_step("release")

    def rescued(self, *, worker_lost: bool) -> None:
        resumes = worker_lost and self.resumes_free
        self.lost_count += worker_lost and not resumes
        status = JobStatus.RETRYING
        if resumes:
            self._resumed()
        elif worker_lost and (self.lost_count >= MAX_LOST or self.tries >= self.allowed):
            status = JobStatus.ABORTED
        elif self.tries >= self.allowed:
            status = JobStatus.FAILED
        self._leave(JobStatus.CANCELLED if self.cancel_requested else status, "lost" if worker_lost else "timeout")
        self.error = "worker-lost" if worker_lost else "timeout"
        self._again(NOW, NOW)
        self.note_step("rescue")

    def cancel_asked(self) -> None:
        self.cancel_requested = True
        if self.is_waiting:
            self.status = JobStatus.CANCELLED
            self.set_times(finished_at=NOW)
        self.note_step("cancel")

    def requeued(self, *, from_start: bool) -> None:
        self.saved, self.resumes = None if from_start else self.saved, 0
        self.status, self.uncounted, self.lost_count, self.resends = JobStatus.PENDING, self.attempt, 0, 0
        self.parked = self.paused = False
        self.error, self.cancel_requested, self.progress, self.message = None, False, None, None
        self.set_times(started_at=None, finished_at=None, seen_at=None, cleared_at=None, paused_at=None)
        self._again(NOW, HOLD)
        self.note_step("requeue")

    def seen(self) -> None:
        self.set_times(seen_at=NOW)
        self.note_step("mark_seen")

    def cleared(self) -> None:
        self.set_times(cleared_at=NOW)
        if not self.has("seen_at"):
            self.set_times(seen_at=NOW)
        self.note_step("clear")

    def brought_back(self) -> None:
        self.set_times(cleared_at=None)
        self.note_step("undo_clear")

    def _resumed(self) -> None:
        self.resumes += 1
        self.uncounted += 1

    def _give_up(self, gone: bool, error: str) -> None:
        if gone:
            self.status, self.error = JobStatus.ABORTED, error
            self.set_times(finished_at=NOW)
        self.sent, self.parked = self.gen - 1, True

    def _leave(self, status: JobStatus, outcome: str, error: str | None = None) -> None:
        self.status, self.token = status, None
        self.claims[-1].outcome, self.claims[-1].error = outcome, error
        self.set_times(lease_until=None, deadline_at=None)
        if status.is_final:
            self.set_times(finished_at=NOW)

    def _again(self, available_in: timedelta, send_in: timedelta) -> None:
        self.gen, self.marks = self.gen + 1, 0
        self.set_times(next_send_at=send_in)
        if not self.status.is_final:  # else how long the last attempt waited is still to be told
            self.set_times(available_at=available_in)
