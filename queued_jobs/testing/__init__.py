"""Stand-ins for tests of your own jobs: nothing here needs a server, and nothing waits."""

from __future__ import annotations

from queued_jobs.testing.bench import JobBench, run_inline
from queued_jobs.testing.clock import FrozenClock
from queued_jobs.testing.doubles import FakeQueues, RecordingNotifier
from queued_jobs.testing.memory import InMemoryRepository

__all__ = ["FakeQueues", "FrozenClock", "InMemoryRepository", "JobBench", "RecordingNotifier", "run_inline"]
