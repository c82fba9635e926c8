"""The kinds with a schedule, for operators: when they ran and will run, and manual starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from queued_jobs._arguments import check_text, check_type
from queued_jobs._descriptions import describe
from queued_jobs.backend import Backend
from queued_jobs.errors import KeyReused
from queued_jobs.handle import JobHandle
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.periodic import last_occurrence, start_occurrence
from queued_jobs.registry import JobRegistry

#: Begins the idempotency key of a job that an operator started, so that it never counts as an occurrence.
_MANUAL = "run-now:"
#: Maximum length of an operator's key.
MAX_KEY = 190
#: Occurrences since the first call with a key, at most, after which it is still recognised.
_MAX_BACK = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When the jobs of a kind start automatically.

    Attributes
    ----------
    expression
        NCRONTAB in UTC.
    last_at, next_at
        The latest occurrence that was started, None if there is none, and the next one.
    """

    kind: str
    expression: str
    last_at: datetime | None
    next_at: datetime


class Schedules:
    """The kinds with a schedule, for operators."""

    def __init__(self, backend: Backend, registry: JobRegistry) -> None:
        self._backend = backend
        self._registry = registry

    async def all(self) -> list[Schedule]:
        """Return the schedules by the names of their kinds, at the time of the database. Reads one row for each."""
        runners = sorted((one for one in self._registry if one.schedule is not None), key=lambda one: one.kind)
        if not runners:
            return []
        now = await self._backend.repository.now()
        return [
            Schedule(
                kind=runner.kind,
                expression=runner.schedule,
                last_at=await last_occurrence(self._backend, runner),
                next_at=Ncrontab(runner.schedule).next(now),
            )
            for runner in runners
            if runner.schedule is not None
        ]

    async def run_now(self, kind: str, *, key: str) -> JobHandle[Any]:
        """Start the job of the latest occurrence once more, for the schedule's user. The schedule does not move.

        A repeated call with the same `key` (1 to 190 characters) returns the first job. Raises `LookupError` for a kind
        without a schedule, and `KeyReused` if the key was used several occurrences ago: then nothing is started.
        """
        check_type("kind", kind, str)
        check_text("key", key, MAX_KEY, required=True)
        runner = self._registry.get(kind)
        if runner is None or runner.schedule is None:
            raise LookupError(f"the kind {describe(kind)} has no schedule")
        schedule = Ncrontab(runner.schedule)
        due = schedule.latest(await self._backend.repository.now())
        for left in reversed(range(_MAX_BACK)):
            try:
                return await start_occurrence(self._backend, runner, due, key=f"{_MANUAL}{key}")
            except KeyReused:
                if not left:
                    raise
                # the first call with this key came before the latest occurrence
                due = schedule.latest(due - timedelta(seconds=1))
        raise AssertionError("unreachable")
