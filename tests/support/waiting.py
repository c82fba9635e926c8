"""Waiting for a condition with a deadline, for tests of programs that run beside them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

#: How long to wait for something that must happen: generous, since the machine may be busy with other things.
PATIENCE_SECONDS = 180.0


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as the condition holds. Raises AssertionError with `what` when it does not within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as the condition holds, like `wait_until`, beside what else runs in this event loop."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Return whether the process runs; one that has ended but was not yet collected by its parent does not."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as status:
            return status.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
