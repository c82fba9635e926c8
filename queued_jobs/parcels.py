"""What waits in an outbox for one receiver: the newest state, every step, or what was emitted."""

from __future__ import annotations

from queued_jobs.chunks import MAX_SEGMENT_BYTES, Segment
from queued_jobs.model import Changed, JobKey, QueuedJob


class Newest:
    """For readers of the current state: keeps the highest version of each job."""

    def __init__(self) -> None:
        self._changes: dict[JobKey, QueuedJob | Changed] = {}

    def __len__(self) -> int:
        return len(self._changes)

    def add(self, change: QueuedJob | Changed) -> None:
        known = self._changes.get(change.id)
        if known is None or known.version <= change.version:
            self._changes[change.id] = change

    def take(self, limit: int) -> list[QueuedJob | Changed]:
        keys = list(self._changes)[:limit]
        return [self._changes.pop(key) for key in keys]


class Steps:
    """For readers of every status: keeps the statuses of one job in order, with the newest change of each."""

    def __init__(self) -> None:
        self._jobs: list[QueuedJob] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, change: QueuedJob) -> None:
        if self._jobs and self._jobs[-1].status == change.status:
            self._jobs.pop()
        self._jobs.append(change)

    def take(self, limit: int) -> list[QueuedJob]:
        return [self._jobs.pop(0)] if self._jobs else []


class Segments:
    """For readers of output: keeps one segment of each job, and their texts while these are small together."""

    def __init__(self) -> None:
        self._segments: dict[JobKey, Segment] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._segments)

    def add(self, change: Segment) -> None:
        known = self._segments.get(change.id)
        if known is not None:
            self._size -= known.size
            change = known.joined(change)
        if self._size + change.size > MAX_SEGMENT_BYTES:
            change = change.bare()
        self._size += change.size
        self._segments[change.id] = change

    def take(self, limit: int) -> list[Segment]:
        """Return one segment: a push holds one."""
        if not self._segments:
            return []
        taken = self._segments.pop(next(iter(self._segments)))
        self._size -= taken.size
        return [taken]
