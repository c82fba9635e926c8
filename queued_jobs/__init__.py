"""Background jobs owned by users: a queue wakes workers, a row is the truth, a push updates the bell.

These are the names that nearly every application needs; import the others from their modules.
"""

from __future__ import annotations

from queued_jobs.context import JobContext
from queued_jobs.encryption import Sealed
from queued_jobs.errors import JobsError, PermanentError, RetryLater
from queued_jobs.handle import JobHandle
from queued_jobs.manager import QueueManager
from queued_jobs.model import JobStatus, QueuedJob, ResultFile
from queued_jobs.push.view import JobView
from queued_jobs.retry import RetryPolicy
from queued_jobs.runner import JobRunner
from queued_jobs.worker import Worker

__all__ = [
    "JobContext",
    "JobHandle",
    "JobRunner",
    "JobStatus",
    "JobView",
    "JobsError",
    "PermanentError",
    "QueueManager",
    "QueuedJob",
    "ResultFile",
    "RetryLater",
    "RetryPolicy",
    "Sealed",
    "Worker",
]
