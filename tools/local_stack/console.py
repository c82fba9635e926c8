"""The output on the terminal: lines with the name of the part that printed them."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

WIDTH_OF_NAMES = 9
COLOURS = {"dev": "1", "host": "36", "postgres": "34", "azurite": "35", "signalr": "33", "prepare": "32"}


class Console:
    """Prints whole lines, from any thread. Colours the names if the output is a terminal and NO_COLOR is unset."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def show(self, name: str, line: str) -> None:
        """Print a line of the part with that name."""
        label = f"{name:<{WIDTH_OF_NAMES}}"
        if self._coloured:
            label = f"\033[{COLOURS.get(name, '0')}m{label}\033[0m"
        # The reader of our output may stop reading: keep the servers running.
        with self._lock, contextlib.suppress(BrokenPipeError):
            print(f"{label}| {line}", flush=True)

    def complain(self, line: str) -> None:
        """Print a line of our own to stderr, where stdout is for a program."""
        print(f"{'dev':<{WIDTH_OF_NAMES}}| {line}", file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Print a line of our own."""
        self.show("dev", line)
