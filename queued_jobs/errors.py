"""The error tree of the library: catch `JobsError` to catch all of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from queued_jobs._descriptions import describe

if TYPE_CHECKING:
    from queued_jobs.model import QueuedJob


class JobsError(Exception):
    """Base class of the library's errors."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class InvalidRequest(JobsError):
    """The request is not valid for this kind of job."""


class KeyReused(JobsError):
    """This idempotency key was used before, for a different request: use a new key for a new request."""


class JobNotFound(JobsError):
    """There is no such job, or it belongs to another user."""


class JobConflict(JobsError):
    """The job is not in a state that allows this."""


class RejectedMessage(JobsError):
    """The queue message does not name a job. It is kept in `rejected_message` and acknowledged."""


class JobFailed(JobsError):
    """The job whose result was awaited ended without one.

    Attributes
    ----------
    job_id
        Id of the job.
    status
        Its final state: failed, cancelled or aborted.
    error
        The error as its owner sees it; None for a job that was cancelled before an attempt failed.
    """

    def __init__(self, job: QueuedJob) -> None:
        self.job_id, self.status, self.error = job.id, job.status, job.error
        reason = f": {job.error.type}: {job.error.message}" if job.error is not None else ""
        super().__init__(f"Job {job.id} ({job.kind}) ended as {job.status}{reason}")


class ResultExpired(JobsError):
    """The job succeeded, but its result was removed after its kind's `keep_result` period."""


class StoreUnavailable(JobsError):
    """Postgres is unavailable. The only error that a queue function raises, so that the host redelivers the message."""


class InvalidCursor(JobsError):
    """The cursor that a body saves is not JSON or too large, or a step was begun twice."""


class InvalidChunk(JobsError):
    """The chunk that a body emits is too large or not a string, or its topic is not valid."""


class StoreRefused(JobsError):
    """Postgres rejected a value, such as text with a NUL character."""


class SendFailed(JobsError):
    """The queue did not accept the message. Nothing is lost: the sweeper sends it."""


class LeaseLost(JobsError):
    """Another attempt owns this job now, so this attempt can no longer change it."""


class JobCancelled(JobsError):
    """A cancel of this job was requested."""


class JobTimeout(JobsError):
    """The attempt exceeded the timeout of its kind."""


class InvalidResult(JobsError):
    """The result has a different type than its kind declares, or cannot be stored without loss."""


class ResultTooLarge(JobsError):
    """The result is larger than 256 KiB: store it in a blob and return the blob's name."""


class PermanentError(JobsError):
    """Raise this from `on_execute` if a retry cannot help: the job fails immediately."""


#: Before another attempt.
MAX_WAIT = timedelta(days=365)


class RetryLater(JobsError):
    """Raise this from `on_execute` to retry after a delay. It counts as an attempt.

    Parameters
    ----------
    after
        Delay by the database's clock, limited to the range from zero to a year.
    reason
        Shown to the owner and kept in the attempt history.
    """

    def __init__(self, after: timedelta, reason: str | None = None) -> None:
        given: object = after
        if not isinstance(given, timedelta):
            raise TypeError(f"after must be a timedelta, such as timedelta(minutes=5), not {describe(given)}.")
        super().__init__(reason or "The job requested a later retry.")
        self.after = min(max(after, timedelta()), MAX_WAIT)
