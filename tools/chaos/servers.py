"""The servers of a run that differ from those of the local run: processes that run jobs, a Postgres with a replica."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from tools.chaos import constants
from tools.chaos.programs import WORKER_STARTED
from tools.local_stack.app_servers import HostServer, Settings, python_command
from tools.local_stack.errors import ServerFailed
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.process import Command, Emit
from tools.local_stack.server import Server

_PROGRAMS = "tools.chaos.programs"


class _ReadyByLine:
    """Whether a process has printed that it is ready: a health check would wait for services that are ill."""

    def __init__(self, sign: str, emit: Emit) -> None:
        self.is_ready = False
        self._sign = sign
        self._emit = emit

    def __call__(self, name: str, line: str) -> None:
        self.is_ready |= self._sign in line
        self._emit(name, line)


class FunctionHost(HostServer):
    """The function app with the short times of a run."""

    def __init__(self, name: str, settings: Settings, *, app: Path, emit: Emit) -> None:
        self._line = _ReadyByLine("host ready on", emit)
        super().__init__(settings, app=app, emit=self._line)
        self.name = name

    def spawn(self) -> None:
        self._line.is_ready = False
        super().spawn()

    def _command(self) -> Command:
        return python_command(_PROGRAMS, "host", *self._app_and_port(), settings=self._settings())

    def _app_and_port(self) -> tuple[str, str]:
        return str(self._app), str(self.ports[0])

    def _is_ready(self) -> bool:
        return self._line.is_ready


class WorkerProcess(Server):
    """A worker without a host."""

    def __init__(self, name: str, settings: Settings, *, app: Path, emit: Emit) -> None:
        self._line = _ReadyByLine(WORKER_STARTED, emit)
        super().__init__(name, ports_needed=1, port=0, emit=self._line)
        self._settings = settings
        self._app = app

    def spawn(self) -> None:
        self._line.is_ready = False
        super().spawn()

    def _command(self) -> Command:
        return python_command(_PROGRAMS, "worker", str(self._app), settings=self._settings())

    def _is_ready(self) -> bool:
        return self._line.is_ready


Attacked = FunctionHost | WorkerProcess


class Replica(PostgresServer):
    """A streaming replica of a running server, which commits only what the replica has written too."""

    def __init__(self, folder: Path, primary: PostgresServer, *, emit: Emit) -> None:
        super().__init__(folder, durable=True, emit=emit)
        self.name = "replica"
        self._primary = primary

    def follow(self) -> None:
        """Copy the primary, start, and wait until the primary waits for this server's disk at each commit."""
        self._password_file.write_text(self._primary._password_file.read_text())
        account = self._account
        self._data.mkdir(mode=0o700)
        if account is not None:
            os.chown(self._data, account.uid, account.gid)
        source = make_conninfo(self._primary.url, application_name="replica")
        finished = subprocess.run(
            [str(self._programs / "pg_basebackup"), "-D", str(self._data), "-d", source, "-R", "-c", "fast"],
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode != 0:
            raise ServerFailed(f"replica: pg_basebackup ended with exit code {finished.returncode}: {finished.stderr}")
        self.start()
        with psycopg.connect(self._primary.url, autocommit=True) as conn:
            conn.execute("alter system set synchronous_standby_names = '*'")
            conn.execute("select pg_reload_conf()")
            _wait_for(conn, "select true from pg_stat_replication where sync_state = 'sync'")

    def promote(self) -> None:
        """Make it a server that takes changes, without a standby."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute("alter system reset synchronous_standby_names")
            conn.execute("select pg_promote()")
            conn.execute("select pg_reload_conf()")

    def _is_ready(self) -> bool:
        lines = self._read_pid_file()
        is_ours = len(lines) > 7 and lines[0].strip() == str(self.pid)
        return is_ours and lines[7].strip() in ("ready", "standby")


def crash(server: PostgresServer) -> None:
    """Shut a server down immediately, like `pg_ctl stop -m immediate`: it recovers when it is started again."""
    if server.pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGQUIT)
    deadline = time.monotonic() + constants.PATIENCE.total_seconds()
    while server.exit_code is None and time.monotonic() < deadline:
        time.sleep(0.01)
    server.kill()


def _wait_for(conn: psycopg.Connection[tuple[object, ...]], query: str, within: timedelta = constants.PATIENCE) -> None:
    deadline = time.monotonic() + within.total_seconds()
    while conn.execute(query).fetchone() is None:
        if time.monotonic() > deadline:
            raise ServerFailed(f"nothing was found within {within.total_seconds():g} s by: {query}")
        time.sleep(0.05)
