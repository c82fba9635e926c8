"""What every part of the library works with: where jobs are stored, what wakes workers, and what tells their owners."""

from __future__ import annotations

from dataclasses import dataclass, field

from queued_jobs.dispatch import Dispatcher
from queued_jobs.notifier import Notifier, NullNotifier
from queued_jobs.queues import Queues
from queued_jobs.repository import Repository


@dataclass(frozen=True, slots=True)
class Backend:
    """The three parts that belong together. `QueueManager` puts them together, once for each application."""

    repository: Repository
    queues: Queues
    notifier: Notifier = field(default_factory=NullNotifier)

    def dispatcher(self) -> Dispatcher:
        """Return what sends the messages of one action: it gives up queues that do not answer."""
        return Dispatcher(self.repository, self.queues)
