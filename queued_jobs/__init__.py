"""Background jobs that their users own: a queue wakes workers, a row holds the truth, a push rings the bell."""

from __future__ import annotations

from queued_jobs.batch import Batch, FollowUp, queue_jobs
from queued_jobs.context import JobContext
from queued_jobs.database import Database
from queued_jobs.enqueue import JobHandle, queue_job
from queued_jobs.errors import JobsError, PermanentError, RetryLater
from queued_jobs.message import JobMessage
from queued_jobs.migrate import migrate
from queued_jobs.model import JobError, JobStatus, QueuedJob, ResultFile
from queued_jobs.notifier import Notifier, NullNotifier
from queued_jobs.periodic import queue_due
from queued_jobs.postgres import PostgresRepository
from queued_jobs.queues import QueueManager
from queued_jobs.registry import JobRegistry
from queued_jobs.repository import Repository
from queued_jobs.retry import RetryPolicy
from queued_jobs.runner import JobRunner
from queued_jobs.signalr import SignalRNotifier
from queued_jobs.sweeper import Sweeper
from queued_jobs.tables import Tables
from queued_jobs.tracker import JobTracker
from queued_jobs.view import JobView

__all__ = [
    "Batch",
    "Database",
    "FollowUp",
    "JobContext",
    "JobError",
    "JobHandle",
    "JobMessage",
    "JobRegistry",
    "JobRunner",
    "JobStatus",
    "JobTracker",
    "JobView",
    "JobsError",
    "Notifier",
    "NullNotifier",
    "PermanentError",
    "PostgresRepository",
    "QueueManager",
    "QueuedJob",
    "Repository",
    "ResultFile",
    "RetryLater",
    "RetryPolicy",
    "SignalRNotifier",
    "Sweeper",
    "Tables",
    "migrate",
    "queue_due",
    "queue_job",
    "queue_jobs",
]
