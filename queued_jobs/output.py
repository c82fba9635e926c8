"""What a running body emits: collected in memory, and appended to the store in batches."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection

from queued_jobs._descriptions import describe
from queued_jobs.chunks import LOG, MAX_CHUNK_BYTES, TOPIC, NewChunk, Segment, fitted
from queued_jobs.errors import InvalidChunk, LeaseLost, StoreUnavailable
from queued_jobs.model import QueuedJob
from queued_jobs.offload import offload_unless_small
from queued_jobs.redact import to_storable_text
from queued_jobs.repository import Repository

logger = logging.getLogger(__name__)

#: Bytes that wait to be appended: of `emit`, which then waits, and of `log`, which then drops the oldest lines.
MAX_WAITING = 128 * 1024
#: Minimum seconds between the beginnings of two appends of one job.
_EVERY = 0.1
#: After an append that failed, in seconds, doubling.
_PAUSE, _MAX_PAUSE = 0.5, 5.0
#: A body that waits for room looks this often whether it should stop, in seconds.
_LOOK_EVERY = 0.2


class Output:
    """What one attempt emits. `emit` and `log` cost nothing before their first call.

    Chunks reach the store in the order of the calls, one batch at a time. A batch whose outcome is unknown is sent
    again as it was, and the store appends it once.

    Parameters
    ----------
    max_size
        Bytes of the job's chunks that the store keeps.
    checkpoint
        Called before and after each `emit`: raises if the body should stop.
    on_append
        Called with what was appended, after the commit.
    """

    def __init__(
        self,
        job: QueuedJob,
        repository: Repository,
        *,
        max_size: int,
        checkpoint: Callable[[], None],
        on_append: Callable[[Segment], None],
    ) -> None:
        self._job = job
        self._repository = repository
        self._max_size = max_size
        self._checkpoint = checkpoint
        self._on_append = on_append
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        #: In the order of the calls.
        self._waiting: dict[int, NewChunk] = {}
        #: Those of them that may be dropped.
        self._lines: deque[int] = deque()
        self._emitted_size = 0
        self._lines_size = 0
        self._woken = False
        self._closed = False
        self._lost = False
        self._batch: Sequence[NewChunk] = ()
        #: Chunks that this attempt has appended.
        self._written = 0
        #: What the body's own transaction has appended.
        self._uncommitted: list[Segment] = []
        self._next_at = 0.0
        self._pause = _PAUSE
        self._writer: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()
        self._closing = asyncio.Event()
        self._appending = asyncio.Lock()

    async def emit(self, topic: str, text: str) -> None:
        chunk = _checked(topic, text)
        async with self._turn:
            self._check()
            while self._emitted_size and self._emitted_size + chunk.size > MAX_WAITING:
                self._room.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._room.wait(), _LOOK_EVERY)
                self._check()
            with self._lock:
                if not self._closed:
                    self._emitted_size += chunk.size
                    self._waiting[next(self._numbers)] = chunk
            self._start()
        self._check()

    def log(self, line: str) -> None:
        given: object = line
        if not isinstance(given, str):
            raise TypeError(f"ctx.log takes a string, not {type(given).__name__}.")
        chunk = NewChunk(topic=LOG, text=fitted(line))
        with self._lock:
            if self._closed:
                return
            number = next(self._numbers)
            self._waiting[number] = chunk
            self._lines.append(number)
            self._lines_size += chunk.size
            while self._lines_size > MAX_WAITING:
                self._drop_oldest_line()
            if self._woken or self._loop is None:
                return
            self._woken = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: treat it like a crash
            self._loop.call_soon_threadsafe(self._start)

    async def store_within(self, conn: AsyncConnection[Any]) -> None:
        """Append everything in the body's transaction, which ends the job: nothing can be appended after it.

        It is appended again by `close` if the transaction is rolled back.
        """
        self._uncommitted.clear()
        if not (self._batch or self._waiting):
            return
        async with self._appending:
            with self._lock:
                waiting = list(self._waiting.values())
            written = self._written
            for chunks in (self._batch, waiting):
                if chunks:
                    segment = await self._append(chunks, written, conn=conn)
                    written += len(chunks)
                    if segment is not None:
                        self._uncommitted.append(segment)

    def settle(self, *, committed: bool) -> None:
        """Announce what `store_within` has appended, or forget it."""
        for segment in self._uncommitted if committed else ():
            self._on_append(segment)
        self._uncommitted.clear()

    async def close(self, *, within: timedelta) -> None:
        """Append what was emitted until now, and ignore what comes later. Never raises."""
        with self._lock:
            self._closed = True
        self._closing.set()
        self._room.set()
        if self._lost or not (self._batch or self._waiting):
            return
        self._start()
        if self._writer is not None and within:
            await asyncio.wait({self._writer}, timeout=within.total_seconds())
        if self._batch or self._waiting:
            logger.warning("job %s: its last output was not stored", self._job.id)
            if self._writer is not None:
                self._writer.cancel()

    def _check(self) -> None:
        self._checkpoint()
        if self._closed:
            raise LeaseLost("The attempt has ended, so it can emit nothing more.")

    def _drop_oldest_line(self) -> None:
        dropped = self._waiting.pop(self._lines.popleft())
        self._lines_size -= dropped.size
        following = self._lines[0]
        line = self._waiting[following]
        self._waiting[following] = dataclasses.replace(line, skipped=line.skipped + dropped.skipped + 1)

    def _start(self) -> None:
        with self._lock:
            self._woken = False
        if not self._lost and (self._writer is None or self._writer.done()):
            self._writer = asyncio.get_running_loop().create_task(self._append_all())

    async def _append_all(self) -> None:
        while self._batch or self._waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), max(0.0, self._next_at - time.monotonic()))
            self._next_at = time.monotonic() + _EVERY
            async with self._appending:
                stored = await self._append_batch()
            if not stored:
                await asyncio.sleep(self._pause)
                self._pause = min(2 * self._pause, _MAX_PAUSE)

    async def _append_batch(self) -> bool:
        """Append one batch; False if it has to be sent again."""
        if not self._batch:
            self._batch = self._take()
        try:
            segment = await self._append(self._batch, self._written)
            self._pause = _PAUSE
        except StoreUnavailable as exc:
            logger.info("job %s: its output was not stored, will retry: %s", self._job.id, exc)
            return False
        except Exception:
            # output is never a reason for a job to fail
            logger.exception("job %s: %d chunks of its output were refused", self._job.id, len(self._batch))
        else:
            self._written += len(self._batch)
            if segment is None:
                self._lose()
            else:
                self._on_append(segment)
        self._batch = ()
        return True

    async def _append(
        self, chunks: Sequence[NewChunk], written: int, *, conn: AsyncConnection[Any] | None = None
    ) -> Segment | None:
        stored = await offload_unless_small([chunk.text for chunk in chunks], _storable, chunks)
        return await self._repository.append(self._job, stored, written=written, max_size=self._max_size, conn=conn)

    def _take(self) -> list[NewChunk]:
        with self._lock:
            taken = list(self._waiting.values())
            self._waiting.clear()
            self._lines.clear()
            self._emitted_size = self._lines_size = 0
        self._room.set()
        return taken

    def _lose(self) -> None:
        """Another attempt owns the job, or it has ended."""
        with self._lock:
            self._closed = self._lost = True
        self._take()


def _checked(topic: str, text: str) -> NewChunk:
    given: object = topic
    if not isinstance(given, str) or not TOPIC.fullmatch(topic):
        raise InvalidChunk(
            f"The topic {describe(given)} must be a string of at most 63 lower-case letters, digits, dashes and "
            "underscores that begins with a letter."
        )
    given = text
    if not isinstance(given, str):
        raise InvalidChunk(f"A chunk must be a string, not {type(given).__name__}; dump other values to JSON first.")
    size = len(text) if len(text) > MAX_CHUNK_BYTES else len(text.encode("utf-8", "replace"))
    if size > MAX_CHUNK_BYTES:
        raise InvalidChunk(
            f"The chunk has more than {MAX_CHUNK_BYTES:,} bytes; emit it in parts, or store it in a blob and return "
            "the blob's name."
        )
    return NewChunk(topic=topic, text=text)


def _storable(chunks: Sequence[NewChunk]) -> list[NewChunk]:
    """Return the chunks without secrets and characters that cannot be stored or shown."""
    return [dataclasses.replace(chunk, text=fitted(to_storable_text(chunk.text, MAX_CHUNK_BYTES))) for chunk in chunks]
