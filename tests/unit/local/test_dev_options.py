"""Wrong options of scripts/dev are named, with what to do, before anything starts."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tools.local_stack import ports
from tools.local_stack.app_servers import ROOT
from tools.local_stack.dev import RUNNING, main
from tools.local_stack.state import State, write_private

HELP = """
import sys
sys.path.insert(0, sys.argv[1])
from tools.local_stack.dev import main
main(["--help"])
"""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port", "0"], "'0'"),
        (["--port", "65536"], "'65536'"),
        (["--port", "http"], "'http'"),
        (["--host", "docker"], "invalid choice: 'docker'"),
        (["--once", "--port", "8000"], "--once has its own data and ports"),
        (["--once", "--reset"], "--once has its own data and ports"),
        (["--once", "--seed"], "--once has its own data and ports"),
        (["--once", "--print-env"], "--once has its own data and ports"),
        (["--once", "--debug"], "--once has its own data and ports"),
        (["--debug", "--host", "func"], "--debug needs the local host"),
        (["--quiet"], "unrecognized arguments"),
    ],
)
def test_a_wrong_option_is_refused(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments, tmp_path / "state")
    assert exit_.value.code == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("address", ["junk", "postgresql://ann:SECRET@[", "postgresql://ann:SECRET@h:99999/d"])
def test_a_database_that_is_no_address_is_named_and_not_shown(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", address)
    assert main([], tmp_path / "state") == 1
    told = capsys.readouterr().out
    assert "DATABASE_URL is not a valid Postgres connection string; use postgresql://" in told
    assert len(told.splitlines()) == 1
    assert "SECRET" not in told


def test_a_port_of_the_page_that_is_taken_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        assert main(["--port", str(port)], tmp_path / "state") == 1
    assert f"port {port} cannot be used" in capsys.readouterr().out


def test_a_ready_file_in_no_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--ready-file", str(tmp_path / "nowhere" / "ready.json")], tmp_path / "state") == 1
    assert "--ready-file" in capsys.readouterr().out


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    options = ("--once", "--reset", "--port", "--seed", "--verbose", "--print-env", "--no-browser", "--host")
    for option in (*options, "--ready-file", "DATABASE_URL", "PG_BIN"):
        assert option in text


def test_help_needs_nothing_that_is_installed() -> None:
    command = [sys.executable, "-I", "-S", "-c", HELP, str(ROOT)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "--verbose" in finished.stdout


def test_the_settings_of_a_system_that_does_not_run_cannot_be_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--print-env"], tmp_path / "state") == 1
    assert capsys.readouterr().out == "", "a shell evaluates it"


def test_sample_jobs_do_not_get_into_a_database_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann@127.0.0.1/own")
    assert main(["--seed"], tmp_path / "state") == 1
    assert "--seed" in capsys.readouterr().out


def test_settings_are_quoted_for_a_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = "a b;c'd$(e)"
    state = State(tmp_path / "state")
    with state.lock():
        assert main(["--print-env"], state.folder) == 1, "it is starting"
        write_private(state.folder / RUNNING, json.dumps({"environment": {"NAME": value}}))
        assert main(["--print-env"], state.folder) == 0
    printed = capsys.readouterr().out + 'printf %s "$NAME"'
    assert subprocess.run(["sh", "-c", printed], capture_output=True, text=True, check=True).stdout == value
