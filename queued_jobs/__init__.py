"""Background jobs that their users own: a queue wakes workers, a row holds the truth, a push rings the bell."""

from __future__ import annotations

from queued_jobs.announcements import flush_pushes
from queued_jobs.batch import Batch, FollowUp, queue_jobs
from queued_jobs.context import JobContext
from queued_jobs.dashboard.bulk import BulkReport
from queued_jobs.dashboard.failures import Failures
from queued_jobs.dashboard.search import Cursor, JobCount, JobQuery, Page
from queued_jobs.dashboard.stats import Stats
from queued_jobs.database import Database
from queued_jobs.encryption import Sealed, seal_with
from queued_jobs.enqueue import JobHandle, queue_job
from queued_jobs.errors import JobsError, PermanentError, RetryLater
from queued_jobs.message import JobMessage
from queued_jobs.migrate import migrate
from queued_jobs.model import JobError, JobStatus, QueuedJob, ResultFile
from queued_jobs.notifier import Notifier, NullNotifier
from queued_jobs.periodic import queue_due
from queued_jobs.postgres import PostgresRepository
from queued_jobs.push.signalr import SignalRNotifier
from queued_jobs.push.view import JobView
from queued_jobs.queues import QueueDepth, QueueManager
from queued_jobs.registry import JobRegistry
from queued_jobs.repository import Repository
from queued_jobs.retry import RetryPolicy
from queued_jobs.runner import JobRunner
from queued_jobs.sweeper import Sweeper, SweepReport
from queued_jobs.tables import Tables
from queued_jobs.tracker import ANYBODY, JobTracker

__all__ = [
    "ANYBODY",
    "Batch",
    "BulkReport",
    "Cursor",
    "Database",
    "Failures",
    "FollowUp",
    "JobContext",
    "JobCount",
    "JobError",
    "JobHandle",
    "JobMessage",
    "JobQuery",
    "JobRegistry",
    "JobRunner",
    "JobStatus",
    "JobTracker",
    "JobView",
    "JobsError",
    "Notifier",
    "NullNotifier",
    "Page",
    "PermanentError",
    "PostgresRepository",
    "QueueDepth",
    "QueueManager",
    "QueuedJob",
    "Repository",
    "ResultFile",
    "RetryLater",
    "RetryPolicy",
    "Sealed",
    "SignalRNotifier",
    "Stats",
    "SweepReport",
    "Sweeper",
    "Tables",
    "flush_pushes",
    "migrate",
    "queue_due",
    "queue_job",
    "queue_jobs",
    "seal_with",
]
