"""The current queues of kinds, for jobs that were stored with a queue that has since been renamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KindQueues:
    """The queues of each kind, the default queue first. Jobs of other kinds keep the queue that is stored with them.

    A stored queue that its kind no longer has is replaced by the kind's queue of the same priority, if the kind still
    has that priority, otherwise by the kind's default queue.
    """

    by_kind: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def current(self, kind: str, stored: str) -> str:
        """Return the queue that wakes a job of this kind now. The SQL statements apply the same rule."""
        queues = self.by_kind.get(kind, ())
        if not queues or stored in queues:
            return stored
        return max((queue for queue in queues if stored.endswith(_suffix(queue, queues))), key=len)

    def parameters(self) -> dict[str, list[str]]:
        """Return the parameters of the SQL statements: one array element for each queue."""
        rows = [(kind, queue, _suffix(queue, queues)) for kind, queues in self.by_kind.items() for queue in queues]
        return {
            "kinds": [kind for kind, _, _ in rows],
            "queues": [queue for _, queue, _ in rows],
            "suffixes": [suffix for _, _, suffix in rows],
        }


def _suffix(queue: str, queues: Sequence[str]) -> str:
    return queue.removeprefix(queues[0])
