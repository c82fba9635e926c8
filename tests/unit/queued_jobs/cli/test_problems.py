"""What the command says when it cannot."""

from __future__ import annotations

import errno
import subprocess
import sys

import psycopg
import pytest

from queued_jobs.cli.app import run
from queued_jobs.cli.problems import explain
from queued_jobs.errors import InvalidRequest, JobConflict, StoreUnavailable


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InvalidRequest("text holds a NUL: leave it out."), 2, "leave it out"),
        (JobConflict("The job has already ended."), 1, "already ended"),
        (StoreUnavailable("Postgres did not respond: no route"), 1, "no route"),
        (psycopg.errors.UndefinedTable('relation "queued_jobs.job" does not exist\nLINE 1:'), 1, "queued-jobs migrate"),
        (psycopg.errors.UndefinedColumn('column "batch_id" does not exist'), 1, "queued-jobs migrate"),
        (psycopg.errors.InsufficientPrivilege("permission denied for schema queued_jobs"), 1, "--database-url"),
        (psycopg.OperationalError("connection refused\n\tIs the server running?"), 1, "check --database-url"),
        (psycopg.errors.CheckViolation("violates check constraint"), 1, "violates check constraint"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
        (RuntimeError("boom\nand more"), 1, "RuntimeError: boom and more"),
    ],
)
def test_one_line_with_the_reason(error: Exception, code: int, words: str) -> None:
    message, exit_code = explain(error)
    assert words in message
    assert "\n" not in message
    assert exit_code == code


def test_no_password_is_repeated() -> None:
    message, _ = explain(
        psycopg.OperationalError("cannot reach postgresql://ann:hunter2@db.example/jobs password=hunter2")
    )
    assert "hunter2" not in message


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_extra_the_command_says_what_to_install(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from queued_jobs.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"queued-jobs: {missing} is not installed; run: pip install 'queued-jobs[cli]'\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list", "--schema", "Robert'); --"], "lower-case letters"),
        (["show", "nonsense"], "copy all of it"),
        (["list", "--status", "bad"], "'succeeded'"),
        (["list", "--limit", "0"], "--limit"),
        (["list", "--nope"], "queued-jobs list --help"),
        (["list", "--created-from", "yesterday"], "an age such as 24h"),
        (["list", "--database-url", ""], "set DATABASE_URL"),
        (["list", "--database-url", "postgresql://ann:hunter2@bad host/x"], "--database-url"),
        (["retry"], "queued-jobs retry --help"),
        (["retry", "01a21004-62ed-76fc-9beb-718065f5faa1", "--kind", "greeting"], "or filters"),
        (["retry", "--kind", "greeting", "--queues", "AccountKey=hunter2"], "copy all of it"),
        (["stats", "--window", "900d"], "--window is 900d"),
        (["nope"], "queued-jobs --help"),
        (["worker", "manager"], "MODULE:NAME"),
        (["worker", "no_such_module:manager"], "no_such_module"),
        (["worker", "json:nothing"], "json:nothing"),
        (["worker", "json:dumps"], "json:dumps"),
        (["worker", "json:JSONDecoder"], "QueueManager"),
        (["worker", "json:loads", "--grace", "soon"], "24h"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:9/nobody-asks-it")
    assert run(arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert words in errors
    assert errors.startswith("queued-jobs: ")
    assert errors.count("\n") == 1
    assert "hunter2" not in errors
