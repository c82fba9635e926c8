"""scripts/dev with all real parts: ready, stopped, killed, started again, refused."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.debug_client import DebugClient
from tests.support.dev import DevRun
from tests.support.waiting import is_alive, wait_until
from tools.local_stack import ports
from tools.local_stack.app_servers import ROOT
from tools.local_stack.dev_options import USUAL_DEBUG_PORT
from tools.local_stack.state import temporary_folder


class Runs:
    """Runs of one state folder, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[DevRun] = []

    def start(self, *arguments: str, environment: dict[str, str] | None = None) -> DevRun:
        run = DevRun(self.folder, *arguments, environment=environment)
        self._started.append(run)
        return run

    def end(self) -> None:
        for run in self._started:
            run.end()


@pytest.fixture
def runs() -> Iterator[Runs]:
    with temporary_folder() as folder:
        runs = Runs(folder)
        yield runs
        runs.end()


def post(port: int, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(ports.LOOPBACK, port, timeout=30)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def pids_of_parts(description: dict[str, Any]) -> list[int]:
    return [pid for part, pid in description["pids"].items() if part != "dev"]


def test_the_ready_file_leads_to_everything_and_ctrl_c_ends_it(runs: Runs) -> None:
    (port,) = ports.choose_ports(1)
    run = runs.start("--port", str(port))
    description = run.wait_until_ready()

    assert stat.S_IMODE(run.ready_file.stat().st_mode) == 0o600
    assert description["pageUrl"] == f"http://127.0.0.1:{port}/"
    assert set(description["ports"]) == {"host", "postgres", "azuriteBlob", "azuriteQueue", "azuriteTable", "signalr"}
    assert set(description["pids"]) == {"dev", "host", "postgres", "azurite", "signalr"}
    assert description["pids"]["dev"] == run.process.pid
    assert all(ports.is_listening(each) for each in description["ports"].values())
    assert all(is_alive(pid) for pid in description["pids"].values())
    assert not [name for name in description["environment"] if name.endswith("_SECRET")]
    with psycopg.connect(description["environment"]["DATABASE_URL"]) as connection:
        assert connection.execute("select count(*) from queued_jobs.job").fetchone() == (0,)
    for link, role in (("guestUrl", "guest"), ("adminUrl", "admin")):
        page, _, invite = description[link].partition("#invite=")
        assert page == description["pageUrl"]
        status, session = post(port, "/api/session", {"invite": invite})
        assert (status, session["user"]["roles"]) == (200, [role])
    assert "Executed" not in run.output, "only what goes wrong"

    dashboard = description["adminUrl"].replace("#", "dashboard.html#")
    assert f"admin link: {dashboard}\n" in run.output
    assert f"guest link: {description['guestUrl']}\n" in run.output

    run.process.send_signal(signal.SIGINT)
    assert run.wait_for_exit() == 0
    assert not [pid for pid in pids_of_parts(description) if is_alive(pid)]
    assert not run.ready_file.exists()
    assert run.output.splitlines()[-1].endswith("stopped")


def test_ctrl_c_during_the_start_ends_it_in_an_orderly_way(runs: Runs) -> None:
    run = runs.start()
    wait_until((runs.folder / "state" / "postgres" / "data").exists, "Postgres is about to start")
    run.process.send_signal(signal.SIGINT)
    assert run.wait_for_exit() == 0
    assert run.output.splitlines()[-1].endswith("stopped")
    assert "Traceback" not in run.output


def test_links_and_data_stay_until_reset(runs: Runs) -> None:
    (port,) = ports.choose_ports(1)
    first_run = runs.start("--port", str(port))
    first = first_run.wait_until_ready()
    with psycopg.connect(first["environment"]["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("create table kept ()")
    first_run.process.terminate()
    assert first_run.wait_for_exit() == 0

    second_run = runs.start()
    second = second_run.wait_until_ready()
    assert second["guestUrl"] == first["guestUrl"]
    assert second["ports"] == first["ports"], "the policy of an open page names the hub's"
    with psycopg.connect(second["environment"]["DATABASE_URL"]) as connection:
        connection.execute("select * from kept")
    second_run.process.terminate()
    assert second_run.wait_for_exit() == 0

    third = runs.start("--reset", "--seed").wait_until_ready()
    assert third["guestUrl"].partition("#")[2] != first["guestUrl"].partition("#")[2]
    with psycopg.connect(third["environment"]["DATABASE_URL"]) as connection:
        jobs = "select count(*) > 1000, count(*) filter (where finished_at is null) from queued_jobs.job"
        assert connection.execute(jobs).fetchone() == (True, 0)
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("select * from kept")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_nothing_outlives_a_kill_and_the_next_run_starts_at_once(runs: Runs) -> None:
    run = runs.start()
    description = run.wait_until_ready()
    second = runs.start()  # while the first one runs
    assert second.wait_for_exit() == 1
    assert f"in use by process {run.process.pid}" in second.output

    run.process.kill()
    run.process.wait()
    next_run = runs.start()
    wait_until(lambda: not any(is_alive(pid) for pid in pids_of_parts(description)), "all parts gone")
    next_run.wait_until_ready()


@pytest.mark.parametrize("part", ["host", "postgres"])
def test_the_end_of_one_part_ends_the_run_with_its_name(runs: Runs, part: str) -> None:
    run = runs.start()
    description = run.wait_until_ready()
    os.kill(description["pids"][part], signal.SIGKILL)
    assert run.wait_for_exit() == 1
    assert f"{part} ended with exit code -9" in run.output
    assert not [pid for pid in pids_of_parts(description) if is_alive(pid)]


def test_a_database_of_the_user_is_used_instead_of_the_embedded_one(runs: Runs, database_url: str) -> None:
    run = runs.start(environment={"DATABASE_URL": database_url})
    description = run.wait_until_ready()
    assert description["pids"]["postgres"] is None
    assert description["environment"]["DATABASE_URL"] == database_url
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from queued_jobs.job").fetchone() == (0,)
    assert "DATABASE_URL" in run.output
    assert database_url not in run.output
    assert not (runs.folder / "state" / "postgres").exists()


def test_an_editor_finds_the_debugger_where_the_command_and_its_state_say(runs: Runs) -> None:
    (attach,) = json.loads((ROOT / ".vscode/launch.json").read_text())["configurations"]
    assert attach["connect"] == {"host": ports.LOOPBACK, "port": USUAL_DEBUG_PORT}
    with contextlib.ExitStack() as stack:
        if ports.is_free(USUAL_DEBUG_PORT):
            stack.enter_context(socket.create_server((ports.LOOPBACK, USUAL_DEBUG_PORT)))
        run = runs.start("--debug")
        port = run.wait_until_ready()["ports"]["debugger"]
        assert port != USUAL_DEBUG_PORT, "which another program uses"
    assert f"debugger: attach to {ports.LOOPBACK}:{port}" in run.output
    assert json.loads((runs.folder / "state" / "ports.json").read_text())["debugger"] == [port]
    with DebugClient(port):
        assert run.process.poll() is None
    run.process.send_signal(signal.SIGINT)
    assert run.wait_for_exit() == 0


def test_func_that_is_missing_is_named_with_the_remedy(runs: Runs) -> None:
    run = runs.start("--host", "func", environment={"PATH": "/usr/bin:/bin"})
    assert run.wait_for_exit() == 1
    assert "Azure Functions Core Tools 4" in run.output
