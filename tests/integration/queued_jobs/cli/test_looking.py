"""What is there, as a terminal and as programs read it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from datetime import timedelta

import pytest

from queued_jobs import QueueManager
from queued_jobs.cli.app import run
from queued_jobs.database import Database
from queued_jobs.postgres import PostgresRepository
from queued_jobs.schema import Tables
from queued_jobs.testing import FakeQueues
from tests.integration.queued_jobs.cli.conftest import QUEUE, Ask, Greeting, Office


def test_a_list_fits_a_terminal_of_80_columns_and_keeps_the_ids_whole(office: Office) -> None:
    jobs = office.queue(2, user_id="https://issuer.example/tenant|ann")
    code, output, errors = office.run("list")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert re.split(r"\s+", lines[0].strip()) == ["ID", "STATUS", "KIND", "USER", "AGE"]
    assert [line.split()[0] for line in lines[1:]] == [str(job.id) for job in reversed(jobs)]
    assert all("|ann" in line and "greeting" in line and "pending" in line for line in lines[1:])


def test_a_wide_terminal_shows_the_error_too(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    office.fail(office.queue(), "the file\nis not there " + "x" * 200)
    _, output, _ = office.run("list")
    assert "1/5" in output
    assert "ValueError: the file is not there" in output
    assert all(len(line) <= 120 for line in output.splitlines())


def test_pages_follow_each_other_without_gap_or_overlap(office: Office) -> None:
    jobs = office.queue(5)
    found: list[str] = []
    following: list[str] = []
    for _ in range(3):
        page = office.json("list", "--limit", "2", *following)
        found += [job["id"] for job in page["jobs"]]
        if page["next"] is None:
            break
        following = ["--before", page["next"]]
    assert found == [str(job.id) for job in reversed(jobs)]
    _, _, errors = office.run("list", "--limit", "2")
    assert errors.endswith(f" --before {jobs[3].id}\n")


def test_who_runs_what_is_listed(office: Office) -> None:
    code, output, errors = office.run("workers")
    assert (code, output, bool(errors)) == (0, "", True)
    (job,) = office.queue()
    office.start(job)
    (running,) = office.json("workers")["running"]
    assert (running["id"], running["kind"], running["is_overdue"]) == (str(job.id), "greeting", False)
    assert running["worker_id"] == f"{socket.gethostname()}:{os.getpid()}"
    _, output, _ = office.run("workers")
    assert [line.split()[0] for line in output.splitlines()] == ["ID", str(job.id)]


def test_every_filter_narrows(office: Office) -> None:
    (failed,) = office.queue(user_id="ben", request=Ask(name="a needle"))
    office.fail([failed], "no such file")
    office.queue(2)
    for options in (
        ["--kind", "greeting", "--status", "failed", "--status", "aborted"],
        ["--user", "ben"],
        ["--text", "needle"],
        ["--error-type", "ValueError", "--queue", QUEUE],
        ["--attempts-over", "0"],
        ["--id-prefix", str(failed.id)],
        ["--created-before", (failed.created_at + timedelta(microseconds=1)).isoformat()],
    ):
        assert [job["id"] for job in office.json("list", *options)["jobs"]] == [str(failed.id)], options
    assert len(office.json("list", "--created-from", "1h")["jobs"]) == 3
    code, output, errors = office.run("list", "--kind", "other")
    assert (code, output, errors) == (0, "", "No job matches.\n")


def test_a_job_is_shown_with_its_history_and_without_its_secrets(office: Office) -> None:
    (job,) = office.queue()
    office.fail([job])
    code, output, _ = office.run("show", str(job.id))
    assert code == 0
    for part in ("failed", "greeting (version 1)", "ValueError: boom", '"name": "Ada"', "Attempts", "Traceback: here"):
        assert part in output
    assert "hunter2" not in output
    detail = office.json("show", str(job.id))
    assert detail["request"] == {"name": "Ada", "password": "***"}
    assert [attempt["outcome"] for attempt in detail["attempts"]] == ["failed"]


def test_stored_text_cannot_take_over_the_terminal(office: Office) -> None:
    (job,) = office.queue(user_id="ann\x1b]0;owned\x07[bold]", request=Ask(name="\x1b[2J[red]x"))
    office.fail([job], "\x1b[31m[link=https://evil.example]here")
    for arguments in (["list"], ["show", str(job.id)], ["stats"]):
        _, output, _ = office.run(*arguments)
        assert "\x1b" not in output
        assert "\x07" not in output


def test_statistics(office: Office) -> None:
    office.fail(office.queue(2))
    office.succeed(office.queue())
    office.queue()
    _, output, _ = office.run("stats")
    assert all(len(line) <= 80 for line in output.splitlines())
    rows = [line.split() for line in output.splitlines()]
    (counts, durations) = [row for row in rows if row[:1] == ["greeting"]]
    assert counts[1:4] == ["4", "1", "2"], "created, done, failed"
    assert len(durations) > 7
    figures = office.json("stats", "--window", "7d")
    assert figures["stats"]["total"]["counts"]["created"] == 4


def test_other_tables_with_numbers_for_ids(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--database-url", database_url, "--schema", "desk", "--prefix", "export_", "--keys", "bigint"]
    assert run(["migrate", *where]) == 0

    async def queue() -> int:
        database = Database(database_url, tables=Tables(schema="desk", prefix="export_", key_type=int))
        manager = QueueManager((), repository=PostgresRepository(database), queues=FakeQueues())
        handle = await manager.queue_job(Greeting, Ask(), user_id="ann")
        await database.close()
        assert isinstance(handle.id, int)
        return handle.id

    number = asyncio.run(queue())
    capsys.readouterr()
    assert run(["list", "--json", *where]) == 0
    assert [job["id"] for job in json.loads(capsys.readouterr().out)["jobs"]] == [number]
    assert run(["list", *where]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == [str(number), "pending"]
    assert run(["cancel", str(number), *where]) == 0
    assert run(["show", str(number), *where]) == 0
    assert "cancelled" in capsys.readouterr().out
    assert run(["list", *where[:2]]) == 1, "these tables are not there"


def test_a_terminal_without_the_letters_of_a_name_shows_the_list(office: Office) -> None:
    (job,) = office.queue(user_id="\u65e5\u672c")
    done = subprocess.run(
        [sys.executable, "-m", "queued_jobs.cli", "list"],
        env=dict(os.environ) | {"DATABASE_URL": office.url, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(job.id) in done.stdout


def test_the_installed_command_is_this_one(office: Office) -> None:
    """As a process of its own, into a pipe: lines are not cut there."""
    (job,) = office.queue(user_id="u" * 100)
    done = subprocess.run(
        [sys.executable, "-m", "queued_jobs.cli", "list"],
        env={name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"DATABASE_URL": office.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()[1:]
    assert line.split()[:4] == [str(job.id), "pending", "greeting", "u" * 100]
