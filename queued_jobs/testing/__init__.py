"""Test doubles for tests of your own jobs: they do not need a server and never wait."""

from __future__ import annotations

from queued_jobs.testing.bench import JobBench, run_inline
from queued_jobs.testing.clock import FrozenClock
from queued_jobs.testing.doubles import FakeQueues, RecordingNotifier
from queued_jobs.testing.memory import InMemoryRepository

__all__ = ["FakeQueues", "FrozenClock", "InMemoryRepository", "JobBench", "RecordingNotifier", "run_inline"]
