"""Each argument of the methods that start, run and await jobs, with hostile values, in both stores.

A value is either refused, with an error of the library, `TypeError` or `ValueError`, before anything is stored; or it
is accepted, and everything that is stored can be read. Both stores agree.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from queued_jobs import JobContext, JobHandle, JobsError, QueuedJob, QueueManager
from queued_jobs.batch import FollowUp
from queued_jobs.dashboard.search import Cursor, JobQuery
from queued_jobs.database import Database
from queued_jobs.errors import InvalidCursor, InvalidRequest, StoreUnavailable
from queued_jobs.message import JobMessage
from queued_jobs.postgres import PostgresRepository
from queued_jobs.redact import text_of
from queued_jobs.repository import Repository
from queued_jobs.schedules import Schedules
from queued_jobs.testing import FakeQueues, InMemoryRepository
from queued_jobs.tracker import ANY_USER
from tests.integration.queued_jobs.conftest import Ask, Demo, Shop

#: Longest duration of a call, in seconds, and longest text of an error.
PATIENCE, MAX_TEXT = 10, 1_000


class Nowhere(tzinfo):
    """A time zone that does not say its offset: such a time is naive."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


class NoText:
    def __repr__(self) -> str:
        raise KeyError("no text")


def used() -> Iterator[Ask]:
    generator = (Ask() for _ in range(1))
    list(generator)
    return generator


def shared() -> list[Any]:
    """A few lists of which neither a text nor JSON would ever end."""
    value: list[Any] = []
    for _ in range(90):
        value = [value, value]
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    value += [value, value]
    return value


HOSTILE: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "true": lambda: True,
    "zero": lambda: 0,
    "negative": lambda: -1,
    "2^63": lambda: 2**63,
    "5,001 digits": lambda: 10**5_000,
    "nan": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "fraction": lambda: Fraction(1, 3),
    "empty": lambda: "",
    "text": lambda: "x",
    "nul": lambda: "a\0b",
    "surrogate": lambda: "a\ud800b",
    "long": lambda: "x" * 10**6,
    "wide": lambda: "\U0001f600" * 200,
    "reserved": lambda: "schedule:2026-01-01T00:00:00Z",
    "bytes": lambda: b"abc",
    "empty list": list,
    "list": lambda: ["x"],
    "list of none": lambda: [None],
    "used generator": used,
    "dict": lambda: {"a": 1},
    "set": lambda: {"x"},
    "shared": shared,
    "endless": endless,
    "no text": NoText,
    "class": lambda: JobQuery,
    "request": Ask,
    "follow-up of none": lambda: FollowUp(runner=None, request=None),  # type: ignore[arg-type]
    "longest": lambda: timedelta.max,
    "shortest": lambda: timedelta.min,
    "naive": lambda: datetime(2026, 1, 1),
    "nowhere": lambda: datetime(2026, 1, 1, tzinfo=Nowhere()),
    "last": lambda: datetime.max.replace(tzinfo=UTC),
    "unknown id": lambda: UUID(int=7),
}


class Daily(Demo):
    """Its own code relies on the type of the request."""

    kind = "daily"
    queue = "daily"
    schedule = "0 0 3 * * *"
    priorities = ("urgent",)

    @classmethod
    def concurrency_key(cls, request: Ask, user_id: str) -> str:
        return f"{request.n}"


@dataclass(frozen=True)
class Place:
    """A manager over one store, with the context of a running job and the handle of another one."""

    manager: QueueManager
    repository: Repository
    context: JobContext[Any]
    handle: JobHandle[Any]

    async def rows(self) -> list[QueuedJob]:
        if isinstance(self.repository, InMemoryRepository):
            return list(self.repository.jobs.values())
        page = await self.manager.tracker.search(JobQuery(), limit=1_000)
        return [await self.manager.tracker.get(job.id, user_id=ANY_USER) for job in page.jobs]


@asynccontextmanager
async def a_place(repository: Repository) -> AsyncIterator[Place]:
    manager = QueueManager([Demo, Daily], repository=repository, queues=FakeQueues())
    job = (await manager.queue_job(Demo, Ask(), user_id="ann")).job
    minutes = timedelta(minutes=20)
    claimed = await repository.claim(JobMessage.of(job), kind="demo", schema_version=1, lease=minutes, timeout=minutes)
    assert claimed is not None
    handle = await manager.queue_job(Demo, Ask(), user_id="ben")
    yield Place(manager, repository, JobContext(claimed, manager.backend), handle)
    if isinstance(repository, PostgresRepository):
        await repository.database.close()


#: By owner: where an object of it is, and arguments that fit.
OWNERS: dict[type[Any], tuple[Callable[[Place], Any], dict[str, Any]]] = {
    QueueManager: (lambda place: place.manager, {"runner": Daily, "requests": [Ask()], "kind": "demo"}),
    Schedules: (lambda place: place.manager.schedules, {"kind": "daily", "key": "k"}),
    JobContext: (lambda place: place.context, {"runner": Daily, "topic": "t", "text": "x", "line": "x", "cursor": 1}),
    JobHandle: (lambda place: place.handle, {"timeout": timedelta()}),
}
FITTING: dict[str, Any] = {"request": Ask(), "user_id": "ann", "name": "one"}
#: Their arguments have tests of their own, or are objects of the caller.
LEFT_OUT = {"blocking", "transaction", "wait", "stop", "complete"}


def cases() -> Iterator[Any]:
    for owner in OWNERS:
        for name, method in inspect.getmembers(owner, inspect.isfunction):
            if name.startswith("_") or name in LEFT_OUT:
                continue
            for parameter in sorted(inspect.signature(method).parameters.keys() - {"self", "conn"}):
                yield pytest.param(owner, name, parameter, id=f"{owner.__name__}.{name}-{parameter}")


async def outcome(place: Place, owner: type[Any], name: str, parameter: str, value: Any) -> str:
    find, fitting = OWNERS[owner]
    method = getattr(find(place), name)
    required = {each.name for each in inspect.signature(method).parameters.values() if each.default is each.empty}
    arguments = {each: (FITTING | fitting)[each] for each in required - {parameter}} | {parameter: value}
    before = await place.rows()
    try:
        async with asyncio.timeout(PATIENCE):
            returned = method(**arguments)
            if inspect.isasyncgen(returned):
                await anext(returned)
                await returned.aclose()
            elif inspect.isawaitable(returned):
                await returned
    except StoreUnavailable:
        raise
    except TimeoutError:
        return "did not end in time"
    except (JobsError, TypeError, ValueError, LookupError) as exc:
        kind = type(exc).__name__
        if isinstance(exc, (KeyError, IndexError)) or len(text_of(exc)) > MAX_TEXT:
            raise
        assert await place.rows() == before
        return f"refused with {kind}"
    await place.rows()
    return "accepted"


def test_methods_are_found() -> None:
    found = {f"{owner.__name__}.{name}" for owner, name, _ in (case.values for case in cases())}
    assert found >= {"QueueManager.queue_jobs", "JobContext.save", "JobContext.step", "Schedules.run_now"}


@pytest.mark.parametrize(("owner", "name", "parameter"), list(cases()))
async def test_refused_or_readable(owner: type[Any], name: str, parameter: str, jobs_url: str) -> None:
    seen: dict[str, tuple[str, str]] = {}
    async with a_place(InMemoryRepository()) as memory, a_place(PostgresRepository(Database(jobs_url))) as stored:
        for label, make in HOSTILE.items():
            in_memory = await outcome(memory, owner, name, parameter, make())
            seen[label] = in_memory, await outcome(stored, owner, name, parameter, make())
    # the handle of a job that does not run waits until its time is over
    allowed = (owner, name) == (JobHandle, "result")
    assert {label: each for label, each in seen.items() if "did not end in time" in each} == {} or allowed
    assert {label: each for label, each in seen.items() if each[0] != each[1]} == {}


@pytest.mark.parametrize("statuses", [frozenset({1}), frozenset({None, "failed"}), frozenset({"x"})], ids=repr)
def test_statuses(statuses: Any) -> None:
    with pytest.raises(InvalidRequest):
        JobQuery(statuses=statuses)


@pytest.mark.parametrize(
    "place", [("x", UUID(int=1)), (datetime(2026, 1, 1), UUID(int=1)), (datetime(2026, 1, 1, tzinfo=UTC), "x")]
)
def test_cursors(place: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Cursor(created_at=place[0], id=place[1])


async def test_a_step_that_cannot_be_saved_is_not_run(shop: Shop) -> None:
    context: JobContext[Any] = JobContext(await shop.running(), shop.backend)
    with pytest.raises(InvalidCursor):
        await anext(aiter(context.step("x" * 20_000)))


async def test_cursors_of_other_tables(shop: Shop) -> None:
    place = Cursor(created_at=datetime(2026, 1, 1, tzinfo=UTC), id=1)
    with pytest.raises(TypeError, match="before"):
        await shop.tracker.search(JobQuery(), before=place)
    with pytest.raises(TypeError, match="before"):
        await shop.tracker.for_user("ann", before=place)
