"""A child process: in its own process group, with captured output, ended with its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

GUARD = Path(__file__).with_name("die_with_parent.py")
LINES_KEPT = 40

Emit = Callable[[str, str], None]
"""Takes a line of output: the name of the process, the line. Called from a thread."""


def discard(name: str, line: str) -> None:
    """Print nothing; the last lines are in ChildProcess.last_lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user and group that a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command. The program is an absolute path; `environment` is the complete environment."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL  # sent by the kernel when our process dies
    account: Account | None = None
    stop_within: timedelta = field(default=timedelta(seconds=8))


class ChildProcess:
    """Starts the command immediately.

    Start it from a thread that lives as long as the child should: Linux treats the end of the starting thread as the
    end of the parent.
    """

    def __init__(self, name: str, command: Command, emit: Emit = discard) -> None:
        self.name = name
        self.last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._command = command
        self._emit = emit
        account = command.account
        self._popen = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(GUARD)),
                *(str(os.getpid()), str(int(command.death_signal))),
                f"{account.uid}:{account.gid}" if account else "-",
                *command.arguments,
            ],
            env=dict(command.environment),
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C in the terminal reaches us only
        )
        self._exited = threading.Event()
        self._reader = threading.Thread(target=self._read_output, name=f"output of {name}", daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait_for_exit, name=f"exit of {name}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code: None while it runs; the negative number of the signal that ended it."""
        return self._popen.returncode if self._exited.is_set() else None

    def wait(self, timeout: timedelta) -> int | None:
        """Wait for its end and return the exit code; None if it still runs after that time."""
        self._exited.wait(timeout.total_seconds())
        return self.exit_code

    def notify(self, number: signal.Signals) -> None:
        """Send it a signal; do nothing if it has ended."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                self._popen.send_signal(number)

    def request_stop(self) -> None:
        """Terminate it, without waiting."""
        self.notify(self._command.stop_signal)

    def stop(self) -> int:
        """Terminate it, kill it if it does not end within the command's time, and return its exit code."""
        self.request_stop()
        if self.wait(self._command.stop_within) is None:
            self._emit(self.name, f"did not stop within {self._command.stop_within.total_seconds():g} s: killed")
            return self.kill()
        return self._finish()

    def kill(self) -> int:
        """Kill it and its children immediately, like the kernel when memory runs out."""
        if self.exit_code is None:
            self._kill_group()
        return self._finish()

    def _finish(self) -> int:
        self._exited.wait()
        return int(self._popen.returncode)

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def _wait_for_exit(self) -> None:
        self._popen.wait()
        self._kill_group()  # remaining child processes
        self._reader.join(timeout=1)  # a process that left the group may hold the pipe open: do not wait for it
        self._exited.set()

    def _read_output(self) -> None:
        stream = self._popen.stdout
        if stream is None:
            raise RuntimeError("the child's output is not a pipe")
        with stream:
            for raw in stream:
                line = raw.decode(errors="replace").rstrip()
                self.last_lines.append(line)
                self._emit(self.name, line)
