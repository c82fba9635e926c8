"""Queues and a notifier that remember what they were given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from queued_jobs.errors import SendFailed
from queued_jobs.message import Due, JobMessage
from queued_jobs.model import Changed, QueuedJob


class FakeQueues:
    """`Queues` in a list. While `away` is true every send raises `SendFailed`."""

    def __init__(self) -> None:
        self.sent: list[Due] = []
        self.away = False

    async def send(self, queue: str, message: JobMessage, *, delay: timedelta = timedelta()) -> None:
        if self.away:
            raise SendFailed(f"The queue {queue} is away.")
        self.sent.append(Due(message=message, queue=queue, delay=delay))


class RecordingNotifier:
    """`Notifier` that keeps every push. While `away` is true every push raises."""

    def __init__(self) -> None:
        self.pushed: list[QueuedJob] = []
        self.removed: list[tuple[str, Changed]] = []
        self.away = False

    async def job_changed(self, *jobs: QueuedJob) -> None:
        self._check()
        self.pushed.extend(jobs)

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        self._check()
        self.removed.extend((user_id, change) for change in changes)

    def _check(self) -> None:
        if self.away:
            raise ConnectionError("The hub is away.")
