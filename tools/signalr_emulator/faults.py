"""Injected faults of the emulator, for tests and rehearsals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tools.signalr_emulator.hubs import Receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One accepted call of a client method, before it is delivered."""

    hub: str
    receiver: Receiver
    target: str
    arguments: list[Any]
    excluded: frozenset[str] = frozenset()


class Mode:
    """A fault that is off, on until it is stopped, or on for the next N occasions."""

    def __init__(self) -> None:
        self._left = 0.0

    def start(self, count: int | None = None) -> None:
        """Turn it on; without a count until `stop`. A new start replaces the old one."""
        self._left = math.inf if count is None else count

    def stop(self) -> None:
        """Turn it off."""
        self._left = 0.0

    def strikes(self) -> bool:
        """Return whether the fault applies to this occasion, and count it."""
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def describe(self) -> str | int:
        """ "off", "on", or how many occasions are left."""
        if self._left == 0:
            return "off"
        return "on" if math.isinf(self._left) else int(self._left)


class Faults:
    """Independent modes, all off at first. They apply to a push in this order: discard, reorder, duplicate."""

    def __init__(self) -> None:
        self.refuse = Mode()
        self.refusal = HTTPStatus.SERVICE_UNAVAILABLE
        self.discard = Mode()
        self.reorder = Mode()
        self.duplicate = Mode()
        self._held_back: dict[tuple[str, Receiver], Push] = {}

    def apply(self, push: Push) -> list[Push]:
        """Return the pushes to deliver now instead of this one, in order.

        Reorder holds a push back until the next push to the same receiver was delivered.
        """
        if self.discard.strikes():
            return []
        now = [push]
        key = (push.hub, push.receiver)
        earlier = self._held_back.pop(key, None)
        if earlier is not None:
            now.append(earlier)
        elif self.reorder.strikes():
            self._held_back[key] = push
            return []
        return [copy for each in now for copy in self._copies(each)]

    def reset(self) -> Iterable[Push]:
        """Turn everything off; return the held pushes."""
        for mode in self._modes().values():
            mode.stop()
        held_back = list(self._held_back.values())
        self._held_back.clear()
        return held_back

    def describe(self) -> dict[str, str | int]:
        """The state of each mode by name."""
        return {name: mode.describe() for name, mode in self._modes().items()}

    def _copies(self, push: Push) -> list[Push]:
        return [push, push] if self.duplicate.strikes() else [push]

    def _modes(self) -> dict[str, Mode]:
        return {
            "refuse": self.refuse,
            "discard": self.discard,
            "reorder": self.reorder,
            "duplicate": self.duplicate,
        }
