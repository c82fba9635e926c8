"""Counts what one job costs: round trips, statements and pushes."""

from __future__ import annotations

from dataclasses import dataclass

from tools.bench.library import Library
from tools.bench.sink import Sink
from tools.bench.subject import Settings
from tools.bench.wire import Wire


@dataclass(frozen=True)
class Counts:
    """What one job costs while `in_flight` jobs run concurrently."""

    in_flight: int
    round_trips: float
    statements: float
    posts: float


async def count(url: str, in_flight: int, *, jobs: int) -> Counts:
    """Run jobs of the library and count what crosses the wire, once its connections are open."""
    async with Sink() as sink, Wire(url) as wire:
        library = Library(Settings(database=wire.url, hub=sink.connection_string))
        await library.open()
        await library.prepare(jobs)
        await library.run(in_flight)
        await library.prepare(jobs)
        wire.reset()
        sink.posts = 0
        await library.run(in_flight)
        await library.close()
        return Counts(in_flight, wire.round_trips / jobs, wire.statements / jobs, sink.posts / jobs)
