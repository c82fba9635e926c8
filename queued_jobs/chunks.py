"""The pieces of text that a job emits while it runs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from queued_jobs.model import JobKey

#: The topic of `JobContext.log`.
LOG: Final = "log"
#: Of a chunk's text, in UTF-8.
MAX_CHUNK_BYTES: Final = 64 * 1024
#: What a chunk counts beside its text, so that empty ones are limited, too.
CHUNK_OVERHEAD: Final = 64
#: Of a segment, counted as `Chunk.size` does.
MAX_SEGMENT_BYTES: Final = 64 * 1024
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
        return size_of(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A row of `queued_jobs.chunk`. `seq` counts from 1 for each job, over all topics and attempts."""

    seq: int
    topic: str
    text: str
    skipped: int
    emitted_at: datetime

    @property
    def size(self) -> int:
        """The bytes that it counts against the limits."""
        return size_of(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What a job has emitted between two numbers: all chunks with `after < seq <= last`, or none of them.

    Without chunks it is bare: they are too large to be pushed, or not at hand, and have to be read.
    """

    id: JobKey
    after: int
    last: int
    chunks: tuple[Chunk, ...] = ()

    @property
    def size(self) -> int:
        return sum(chunk.size for chunk in self.chunks)

    def bare(self) -> Self:
        """Return it without chunks."""
        return dataclasses.replace(self, chunks=())

    def limited(self) -> Self:
        """Return it, bare if it is too large."""
        return self if self.size <= MAX_SEGMENT_BYTES else self.bare()

    def joined(self, other: Self) -> Self:
        """Return one segment for both: bare, unless `other` follows this one and both have their chunks."""
        if self.chunks and other.chunks and other.after == self.last:
            return dataclasses.replace(self, last=other.last, chunks=self.chunks + other.chunks).limited()
        return dataclasses.replace(self, after=min(self.after, other.after), last=max(self.last, other.last), chunks=())


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


def size_of(text: str) -> int:
    """Return the bytes that a chunk of this text counts against the limits."""
    return len(text.encode("utf-8", "replace")) + CHUNK_OVERHEAD


def segment_of(job_id: JobKey, chunks: Sequence[NewChunk], *, last: int, emitted_at: datetime | None) -> Segment:
    """Return what an append has stored up to the number `last`: bare without a time, since it was stored before."""
    after = max(0, last - len(chunks))
    stored = (
        ()
        if emitted_at is None
        else tuple(
            Chunk(seq=seq, topic=one.topic, text=one.text, skipped=one.skipped, emitted_at=emitted_at)
            for seq, one in enumerate(chunks, after + 1)
        )
    )
    return Segment(id=job_id, after=after, last=last, chunks=stored)


def fitted(text: str) -> str:
    """Return the text, cut if it is longer than a chunk may be."""
    data = text[: MAX_CHUNK_BYTES + 1].encode("utf-8", "replace")
    if len(data) <= MAX_CHUNK_BYTES:
        return text
    return data[: MAX_CHUNK_BYTES - 3].decode("utf-8", "ignore") + "\u2026"
