"""The parts that the whole library works with: store, queues and notifier."""

from __future__ import annotations

from dataclasses import dataclass, field

from queued_jobs.dispatch import Dispatcher
from queued_jobs.notifier import Notifier, NullNotifier
from queued_jobs.queues import Queues
from queued_jobs.repository import Repository


@dataclass(frozen=True, slots=True)
class Backend:
    """Store, queues and notifier of an application. `QueueManager` creates it."""

    repository: Repository
    queues: Queues
    notifier: Notifier = field(default_factory=NullNotifier)

    def dispatcher(self) -> Dispatcher:
        """Return a dispatcher for the messages of one action; it skips queues that do not respond."""
        return Dispatcher(self.repository, self.queues)
