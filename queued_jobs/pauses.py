"""Pauses kinds: their jobs are stored and wait, and none of them starts."""

from __future__ import annotations

import logging

from queued_jobs._arguments import check_kind, check_text
from queued_jobs.announcements import announce
from queued_jobs.backend import Backend
from queued_jobs.message import Reserved
from queued_jobs.model import Pause
from queued_jobs.repository import HOLD

logger = logging.getLogger(__name__)

#: Jobs whose messages are sent by `resume` itself: as many as a request has time for.
_AT_ONCE = 200


class Pauses:
    """The paused kinds of a set of tables, for operators.

    Jobs of a paused kind can be started, cancelled and retried as always. They wait without using up attempts, and keep
    their order. Running jobs continue to their end; one that is to be retried then waits, too. Schedules still
    start their jobs, one for each occurrence.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._repository = backend.repository

    async def all(self) -> list[Pause]:
        """Return the paused kinds, in alphabetical order."""
        return await self._repository.pauses()

    async def pause(self, kind: str, *, subject: str) -> Pause:
        """Let no further job of a kind start, and record by whom it was paused (1 to 200 characters).

        Idempotent: a kind that is paused stays paused since then. Raises `InvalidRequest` for an impossible name.
        """
        check_kind(kind)
        check_text("subject", subject, 200, required=True)
        pause = await self._repository.pause(kind, subject=subject)
        logger.info("the kind %s is paused", kind)
        return pause

    async def resume(self, kind: str) -> Pause | None:
        """End the pause of a kind, and return it; None if it is not paused.

        Sends the oldest waiting jobs; the sweeper sends the others in order. Idempotent, also after a crash.
        """
        check_kind(kind)
        pause = await self._repository.resume(kind)
        logger.info("the kind %s is resumed", kind)
        jobs = await self._repository.wake_paused(limit=_AT_ONCE, hold=HOLD)
        await self._backend.dispatcher().send(map(Reserved.of, jobs))
        await announce(self._backend.notifier, *jobs)
        return pause
