"""The live view: one line that is updated, or a line every few seconds if the output is not a terminal."""

from __future__ import annotations

import sys
import time

from tools.chaos.run import State

_PLAIN_EVERY = 5.0


class View:
    """Call it as often as you like."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._next = 0.0
        self._began = time.monotonic()

    def __call__(self, state: State) -> None:
        if not self._is_terminal and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PLAIN_EVERY
        line = describe(state, time.time() - state.started)
        print(f"\r\x1b[2K{line}" if self._is_terminal else line, end="" if self._is_terminal else "\n", flush=True)

    def close(self) -> None:
        """End the line, so that what follows begins a new one."""
        if self._is_terminal:
            print(flush=True)


def describe(state: State, seconds: float) -> str:
    """Return the line."""
    minutes, rest = divmod(int(seconds), 60)
    faults = ", ".join(sorted(fault.describe() for fault in state.current.values())) or "none"
    return (
        f"{minutes:02}:{rest:02} {state.phase:<8} accepted {state.accepted:>5} ended {state.ended:>5} "
        f"running {state.running:>3} kills {state.kills} ({state.hits} on running jobs) faults: {faults}"
    )
