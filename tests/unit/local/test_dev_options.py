"""Wrong options of scripts/dev are named, with what to do, before anything starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tools.local_stack import ports
from tools.local_stack.dev import main


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port", "0"], "'0'"),
        (["--port", "65536"], "'65536'"),
        (["--port", "http"], "'http'"),
        (["--host", "docker"], "invalid choice: 'docker'"),
        (["--once", "--port", "8000"], "--once has its own data and ports"),
        (["--once", "--reset"], "--once has its own data and ports"),
        (["--verbose"], "unrecognized arguments"),
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
    for option in ("--once", "--reset", "--port", "--ready-file", "--no-browser", "--host", "DATABASE_URL", "PG_BIN"):
        assert option in text
