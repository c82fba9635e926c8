"""What a body saves so that a later attempt resumes there: a cursor, and the steps that it has finished."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from psycopg import AsyncConnection

from queued_jobs._arguments import UNSTORABLE
from queued_jobs._descriptions import describe
from queued_jobs.errors import InvalidCursor, LeaseLost
from queued_jobs.model import QueuedJob
from queued_jobs.repository import Repository
from queued_jobs.serialization import NotStorable, check_storable, parse_number

#: Bytes of JSON, of everything that a job has saved.
MAX_SAVED_BYTES = 16 * 1024
#: Lists and objects within each other.
_MAX_DEPTH = 100


class Step:
    """A part of a body that runs until it is finished once, over all attempts.

    Attributes
    ----------
    cursor
        What the step has saved last, in this or an earlier attempt; None if nothing.
    """

    def __init__(self, name: str, cursor: Any, save: Callable[[Any], Awaitable[None]]) -> None:
        self.name = name
        self.cursor = cursor
        self._save = save

    async def save(self, cursor: Any) -> None:
        """Save how far the step is, as `JobContext.save` does for the whole body."""
        await self._save(cursor)
        self.cursor = as_json(cursor)


class Resumable:
    """The saved state of one job, for one attempt. One save at a time reaches the store, in the order of the calls.

    Parameters
    ----------
    checkpoint
        Called after each save: raises if the body should stop.
    """

    def __init__(
        self, job: QueuedJob, repository: Repository, *, max_resumes: int, checkpoint: Callable[[], None]
    ) -> None:
        self._job = job
        self._repository = repository
        self._max_resumes = max_resumes
        self._checkpoint = checkpoint
        # a copy, since the body may change the cursor; through JSON, which may be nested more deeply than Python copies
        self._saved: dict[str, Any] = json.loads(json.dumps(dict(job.saved or {})))
        self._begun: set[str] = set()
        self._lock = asyncio.Lock()
        self.advanced = False

    @property
    def cursor(self) -> Any:
        return self._saved.get("cursor")

    @contextmanager
    def undone_by_errors(self) -> Iterator[None]:
        """Forget what the block saves if it raises: its transaction is rolled back."""
        before = self._saved
        try:
            yield
        except BaseException:
            self._saved = before
            raise

    async def save(self, cursor: Any, *, conn: AsyncConnection[Any] | None = None) -> None:
        await self._write({"cursor": as_json(cursor)}, conn)

    async def step(self, name: str) -> AsyncIterator[Step]:
        given: object = name
        if not isinstance(given, str) or not name or UNSTORABLE.search(name):
            raise InvalidCursor(
                "The name of a step must be a string without NUL characters and unpaired surrogates, "
                f"not {describe(name)}."
            )
        if name in self._begun:
            raise InvalidCursor(f"The step {describe(name)} was begun twice; give each step its own name.")
        self._begun.add(name)
        # before the block runs, whose end could not be saved
        _check_size(self._saved | {"steps": self._steps | {name: {"done": True}}})
        state = self._steps.get(name, {})
        if state.get("done"):
            return
        yield Step(name, state.get("cursor"), lambda cursor: self._write_step(name, {"cursor": as_json(cursor)}))
        await self._write_step(name, {"done": True})

    @property
    def _steps(self) -> dict[str, Any]:
        steps: dict[str, Any] = self._saved.get("steps", {})
        return steps

    async def _write_step(self, name: str, state: dict[str, Any]) -> None:
        await self._write({}, None, {name: state})

    async def _write(
        self, changes: dict[str, Any], conn: AsyncConnection[Any] | None, steps: dict[str, Any] | None = None
    ) -> None:
        async with self._lock:
            saved = self._saved | changes
            if steps is not None:
                saved["steps"] = self._steps | steps
            _check_size(saved)
            if not await self._repository.save(self._job, saved, max_resumes=self._max_resumes, conn=conn):
                raise LeaseLost
            self.advanced = self.advanced or saved != self._saved
            self._saved = saved
        self._checkpoint()


def as_json(value: Any) -> Any:
    """Return the value as a later attempt reads it. Raises `InvalidCursor` for one that JSON cannot hold."""
    try:
        _check_shape(value)
        data = json.loads(json.dumps(value, allow_nan=False), parse_float=parse_number)
        check_storable({"cursor": data})
    except (TypeError, ValueError, RecursionError, NotStorable) as exc:
        raise InvalidCursor(f"The cursor cannot be saved as JSON: {exc}") from exc
    return data


def _check_size(saved: Mapping[str, Any]) -> None:
    size = len(json.dumps(saved, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > MAX_SAVED_BYTES:
        raise InvalidCursor(
            f"The cursor and the steps of the job take {size:,} bytes of JSON, more than {MAX_SAVED_BYTES:,}; "
            "save a position, and store data in a blob or a table."
        )


def _check_shape(value: object) -> None:
    """Raise `ValueError` for what is nested too deeply, and for keys that JSON makes equal."""
    level, left = [value], MAX_SAVED_BYTES
    for _ in range(_MAX_DEPTH):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                if len(json.loads(json.dumps(dict.fromkeys(item)))) < len(item):
                    raise ValueError("an object has keys that are equal as strings")
                below += item.values()
            elif isinstance(item, (list, tuple)):
                below += item
        if not below:
            return
        # each takes at least a byte, and one list may occur in many others
        left -= len(below)
        if left < 0:
            raise ValueError(f"it takes more than {MAX_SAVED_BYTES:,} bytes")
        level = below
    raise ValueError(f"it is nested more than {_MAX_DEPTH} deep")
