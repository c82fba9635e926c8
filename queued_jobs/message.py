"""The queue message: the job's id and the generation of the wake-up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from queued_jobs.errors import RejectedMessage
from queued_jobs.model import JobKey, QueuedJob


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMessage:
    """A wake-up. Losing, duplicating, delaying or forging one never loses, duplicates or corrupts a job.

    Messages of an older generation than the row's are no-ops.
    """

    id: JobKey
    gen: int

    @classmethod
    def of(cls, job: QueuedJob) -> Self:
        """Return the message that is currently valid for the job."""
        return cls(id=job.id, gen=job.dispatch_gen)

    def encode(self) -> str:
        key = self.id if isinstance(self.id, int) else str(self.id)
        return json.dumps({"v": 1, "id": key, "gen": self.gen}, separators=(",", ":"))

    @classmethod
    def decode(cls, body: bytes, *, key_type: type[UUID] | type[int] = UUID) -> Self:
        """Parse a message. Raises `RejectedMessage` for anything else found on a queue."""
        try:
            data = json.loads(body)
            if data["v"] != 1:  # not quoted: it may have any length
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
    # bool is a subclass of int; Postgres cannot compare a number beyond bigint
    return type(value) is int and 0 < value < 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A message to send, its queue, and its delay."""

    message: JobMessage
    queue: str
    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved(Due):
    """A message that is reserved for one sender: no other sender takes it before `until`.

    Attributes
    ----------
    until
        End of the reservation by the database's clock, the row's `next_send_at`. Reservations differ in it, so it also
        tells the senders of one message apart.
    """

    until: datetime

    @classmethod
    def of(cls, job: QueuedJob, *, delay: timedelta = timedelta()) -> Self:
        """Return the message that was reserved with the change which returned this row."""
        return cls(message=JobMessage.of(job), queue=job.queue, delay=delay, until=job.next_send_at)
