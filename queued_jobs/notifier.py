"""Informs users' browsers that a job changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from queued_jobs.chunks import Segment
from queued_jobs.model import Changed, QueuedJob


class Notifier(Protocol):
    """Pushes changes after the commit. A push may be lost, so readers compare versions and reload.

    Implementations may raise and may take up to half a minute: no caller waits for them. Changes go through an outbox
    (`queued_jobs.outbox`), which logs exceptions, pauses while pushes keep failing, and calls an implementation
    concurrently for different owners, but one call at a time for each owner.

    An implementation that never suspends, such as a list in a test, may set `immediate = True`: it is called directly
    with every change.
    """

    async def job_changed(self, *jobs: QueuedJob) -> None:
        """Push the public view of each job to its owner."""

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        """Push to the owner's other tabs that these jobs were removed from the bell."""


@runtime_checkable
class OutputNotifier(Protocol):
    """What a `Notifier` may have beside: without it, readers of a job's output have to ask for it.

    Segments have a separate outbox, so they neither wait for changes nor delay them, and the last one of a job may
    arrive before or after its final state. An owner gets those of one job in order.
    """

    async def output_appended(self, user_id: str, segment: Segment) -> None:
        """Push to the owner what a job has emitted, after the commit; a bare segment says only that there is more."""


class NullNotifier:
    """Pushes nothing: the switch for "no notifications"."""

    immediate: ClassVar[bool] = True

    async def job_changed(self, *jobs: QueuedJob) -> None:
        return None

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        return None
