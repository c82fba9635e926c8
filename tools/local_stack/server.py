"""A server program of the local run: started, ready, stopped, killed, started again on the same port."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from threading import Event

from tools.local_stack import ports
from tools.local_stack.errors import Interrupted, ServerFailed
from tools.local_stack.process import ChildProcess, Command, Emit, discard

ATTEMPTS = 3
READY_WITHIN = timedelta(seconds=60)
PROBE_EVERY = timedelta(milliseconds=20)


class Server(ABC):
    """One server with one or more ports.

    A port that is given is kept. Ports that are chosen here are chosen again when another program takes one before
    the server does; once the server has been ready they are kept too, so that it can be stopped and started again.
    """

    def __init__(self, name: str, *, ports_needed: int, port: int | None = None, emit: Emit = discard) -> None:
        self.name = name
        self.ports = [port] if port is not None else ports.choose_ports(ports_needed)
        self._attempts = 1 if port is not None else ATTEMPTS
        self._emit = emit
        self._process: ChildProcess | None = None

    def prefer(self, kept: Sequence[int]) -> None:
        """Take these ports of the last run, if they are free: pages that are open then find the server again.

        Call it before the start. A port that was given stays.
        """
        if self._attempts == 1 or len(kept) != len(self.ports):
            return
        if ports.become_free(kept):
            self.ports = list(kept)
        else:
            numbers = ", ".join(map(str, kept))
            self._emit("dev", f"{self.name}: another program uses port {numbers} of the last run: reload open pages")

    @property
    def pid(self) -> int | None:
        """None while it is stopped."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """The exit code of a server that ended unexpectedly."""
        return self._process.exit_code if self._process else None

    @property
    def last_lines(self) -> list[str]:
        """The newest lines of output of the current run."""
        return list(self._process.last_lines) if self._process else []

    def start(self) -> None:
        """Start it and wait until it is ready. Raises ServerFailed, with nothing left running."""
        self.spawn()
        self.wait_until_ready()

    def spawn(self) -> None:
        """Start it, without waiting."""
        self._launch(self._command())

    def wait_until_ready(self, stop: Event | None = None) -> None:
        """Wait until a started server is ready.

        Raises ServerFailed, with nothing left running, and Interrupted, with the server running, when `stop` is set.
        """
        stop = stop or Event()
        deadline = time.monotonic() + READY_WITHIN.total_seconds()
        while not self._is_ready():
            self._move_or_fail_if_ended()
            if time.monotonic() > deadline:
                self._fail(f"was not ready within {READY_WITHIN.total_seconds():g} s")
            if stop.wait(PROBE_EVERY.total_seconds()):
                raise Interrupted
        self._attempts = 1

    def stop(self) -> None:
        """Stop it gracefully; do nothing if it does not run."""
        if (process := self._process) is not None:
            process.stop()
            self._process = None

    def kill(self) -> None:
        """Kill it without a graceful shutdown (SIGKILL); do nothing if it does not run."""
        if (process := self._process) is not None:
            process.kill()
            self._process = None

    @abstractmethod
    def _command(self) -> Command:
        """Return the command, with the ports of `self.ports`."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Return whether the running process is ready."""

    def _launch(self, command: Command) -> ChildProcess:
        if self._process is not None:
            raise RuntimeError(f"{self.name} has been started already")
        self._process = ChildProcess(self.name, command, self._emit)
        return self._process

    def _move_or_fail_if_ended(self) -> None:
        if self.exit_code is None:
            return
        if self._attempts > 1 and not all(ports.is_free(port) for port in self.ports):
            self._attempts -= 1
            self.ports = ports.choose_ports(len(self.ports))
            self._start_again()
        else:
            self._fail(f"ended with exit code {self.exit_code} before it was ready")

    def _start_again(self) -> None:
        self.kill()
        self.spawn()

    def _fail(self, reason: str) -> None:
        report = describe_lines(self.last_lines)
        self.kill()
        raise ServerFailed(f"{self.name} {reason} (port {', '.join(map(str, self.ports))}). Its last lines:\n{report}")


def describe_lines(lines: list[str]) -> str:
    """Format a server's last lines of output for an error message."""
    return "\n".join(f"    {line}" for line in lines) or "    (it printed nothing)"
