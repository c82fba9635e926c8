"""Small servers to try the supervision with."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

from tests.support.waiting import PATIENCE_SECONDS
from tools.local_stack import ports
from tools.local_stack.process import Command, Emit, discard
from tools.local_stack.server import Server

LISTEN = """
import signal, socket, sys, time
print("small", flush=True)  # before it is ready: afterwards a test may end it at any moment
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    time.sleep(60)
"""


class SmallServer(Server):
    """Runs a Python program with its port as the argument; without another program it just listens."""

    def __init__(
        self, name: str = "small", *, program: str = LISTEN, port: int | None = None, emit: Emit = discard
    ) -> None:
        super().__init__(name, ports_needed=1, port=port, emit=emit)
        self._program = program

    def _command(self) -> Command:
        return Command(
            arguments=[sys.executable, "-c", self._program, str(self.ports[0])],
            environment=os.environ,
            folder=Path("/"),
            stop_within=timedelta(seconds=PATIENCE_SECONDS),
        )

    def _is_ready(self) -> bool:
        return self.exit_code is None and ports.is_listening(self.ports[0])
