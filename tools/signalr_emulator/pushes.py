"""The delivery of pushes from the REST API to the clients, and their log."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tools.signalr_emulator import protocol
from tools.signalr_emulator.faults import Faults, Push
from tools.signalr_emulator.hubs import Hubs

REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Logged:
    """A push with the time at which REST accepted it."""

    time: datetime
    push: Push

    def describe(self) -> dict[str, Any]:
        """The entry as JSON."""
        return {
            "time": self.time.isoformat(),
            "hub": self.push.hub,
            "receiver": {"kind": self.push.receiver.kind, "name": self.push.receiver.name},
            "target": self.push.target,
            "arguments": self.push.arguments,
        }


class Pushes:
    """Delivers pushes, through the faults, to the current connections; without any, a push is lost."""

    def __init__(self, hubs: Hubs, faults: Faults) -> None:
        self._hubs = hubs
        self._faults = faults
        self._log: deque[Logged] = deque(maxlen=REMEMBERED)

    def send(self, push: Push) -> None:
        """Accept a push. Never waits for a client; it is logged even if a fault discards it."""
        self._log.append(Logged(datetime.now(UTC), push))
        for each in self._faults.apply(push):
            self._deliver(each)

    def log(self) -> list[dict[str, Any]]:
        """The last pushes, oldest first."""
        return [entry.describe() for entry in self._log]

    def reset(self) -> None:
        """Turn all faults off, deliver what they held back, and empty the log."""
        for each in self._faults.reset():
            self._deliver(each)
        self._log.clear()

    def _deliver(self, push: Push) -> None:
        frame = protocol.invocation(push.target, push.arguments)
        for connection in self._hubs.select(push.hub, push.receiver, push.excluded):
            connection.push(frame)
