"""SIGINT, SIGTERM and SIGHUP as an event."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def stop_on_signals(impatient: Callable[[], None]) -> Iterator[threading.Event]:
    """Yield an event that the first signal sets; each further one calls `impatient`, from a thread."""
    stop = threading.Event()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def relay() -> None:
        while os.read(reading, 1):
            if stop.is_set():
                impatient()
            stop.set()

    # The event is set from a thread: a handler runs inside the main thread, which may hold the event's own lock.
    thread = threading.Thread(target=relay, name="signals", daemon=True)
    thread.start()
    # nohup ignores the end of the terminal: keep that.
    numbers = [n for n in SIGNALS if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
    old_handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
    old_descriptor = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(old_descriptor)
        for number, handler in old_handlers.items():
            signal.signal(number, handler)
        os.close(writing)
        thread.join()
        os.close(reading)
