"""The frames waiting to be sent to one client."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from datetime import timedelta

MAX_FRAMES = 1000
MAX_CHARACTERS = 8 * 1024 * 1024


class Outbox:
    """Frames in order, bounded: a client that stops reading does not delay its sender, and memory stays bounded."""

    def __init__(self) -> None:
        self._frames: deque[str] = deque()
        self._characters = 0
        self._finished = False
        self._changed = asyncio.Event()

    def put(self, frame: str) -> bool:
        """Add a frame without waiting; False, and the frame is dropped, when the outbox is full or finished."""
        full = len(self._frames) >= MAX_FRAMES or self._characters + len(frame) > MAX_CHARACTERS
        if full or self._finished:
            return False
        self._frames.append(frame)
        self._characters += len(frame)
        self._changed.set()
        return True

    def finish(self, *, discard: bool = False) -> None:
        """Accept no more frames; waiting frames are still returned unless `discard`."""
        self._finished = True
        if discard:
            self._empty()
        self._changed.set()

    async def take(self, patience: timedelta) -> str | None:
        """All waiting frames as one text, as soon as there are any; "" if there were none in time; None at the end.

        Cancelling it loses no frame. One taker at a time.
        """
        if not self._frames and not self._finished:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                # Not wait_for: before Python 3.12 that swallows a cancellation that meets the event.
                async with asyncio.timeout(patience.total_seconds()):
                    await self._changed.wait()
        if self._finished and not self._frames:
            return None
        return self._empty()

    def _empty(self) -> str:
        text = "".join(self._frames)
        self._frames.clear()
        self._characters = 0
        return text
