"""Tells people's browsers that a job changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from queued_jobs.model import Changed, QueuedJob


class Notifier(Protocol):
    """Pushes after the commit. A push is a hint that may be lost: readers compare versions and read again.

    Implementations may raise and may take their time, up to half a minute: nobody waits for them. Changes go through an
    outbox (`queued_jobs.outbox`), which logs what is raised, pauses while pushes keep failing, and calls an
    implementation for several owners at once, but for one owner only after the last call for that owner.

    One that awaits nothing, such as a list in a test, may have an attribute `immediate = True`: it is called at once,
    with every change.
    """

    async def job_changed(self, *jobs: QueuedJob) -> None:
        """Push the public view of each job to its owner."""

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        """Tell the owner's other tabs that these jobs left the bell."""


class NullNotifier:
    """Pushes nothing: the switch for "no notifications"."""

    immediate: ClassVar[bool] = True

    async def job_changed(self, *jobs: QueuedJob) -> None:
        return None

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        return None
