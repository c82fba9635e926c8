"""The jobs that the load asked for, and what it was told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tools.chaos.jobs.attacked import Mode

How = Literal["http", "library", "batch", "follow-up", "transaction"]


@dataclass(slots=True, kw_only=True)
class Asked:
    """One job.

    Attributes
    ----------
    idempotency_key
        Under which it is found, also if no response came.
    id
        None until the system has accepted the job.
    accepted_at
        Seconds since the epoch.
    is_cancelled
        Whether a cancel request was sent, whatever the response.
    is_rolled_back
        Whether its transaction was rolled back, so that it must not exist.
    """

    number: int
    kind: str
    mode: Mode
    how: How
    user_id: str
    idempotency_key: str
    line: str | None = None
    members: int = 0
    id: str | None = None
    accepted_at: float = 0.0
    is_cancelled: bool = False
    is_rolled_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request that starts a job: `status` 0 means that no response came."""

    at: float
    seconds: float
    status: int


@dataclass(slots=True)
class Ledger:
    """All that was asked. Only the load's thread adds to it."""

    asked: list[Asked] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    @property
    def accepted(self) -> list[Asked]:
        return [one for one in self.asked if one.id is not None]
