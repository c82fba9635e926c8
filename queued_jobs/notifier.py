"""Informs users' browsers that a job changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

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


class NullNotifier:
    """Pushes nothing: the switch for "no notifications"."""

    immediate: ClassVar[bool] = True

    async def job_changed(self, *jobs: QueuedJob) -> None:
        return None

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        return None
