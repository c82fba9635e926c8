"""Tells people's browsers that a job changed."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from typing import Protocol

from queued_jobs.errors import JobsError
from queued_jobs.model import Changed, QueuedJob

logger = logging.getLogger(__name__)


class Notifier(Protocol):
    """Pushes after the commit. A push is a hint that may be lost: readers compare versions and read again.

    Implementations may raise; callers log that and go on, since a push never changes what became of a job.
    """

    async def job_changed(self, *jobs: QueuedJob) -> None:
        """Push the public view of each job to its owner."""

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        """Tell the owner's other tabs that these jobs left the bell."""


class NullNotifier:
    """Pushes nothing: the switch for "no notifications"."""

    async def job_changed(self, *jobs: QueuedJob) -> None:
        return None

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        return None


async def announce(push: Awaitable[None], what: str) -> None:
    """Await a push. Whatever it raises is logged and changes nothing: what became of the job stands in its row."""
    try:
        await push
    except JobsError as exc:
        logger.warning("%s was not announced: %s", what, exc)
    except Exception:
        logger.exception("%s was not announced", what)
