"""What can go wrong, as one tree: catch `JobsError` to catch all of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queued_jobs.model import QueuedJob


class JobsError(Exception):
    """Something about background jobs failed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class InvalidRequest(JobsError):
    """The request is not one that this kind of job accepts."""


class KeyReused(JobsError):
    """This idempotency key was used before, for another request: use a new key for a new request."""


class JobNotFound(JobsError):
    """There is no such job, or it belongs to somebody else."""


class JobConflict(JobsError):
    """The job is not in a state that allows this."""


class RejectedMessage(JobsError):
    """The queue message names no job. It is kept in `rejected_message` and acknowledged."""


class JobFailed(JobsError):
    """The job whose result was awaited ended without one.

    Attributes
    ----------
    job_id
        Which job.
    status
        How it ended: failed, cancelled or aborted.
    error
        Why, as its owner sees it; None for a job that was cancelled before any attempt of it failed.
    """

    def __init__(self, job: QueuedJob) -> None:
        self.job_id, self.status, self.error = job.id, job.status, job.error
        reason = f": {job.error.type}: {job.error.message}" if job.error is not None else ""
        super().__init__(f"Job {job.id} ({job.kind}) ended as {job.status}{reason}")


class ResultExpired(JobsError):
    """The job succeeded, but its result was removed since: its kind keeps results only for a time."""


class StoreUnavailable(JobsError):
    """Postgres did not answer. The only error that a queue function lets through: the host delivers again."""


class StoreRefused(JobsError):
    """Postgres refused a value, such as text with a NUL character."""


class SendFailed(JobsError):
    """The queue did not take the message. Nothing is lost: the sweeper sends what is unsent."""


class LeaseLost(JobsError):
    """Another attempt owns this job now, so nothing that this one still does counts."""


class JobCancelled(JobsError):
    """Somebody asked for this job to be cancelled."""


class JobTimeout(JobsError):
    """The attempt took longer than its kind allows."""


class InvalidResult(JobsError):
    """The result is of another type than its kind says, or would not be read back as it is."""


class ResultTooLarge(JobsError):
    """The result is larger than 256 KiB: store it in a blob and return the blob's name."""


class PermanentError(JobsError):
    """Raise this from `on_execute` when another try cannot help: the job fails at once."""


_MAX_WAIT = timedelta(days=365)


class RetryLater(JobsError):
    """Raise this from `on_execute` to try again after a while. It counts as an attempt.

    Parameters
    ----------
    after
        How long to wait, counted by the database's clock; from zero to a year, what lies beyond is cut.
    reason
        Shown to the owner and kept in the attempt history.
    """

    def __init__(self, after: timedelta, reason: str | None = None) -> None:
        super().__init__(reason or "The job asked to be tried again later.")
        self.after = min(max(after, timedelta()), _MAX_WAIT)
