"""Queues and a notifier that record their calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from queued_jobs.chunks import Segment
from queued_jobs.errors import SendFailed
from queued_jobs.message import Due, JobMessage
from queued_jobs.model import Changed, QueuedJob
from queued_jobs.testing.clock import database_time


class FakeQueues:
    """`Queues` in a list. While `unavailable` is true every send raises `SendFailed`.

    Attributes
    ----------
    sent
        Every message that was ever sent, with its delay.
    """

    def __init__(self, clock: Callable[[], datetime] = database_time) -> None:
        self.sent: list[Due] = []
        self.unavailable = False
        self._clock = clock
        self._lying: list[tuple[datetime, Due]] = []

    async def ensure(self, *queues: str) -> None:
        """Create nothing: every queue exists here."""

    async def send(self, queue: str, message: JobMessage, *, delay: timedelta = timedelta()) -> None:
        if self.unavailable:
            raise SendFailed(f"The queue {queue} is unavailable.")
        due = Due(message=message, queue=queue, delay=delay)
        self.sent.append(due)
        self._lying.append((self._clock() + delay, due))

    def take(self) -> list[Due]:
        """Remove and return the messages that are visible now."""
        now = self._clock()
        visible = [due for at, due in self._lying if at <= now]
        self._lying = [(at, due) for at, due in self._lying if at > now]
        return visible


class RecordingNotifier:
    """`Notifier` that records every push immediately. While `unavailable` is true every push raises."""

    immediate: ClassVar[bool] = True

    def __init__(self) -> None:
        self.pushed: list[QueuedJob] = []
        self.removed: list[tuple[str, Changed]] = []
        self.output: list[tuple[str, Segment]] = []
        self.unavailable = False

    async def job_changed(self, *jobs: QueuedJob) -> None:
        self._check()
        self.pushed.extend(jobs)

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        self._check()
        self.removed.extend((user_id, change) for change in changes)

    async def output_appended(self, user_id: str, segment: Segment) -> None:
        self._check()
        self.output.append((user_id, segment))

    def _check(self) -> None:
        if self.unavailable:
            raise ConnectionError("The hub is unavailable.")
