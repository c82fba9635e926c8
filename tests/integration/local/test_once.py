"""scripts/dev --once as a user calls it, and what it does when the system does not keep its promise."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from threading import Event

import pytest

from tools.local_stack import dev_once, smoke_job
from tools.local_stack.app_servers import ROOT
from tools.local_stack.console import Console
from tools.local_stack.dev_once import run_once
from tools.local_stack.smoke_job import JobFailed
from tools.local_stack.stack import Stack


@pytest.fixture
def quiet_folder(tmp_path: Path) -> Path:
    """A folder to call from that holds what must not be imported."""
    (tmp_path / "scripts.py").write_text("raise SystemExit('imported from the folder of the caller')")
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the folder of the caller')")
    return tmp_path


def test_the_command_works_through_a_link_from_any_folder(quiet_folder: Path) -> None:
    (quiet_folder / "dev").symlink_to(ROOT / "scripts" / "dev")
    finished = subprocess.run(
        [quiet_folder / "dev", "--once"], cwd=quiet_folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    lines = finished.stdout.splitlines()
    assert lines[-1].endswith("| ok")
    for step in ("install", "start", "upload", "job", "download", "stop"):
        assert f"{step} " in lines[-2]
    assert "pending (version 1)" in finished.stdout
    assert "10,000 bytes" in finished.stdout


def test_a_broken_promise_ends_with_the_reason_and_the_last_lines_of_each_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(copy: bytes, content: bytes) -> None:
        raise JobFailed("the copy is not the same")

    monkeypatch.setattr(smoke_job, "check_copy", refuse)
    assert run_once(Console(), core_tools=False) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith("FAILED: the copy is not the same")
    for part in ("postgres", "azurite", "signalr", "host"):
        assert any(line.endswith(f"last lines of {part}:") for line in lines)


def test_a_part_that_ends_in_the_middle_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[Stack] = []

    class WatchedStack(Stack):
        def start(self, stop: Event | None = None) -> None:
            made.append(self)
            super().start(stop)

    async def end_the_hub_and_wait(page_url: str, invite: str) -> None:
        assert made[0].hub.pid is not None
        os.kill(made[0].hub.pid, signal.SIGKILL)
        await asyncio.Event().wait()

    monkeypatch.setattr(dev_once, "Stack", WatchedStack)
    monkeypatch.setattr(dev_once, "run_one_job", end_the_hub_and_wait)
    assert run_once(Console(), core_tools=False) == 1
    assert "FAILED: signalr ended with exit code -9" in capsys.readouterr().out
    assert [server.pid for server in made[0].servers] == [None] * 4
