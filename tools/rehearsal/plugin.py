"""The engine's contract for plugins: print the port, and end on request or with the engine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc  # type: ignore[import-untyped]


def serve(register: Callable[[Any], None], *, at_end: Callable[[], None] = lambda: None) -> None:
    """Serve what `register` adds to the server, until the end of the engine that started this process."""
    engine = os.getppid()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    print(port, flush=True)
    while not stopped.wait(0.5) and os.getppid() == engine:
        pass
    server.stop(grace=None)
    at_end()
    os._exit(0)  # without waiting for running calls: their caller is gone
