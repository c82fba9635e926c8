"""The pieces of text that a job emits while it runs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

#: The topic of `JobContext.log`.
LOG: Final = "log"
#: Of a chunk's text, in UTF-8.
MAX_CHUNK_BYTES: Final = 64 * 1024
#: What a chunk counts beside its text, so that empty ones are limited, too.
CHUNK_OVERHEAD: Final = 64
TOPIC: Final = re.compile("[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChunk:
    """A chunk that is not stored yet.

    Attributes
    ----------
    skipped
        How many lines before it were dropped because the database took them too slowly.
    """

    topic: str
    text: str
    skipped: int = 0

    @property
    def size(self) -> int:
        """The bytes that it counts against the limits."""
        return len(self.text.encode("utf-8", "replace")) + CHUNK_OVERHEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A row of `queued_jobs.chunk`. `seq` counts from 1 for each job, over all topics and attempts."""

    seq: int
    topic: str
    text: str
    skipped: int
    emitted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPage:
    """What a job has emitted after some chunk.

    Attributes
    ----------
    chunks
        In order. Of one topic the numbers have gaps, where other topics were emitted.
    after
        Pass it to get what follows.
    more
        Whether something follows already.
    omitted
        Whether chunks that came after the one asked for are gone, because the job has emitted more than is kept.
    """

    chunks: tuple[Chunk, ...]
    after: int
    more: bool
    omitted: bool

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]], *, after: int) -> Self:
        """Read the rows of `stream.sql`, of which there is at least one."""
        last, first = rows[0]["last_seq"], rows[0]["first_seq"]
        names = [field.name for field in dataclasses.fields(Chunk)]
        chunks = tuple(Chunk(**{name: row[name] for name in names}) for row in rows if row["seq"] is not None)
        return cls(
            chunks=chunks,
            after=chunks[-1].seq if chunks else last,
            more=bool(chunks) and chunks[-1].seq < last,
            omitted=first > after + 1,
        )


def fitted(text: str) -> str:
    """Return the text, cut if it is longer than a chunk may be."""
    data = text[: MAX_CHUNK_BYTES + 1].encode("utf-8", "replace")
    if len(data) <= MAX_CHUNK_BYTES:
        return text
    return data[: MAX_CHUNK_BYTES - 3].decode("utf-8", "ignore") + "\u2026"
