"""Stand-ins for tests of your own jobs: nothing here needs a server."""

from __future__ import annotations

from queued_jobs.testing.doubles import FakeQueues, RecordingNotifier
from queued_jobs.testing.memory import InMemoryRepository

__all__ = ["FakeQueues", "InMemoryRepository", "RecordingNotifier"]
