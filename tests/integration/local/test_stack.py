"""The whole system: each part can go and come back on its port while the others stay."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from datetime import timedelta
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import pytest

from tests.support.client import FINAL, Person
from tests.support.waiting import wait_until
from tools.local_stack import ports
from tools.local_stack.app_servers import HostServer, responds
from tools.local_stack.errors import ServerFailed
from tools.local_stack.reloader import Reloader
from tools.local_stack.server import READY_WITHIN
from tools.local_stack.smoke_job import run_one_job
from tools.local_stack.stack import Stack
from tools.test_app.folder import make_app


def command_lines() -> list[str]:
    """Return what anybody on this machine may see of its processes."""
    if Path("/proc/self/cmdline").exists():
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return lines
    return subprocess.run(["ps", "-axww", "-o", "args"], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("part", ["host", "hub", "azurite", "postgres"])
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_part_can_go_and_come_back(stack: Stack, part: str, end: str) -> None:
    server = getattr(stack, part)
    before, settings = list(server.ports), stack.settings()
    getattr(server, end)()
    assert not ports.is_listening(before[0])
    stack.supervisor.raise_if_one_ended()  # it was told to: no accident
    server.start()
    assert server.ports == before
    assert stack.settings() == settings


def test_no_command_line_holds_a_secret(stack: Stack) -> None:
    settings = stack.settings()
    hub_key = re.search(r"AccessKey=([^;]+)", settings["SIGNALR_CONNECTION"])
    password = urlsplit(stack.database_url).password
    assert hub_key is not None
    assert password is not None
    names = ("INVITE_SECRET", "ADMIN_INVITE_SECRET", "SESSION_SECRET")
    secrets = {"hub": hub_key[1], "password": password, **{name: settings[name] for name in names}}
    lines = command_lines()
    assert any(f"--port {stack.hub.ports[0]}" in line for line in lines), "the hub's own line is among them"
    assert not [name for name, secret in secrets.items() if any(secret in line for line in lines)]


async def test_a_job_runs_through_all_parts(stack: Stack) -> None:
    outcome = await run_one_job(stack.page_url, stack.invite)
    assert outcome.size == 10_000
    assert outcome.updates[-1]["status"] == "succeeded"


SLOW = """
from __future__ import annotations

import asyncio

from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner


class Nothing(BaseModel):
    pass


class Version(BaseModel):
    version: int


class Slow(JobRunner[Nothing, Version]):
    kind = "slow"
    queue = "slow"

    async def on_execute(self, request: Nothing, ctx: JobContext[Version]) -> Version:
        await asyncio.sleep(SECONDS)
        return Version(version=SECONDS)
"""


def test_saved_code_is_reloaded_and_a_running_job_is_released(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    app = make_app(tmp_path / "app")
    job = app / "jobs" / "slow.py"
    job.write_text(SLOW.replace("SECONDS", "3600"))
    stack.host.stop()
    host = HostServer(stack.settings, app=app, drain=timedelta())
    monkeypatch.setattr(stack, "app", app)
    monkeypatch.setattr(stack, "host", host)
    reloader = Reloader(stack, [app], lambda _, line: lines.append(line), Event())

    def look_until(beginning: str) -> None:
        def reported() -> bool:
            reloader.look()
            return any(line.startswith(beginning) for line in lines)

        wait_until(reported, beginning)
        lines.clear()

    try:
        stack.spawn_preparation().wait(READY_WITHIN)
        host.start()
        with Person(host.page_url, stack.invite) as ann:
            key = ann.call("POST", "/api/jobs/slow", json={}).json()["id"]
            started = ann.wait(key, lambda job: job["status"] == "running")
            job.write_text(SLOW.replace("SECONDS", "0"))
            before, port = host.pid, host.ports
            look_until("reloaded")
            assert (host.pid != before, host.ports) == (True, port)
            ended = ann.wait(key, lambda job: job["status"] in FINAL)
            assert (ended["status"], ended["result"]) == ("succeeded", {"version": 0})
            assert ended["maxAttempts"] - ended["attempt"] == started["maxAttempts"] - started["attempt"]

            before = host.pid
            for broken in ("class Slow(:\n", "import nowhere\n"):
                job.write_text(broken)
                look_until("not reloaded")
                assert (host.pid, ann.status("GET", f"/api/jobs/{key}")) == (before, 200)
            job.write_text(SLOW)
            (app / "jobs" / "new.py").write_text(SLOW.replace("slow", "new").replace("SECONDS", "0"))
            job.unlink()
            look_until("reloaded")
            key = ann.call("POST", "/api/jobs/new", json={}).json()["id"]
            assert ann.wait(key, lambda job: job["status"] in FINAL)["status"] == "succeeded"
    finally:
        reloader.close()
        host.stop()
        monkeypatch.undo()
        stack.host.start()


def test_the_end_of_a_part_by_itself_is_an_accident(stack: Stack) -> None:
    assert stack.hub.pid is not None
    os.kill(stack.hub.pid, signal.SIGKILL)
    wait_until(lambda: stack.hub.exit_code is not None, "the end of the hub is seen")
    with pytest.raises(ServerFailed, match="signalr ended with exit code -9"):
        stack.supervisor.raise_if_one_ended()
    stack.hub.stop()
    stack.hub.start()
    wait_until(lambda: responds(stack.host.ports[0], "/api/health"), "the host answers")
