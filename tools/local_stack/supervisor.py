"""Supervises servers: all run, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Event

from tools.local_stack.errors import ServerFailed
from tools.local_stack.server import Server, describe_lines

LOOK_EVERY = timedelta(milliseconds=100)


class Supervisor:
    """Stops the servers in the reverse order of their start."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = servers

    def raise_if_one_ended(self) -> None:
        """Raise ServerFailed for the first server that ended unexpectedly."""
        for server in self._servers:
            if server.exit_code is not None:
                raise ServerFailed(
                    f"{server.name} ended with exit code {server.exit_code}. Its last lines:\n"
                    f"{describe_lines(server.last_lines)}"
                )

    def watch(self, stop: Event, beside: Callable[[], None] = lambda: None) -> None:
        """Return when `stop` is set. Raises ServerFailed as soon as a server ends unexpectedly.

        `beside` is called each time in between.
        """
        while not stop.wait(LOOK_EVERY.total_seconds()):
            self.raise_if_one_ended()
            beside()

    def stop(self) -> None:
        """Stop all running servers."""
        for server in reversed(self._servers):
            server.stop()

    def kill(self) -> None:
        """Kill all running servers."""
        for server in reversed(self._servers):
            server.kill()
