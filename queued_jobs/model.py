"""The data of a job: its row, its attempts, and the values passed between the parts."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID

from queued_jobs._descriptions import describe

type JobKey = UUID | int

#: available_at of a job that is held until others have ended.
HELD: Final = datetime(9999, 12, 31, tzinfo=UTC)


class JobStatus(StrEnum):
    """The state of a job. The last four are final: only users, admins and retention change a final row.

    pending ---> running ---> succeeded
       ^         |  |  |----> failed      the body's error, or no attempts left
       |         |  |-------> cancelled
    (release)    |----------> aborted     not the body's fault: three lost workers, poison message, no handler
                 '--> retrying ---> running
    """

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABORTED = "aborted"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.ABORTED)

    @classmethod
    def read(cls, stored: str) -> Self:
        """Return the status that a row has.

        A later version's status is read too, while its hosts run beside those of this version: it is not final, and
        this version's statements leave the job as it is.
        """
        try:
            return cls(stored)
        except ValueError:
            # not by _missing_, which would accept it from clients
            unknown = str.__new__(cls, stored)
            unknown._name_, unknown._value_ = stored.upper(), stored
            return unknown

    @property
    def is_known(self) -> bool:
        """Whether it is a status of this version."""
        return self.value in JobStatus


#: The class of a stored error that names none.
_NO_CLASS: Final = "unknown"


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why an attempt ended badly. The owner sees type and message; the traceback is for admins."""

    type: str
    message: str
    traceback: str | None = None

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read a stored error. Any JSON is read: one row of other code must not hide the rows beside it."""
        if not isinstance(data, Mapping):
            return cls(type=_NO_CLASS, message=_as_text(data))
        trace = data.get("traceback")
        return cls(
            type=_as_text(data.get("type")) or _NO_CLASS,
            message=_as_text(data.get("message")),
            traceback=None if trace is None else _as_text(trace),
        )

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """One row of `queued_jobs.job`. All times are UTC by the database's clock."""

    id: JobKey
    kind: str
    schema_version: int
    queue: str
    user_id: str
    #: The owner's name when the job was started, for people who may see all jobs; None if unknown.
    user_name: str | None
    idempotency_key: str | None
    unique_key: str | None
    #: Jobs of a kind with the same key share the kind's `concurrency`.
    concurrency_key: str | None
    #: Since when no message is on its way because the last one did not start the job: it waits for others with its
    #: key, for its due time, or for a worker that can run it.
    parked_at: datetime | None
    #: Since when it waits for its kind to be resumed. May stay in a job that has ended since.
    paused_at: datetime | None
    #: The batch that the job belongs to.
    batch_id: UUID | None
    #: The batch that this job waits for.
    after_batch: UUID | None
    parent_id: JobKey | None
    traceparent: str | None
    request: Mapping[str, Any]
    status: JobStatus
    #: Number of the current or last attempt: 1 for the first, plus one with each claim; never decreases.
    attempt: int
    #: Highest allowed number of an attempt: the kind's maximum plus the attempts that do not count.
    max_attempts: int
    #: Attempts that do not count: released attempts, and all before the last manual retry.
    uncounted: int
    #: How often the job's worker was lost.
    lost_count: int
    #: Generation of the valid wake-up. Each retry, rescue, release and requeue makes older messages no-ops.
    dispatch_gen: int
    sent_gen: int
    next_send_at: datetime
    resend_count: int
    #: The generation whose messages the host last moved to the poison queue, how many of its sends were poisoned, and
    #: until when no further one counts.
    poisoned_gen: int
    poisoned_count: int
    poisoned_until: datetime | None
    available_at: datetime
    lease_token: UUID | None
    lease_until: datetime | None
    deadline_at: datetime | None
    worker_id: str | None
    cancel_requested: bool
    #: From 0 to 1.
    progress: float | None
    progress_message: str | None
    result: Mapping[str, Any] | None
    error: JobError | None
    #: Increases with every visible change, and never decreases.
    version: int
    created_at: datetime
    #: Start of the current or the last attempt.
    started_at: datetime | None
    finished_at: datetime | None
    #: When the result was dropped.
    expired_at: datetime | None
    seen_at: datetime | None
    cleared_at: datetime | None
    #: What earlier attempts have saved, see `JobContext.save`; only in the row that a claim returns.
    saved: Mapping[str, Any] | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        values = {name: row[name] for name in JOB_COLUMNS}
        values["saved"] = row.get("saved")
        values["status"] = JobStatus.read(values["status"])
        values["error"] = None if values["error"] is None else JobError.from_json(values["error"])
        return cls(**values)

    @property
    def is_held(self) -> bool:
        """Whether it waits for the end of a batch."""
        return self.status is JobStatus.PENDING and self.available_at == HELD

    @property
    def is_paused(self) -> bool:
        """Whether it waits for its kind to be resumed."""
        return self.paused_at is not None and self.status in (JobStatus.PENDING, JobStatus.RETRYING)

    @property
    def tries(self) -> int:
        """How many attempts count against the kind's maximum, including the current one."""
        return max(0, self.attempt - self.uncounted)

    @property
    def waited(self) -> timedelta | None:
        """How long the last attempt waited in the queue after it was due."""
        return None if self.started_at is None else self.started_at - self.available_at

    @property
    def ran_for(self) -> timedelta | None:
        """How long the attempt that ended the job ran."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


_IN_A_HEADER = re.compile("[^\x00-\x1f\x7f\ud800-\udfff]+")
#: The columns of the table that a job is read from.
JOB_COLUMNS: Final = tuple(field.name for field in dataclasses.fields(QueuedJob) if field.name != "saved")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be stored."""

    id: JobKey
    kind: str
    schema_version: int
    queue: str
    user_id: str
    request: Mapping[str, Any]
    max_attempts: int
    #: Digest of the fields set by the caller, to recognise a repeated request.
    asked: str | None = None
    delay: timedelta = timedelta()
    idempotency_key: str | None = None
    unique_key: str | None = None
    concurrency_key: str | None = None
    batch_id: UUID | None = None
    #: Hold the job until every job of this batch has ended.
    after_batch: UUID | None = None
    parent_id: JobKey | None = None
    traceparent: str | None = None
    user_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """The stored job, or the existing one returned in its place (`duplicate`)."""

    job: QueuedJob
    duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One claim of a job and how it ended: succeeded, failed, cancelled, lost, timeout or released."""

    attempt: int
    gen: int
    worker_id: str
    due_at: datetime
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: JobError | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        values = {field.name: row[field.name] for field in dataclasses.fields(cls)}
        values["error"] = None if values["error"] is None else JobError.from_json(values["error"])
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A kind of which no attempt starts, since when, and who has paused it."""

    kind: str
    since: datetime
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A job changed by an action, and its new version."""

    id: JobKey
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """The blob that a finished job offers for download, and the file name under which the owner's browser saves it.

    Raises `ValueError` for a value that no blob can have. The file name may be any text.
    """

    container: str
    blob: str
    file_name: str
    content_type: str

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str):
                raise ValueError(f"{field.name} is {describe(value)}, but must be a string.")
            if field.name != "file_name" and not _IN_A_HEADER.fullmatch(value):
                raise ValueError(f"{field.name} is {describe(value)}, but must be a text without control characters.")
