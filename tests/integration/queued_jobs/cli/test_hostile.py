"""Every argument of every command with hostile values, and every stored text in every command's output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb
from typer.main import get_command

from queued_jobs import QueueManager
from queued_jobs.cli.app import app
from queued_jobs.queues import StorageQueues
from queued_jobs.testing import InMemoryRepository
from queued_jobs.worker import Worker
from tests.integration.queued_jobs.cli.conftest import QUEUE, Daily, Office

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
HOSTILE = {
    "empty": "",
    "dash": "-",
    "escape": "\x1b]0;owned\x07\x1b[2J",
    "bidi": "\u202egpj.exe\u2066",
    "lines": "a\nqueued-jobs: all is well",
    "invalid UTF-8": "caf\udce9",
    "NUL": "a\0b",
    "long": "x" * 100_000,
    "huge": "9" * 400,
    "int8": str(2**63),
    "int4": str(2**31),
    "negative": "-1",
    "minimum": str(-(2**63)),
    "NaN": "nan",
    "infinite": "inf",
    "before the first year": "0001-01-01T00:00:00+14:00",
    "after the last year": "9999-12-31T23:59:59-14:00",
    "long ago": "999999d",
    "other digits": "\u0663d",
    "no time": "0s",
    "a path": "../../etc/passwd",
    "SQL": "'; drop schema queued_jobs cascade; --",
    "nested": "[" * 5_000,
}
#: What a terminal acts on, or shows in another order.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def make_app() -> QueueManager:
    """An application whose queues a worker can receive from."""
    return QueueManager((Daily,), repository=InMemoryRepository(), queues=StorageQueues("UseDevelopmentStorage=true"))


def is_option(parameter: Any) -> bool:
    return bool(parameter.opts[0].startswith("-"))


def arguments_of(command: Any, known: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return arguments with which a command works: positional ones by name, and options."""
    positional = {one.name: known[one.name] for one in command.params if not is_option(one) and one.required}
    options = [f"{one.opts[0]}={known[one.name]}" for one in command.params if is_option(one) and one.required]
    return positional, options + [opt for one in command.params for opt in one.opts if opt == "--yes"]


def attacks() -> Iterator[Any]:
    connections = set()
    for name, command in COMMANDS.items():
        for parameter in command.params:
            if getattr(parameter, "is_flag", False) or parameter.name in connections:
                continue
            if getattr(parameter, "rich_help_panel", None) == "Connections":  # read in the same way by all commands
                connections.add(parameter.name)
            yield pytest.param(name, parameter, id=f"{name}-{parameter.name}")


@pytest.fixture
def known(office: Office, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Arguments by their names in the commands; a new name is to be entered here."""

    async def run(self: Worker) -> None: ...

    monkeypatch.setattr(Worker, "run", run)
    monkeypatch.setattr("queued_jobs.cli.work._leave_threads_behind", lambda manager: None)
    monkeypatch.setenv("QueuesConn", office.account)
    (job,) = office.queue()
    office.fail([job])
    return {
        "job_id": str(job.id),
        "kind": "greeting",
        "queue": QUEUE,
        "app": f"{__name__}:make_app",
        "user": "ann",
        "older_than": "30d",
    }


@pytest.mark.parametrize(("name", "parameter"), list(attacks()))
def test_hostile_arguments(name: str, parameter: Any, office: Office, known: dict[str, str]) -> None:
    for title, value in HOSTILE.items():
        positional, options = arguments_of(COMMANDS[name], known)
        if is_option(parameter):
            options.append(f"{parameter.opts[0]}={value}")
        else:
            positional[parameter.name] = value
        code, output, errors = office.run(name, *options, "--", *positional.values())
        assert code in (0, 1, 2), title
        assert not CONTROL.search(output + errors), title
        assert not re.search(r"this is a bug|Traceback \(most|Postgres refused", output + errors), (title, errors)
        if code:
            assert (errors.startswith("queued-jobs: "), errors.count("\n")) == (True, 1), (title, errors)
        assert len(errors) < 1_000, title


def stored_texts(office: Office) -> list[tuple[str, str, str]]:
    with psycopg.connect(office.url) as connection:
        return connection.execute(
            "select c.table_name, c.column_name, c.data_type from information_schema.columns c "
            "join information_schema.tables t using (table_schema, table_name) "
            "where c.table_schema = 'queued_jobs' and t.table_type = 'BASE TABLE' and c.data_type in ('text', 'jsonb')"
        ).fetchall()


def forge(office: Office) -> int:
    """Put a text that attacks terminals into each column that takes it, and return the number of these columns."""
    evil = "a\x1b[2J\nFORGED\u202e\r\x85b"
    forged = 0
    for table, column, kind in stored_texts(office):
        value: object = evil
        if kind == "jsonb":
            error = {"type": evil, "message": evil, "traceback": evil}
            value = Jsonb(error if column == "error" else {evil: [evil, {"a": evil}]})
        with psycopg.connect(office.url, autocommit=True) as connection:
            try:
                connection.execute(
                    SQL("update queued_jobs.{} set {} = %s where {} is not null").format(
                        Identifier(table), Identifier(column), Identifier(column)
                    ),
                    [value],
                )
                forged += 1
            except psycopg.Error:  # a constraint, or a partition key
                continue
    return forged


@pytest.mark.parametrize("columns", ["80", "140", None])
def test_stored_texts_do_not_act_on_terminals_nor_forge_lines(
    columns: str | None, office: Office, known: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if columns is None:
        monkeypatch.delenv("COLUMNS")
    else:
        monkeypatch.setenv("COLUMNS", columns)
    failed, running = office.queue(2)
    office.fail([failed])
    office.start(running)
    office.run("pause", "other")
    assert forge(office) >= 15
    for job in (failed, running):
        for name, command in COMMANDS.items():
            positional, options = arguments_of(command, known | {"job_id": str(job.id), "kind": "daily"})
            for more in ([], ["--json"]) if any("--json" in one.opts for one in command.params) else ([],):
                if name in ("retry", "cancel"):  # one job, or those that match filters
                    positional["job_id"] = str(job.id)
                code, output, errors = office.run(name, *options, *more, "--", *positional.values())
                assert code in (0, 1), (name, errors)
                assert not CONTROL.search(output + errors), name
                if name != "show":  # it has the traceback, with its lines
                    assert not re.search(r"^\s*FORGED", output + errors, re.MULTILINE), name
