"""What lies on the queue: which job to look at, and which of its wake-ups this is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Self
from uuid import UUID

from queued_jobs.errors import RejectedMessage
from queued_jobs.model import JobKey, QueuedJob


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMessage:
    """A wake-up. Losing, doubling, delaying or forging one never loses, doubles or corrupts a job.

    Messages of an older generation than the row's are no-ops.
    """

    id: JobKey
    gen: int

    @classmethod
    def of(cls, job: QueuedJob) -> Self:
        """Make the message that is valid for the job now."""
        return cls(id=job.id, gen=job.dispatch_gen)

    def encode(self) -> str:
        return json.dumps({"v": 1, "id": str(self.id), "gen": self.gen}, separators=(",", ":"))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read a message; raises `RejectedMessage` for anything else that can lie on a queue."""
        try:
            data = json.loads(body)
            if data["v"] != 1:
                raise ValueError(f"version {data['v']!r} is not 1")
            gen = data["gen"]
            # bool is an int; a generation beyond bigint cannot be compared by Postgres
            if type(gen) is not int or not 0 < gen < 2**63:
                raise ValueError("gen is not a positive integer")
            return cls(id=UUID(data["id"]), gen=gen)
        except KeyError as exc:
            raise RejectedMessage(f"Not a job message: {exc} is missing.") from exc
        except (ValueError, TypeError, AttributeError, RecursionError) as exc:
            raise RejectedMessage(f"Not a job message: {exc}.") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A message that has to be sent, where to, and how long it stays invisible there."""

    message: JobMessage
    queue: str
    delay: timedelta
