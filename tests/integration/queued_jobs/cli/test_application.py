"""What the command says when the application's own code fails: whose error it is, and where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

import psycopg
import pytest

from queued_jobs import QueueManager
from queued_jobs.testing import FakeQueues, InMemoryRepository
from queued_jobs.worker import Worker
from tests.integration.queued_jobs.cli.conftest import Ask, Greeting, Office


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


ERRORS: dict[str, BaseException] = {
    "key": KeyError("missing"),
    "value": ValueError("two\nlines"),
    "type": TypeError("odd"),
    "no-text": Exception(),
    "unspeakable": Unspeakable(),
    "file": FileNotFoundError(2, "No such file or directory", "settings.toml"),
    "timeout": TimeoutError(),
    "database": psycopg.OperationalError("connection refused"),
    "table": psycopg.errors.UndefinedTable('relation "uploads" does not exist'),
    "group": ExceptionGroup("several", [ValueError("one")]),
    "exit": SystemExit(3),
    "end": StopIteration(),
    "cancellation": asyncio.CancelledError(),
}


def fail() -> NoReturn:
    raise ERRORS[failing]


failing = "key"


class Hourly(Greeting):
    kind = "hourly"
    schedule: ClassVar[str | None] = "0 0 * * * *"

    @classmethod
    def scheduled_request(cls, due: datetime) -> Ask:
        fail()


class Unmade(Greeting):
    kind = "unmade"

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        fail()


def blocks(user_id: str) -> None:
    fail()


async def waits(user_id: str) -> None:
    fail()


def app_of(*kinds: type[Greeting], **hooks: Any) -> Callable[[], QueueManager]:
    return lambda: QueueManager(kinds, repository=InMemoryRepository(), queues=FakeQueues(), **hooks)


with_a_schedule = app_of(Hourly)
without_a_runner = app_of(Unmade)
that_blocks = app_of(on_erase=blocks)
that_waits = app_of(on_erase=waits)


@pytest.mark.parametrize("name", list(ERRORS))
@pytest.mark.parametrize(
    "arguments",
    [
        ("run-now", "hourly", "with_a_schedule"),
        ("erase", "ann", "that_blocks", "--yes"),
        ("erase", "ann", "that_waits", "--yes"),
        ("erase", "ann", "without_a_runner", "--yes"),
        ("worker", "without_a_runner"),
        ("worker", "fail"),
        ("schedules", "fail"),
    ],
    ids=" ".join,
)
def test_an_error_of_the_application_is_told_with_its_place(
    arguments: tuple[str, ...], name: str, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(self: Worker) -> None: ...

    monkeypatch.setattr(Worker, "run", run)
    monkeypatch.setattr(f"{__name__}.failing", name)
    monkeypatch.setenv("QueuesConn", office.account)
    office.queue()
    told = [f"{__name__}:{one}" if one in globals() else one for one in arguments]
    code, _, errors = office.run(*told)
    assert code in (1, 2), errors
    assert errors.count("\n") == 1, errors
    assert "bug in queued-jobs" not in errors
    if (name, arguments[2:3]) != ("cancellation", ("that_waits",)):
        assert f"{Path(__file__).name}:" in errors, errors
    assert len(office.json("list")["jobs"]) == 1, "nothing was deleted"
