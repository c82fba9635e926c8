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
        key = self.id if isinstance(self.id, int) else str(self.id)
        return json.dumps({"v": 1, "id": key, "gen": self.gen}, separators=(",", ":"))

    @classmethod
    def decode(cls, body: bytes, *, key_type: type[UUID] | type[int] = UUID) -> Self:
        """Read a message; raises `RejectedMessage` for anything else that can lie on a queue."""
        try:
            data = json.loads(body)
            if data["v"] != 1:  # not repeated: it may be of any length
                raise ValueError("its version is not 1")
            gen, key = data["gen"], data["id"]
            if not _is_positive(gen):
                raise ValueError("gen is not a positive integer")
            if key_type is UUID:
                return cls(id=UUID(key), gen=gen)
            if not _is_positive(key):
                raise ValueError("id is not a positive integer")
            return cls(id=key, gen=gen)
        except KeyError as exc:
            raise RejectedMessage(f"Not a job message: {exc} is missing.") from exc
        except (ValueError, TypeError, AttributeError, RecursionError) as exc:
            raise RejectedMessage(f"Not a job message: {exc}.") from exc


def _is_positive(value: object) -> bool:
    # bool is an int; a number beyond bigint cannot be compared by Postgres
    return type(value) is int and 0 < value < 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A message that has to be sent, where to, and how long it stays invisible there."""

    message: JobMessage
    queue: str
    delay: timedelta
