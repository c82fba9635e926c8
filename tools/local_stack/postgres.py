"""A private Postgres server from embedded programs, for a durable or a temporary database."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path

from tools.local_stack import ports
from tools.local_stack.errors import ServerFailed
from tools.local_stack.postgres_binaries import (
    find_programs,
    is_reachable,
    reachable_programs,
    roots_folder,
    unprivileged_account,
)
from tools.local_stack.process import Command, Emit, discard
from tools.local_stack.server import Server

SUPERUSER = "postgres"
PREDECESSOR_ENDS_WITHIN = timedelta(seconds=15)
REMAINS_OF_PREDECESSOR = "pre-existing shared memory block"  # of processes that outlive their killed server a little
FAST_AND_UNSAFE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "256MB",  # its folder may be in memory
}
SETTINGS = {
    "timezone": "UTC",  # as in the cloud
    "log_timezone": "UTC",
    "log_min_messages": "fatal",  # the application reports its failed statements itself
    "unix_socket_directories": "",
    "listen_addresses": ports.LOOPBACK,
}


class PostgresServer(Server):
    """Keeps its files in `folder`, which it creates. As root it runs as an unprivileged account.

    `durable=False` trades safety for speed: a crash of the machine or of the server may destroy the database.
    """

    def __init__(self, folder: Path, *, durable: bool, emit: Emit = discard) -> None:
        super().__init__("postgres", ports_needed=1, emit=emit)
        self._folder = folder.resolve()
        self._durable = durable
        self._account = unprivileged_account()
        self._programs = reachable_programs(find_programs(), self._account)
        self._data = self._choose_data_folder()

    @property
    def url(self) -> str:
        """The address of the superuser's own database. Readable once the server has been started."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        password = self._password_file.read_text().strip()
        return f"postgresql://{SUPERUSER}:{password}@{ports.LOOPBACK}:{self.ports[0]}/{database}"

    def delete_data(self) -> None:
        """Delete the stopped server's databases and its password."""
        if self.pid is not None:
            raise RuntimeError("stop Postgres before its data is deleted")
        self._wait_for_predecessor()
        shutil.rmtree(self._data, ignore_errors=True)
        shutil.rmtree(self._unfinished_data, ignore_errors=True)
        self._password_file.unlink(missing_ok=True)

    def spawn(self) -> None:
        if not (self._data / "PG_VERSION").exists():
            self._create_cluster()
        self._wait_for_predecessor()
        super().spawn()

    def _command(self) -> Command:
        settings = SETTINGS | {"port": str(self.ports[0])} | ({} if self._durable else FAST_AND_UNSAFE)
        return Command(
            arguments=[
                *(str(self._programs / "postgres"), "-D", str(self._data)),
                *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
            ],
            environment=_environment(),
            folder=Path("/"),
            stop_signal=signal.SIGINT,  # fast shutdown
            death_signal=signal.SIGINT,
            account=self._account,
            stop_within=timedelta(seconds=20),
        )

    def _is_ready(self) -> bool:
        lines = self._read_pid_file()
        # A killed predecessor may have left a ready file.
        return len(lines) > 7 and lines[0].strip() == str(self.pid) and lines[7].strip() == "ready"

    def _move_or_fail_if_ended(self) -> None:
        remains = any(REMAINS_OF_PREDECESSOR in line for line in self.last_lines)
        if self.exit_code is not None and remains:
            self._start_again()
        else:
            super()._move_or_fail_if_ended()

    @property
    def _password_file(self) -> Path:
        return self._folder / "password"

    @property
    def _unfinished_data(self) -> Path:
        return self._data.with_name(self._data.name + ".part")

    def _choose_data_folder(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o711 if self._account else 0o700)
        if self._account is None or is_reachable(self._folder, self._account):
            return self._folder / "data"
        # That account cannot always enter a parent folder (a checkout in root's home): do not change its permissions.
        return roots_folder() / f"data-{hashlib.sha256(str(self._folder).encode()).hexdigest()[:16]}"

    def _create_cluster(self) -> None:
        # In a temporary folder that is renamed at the end: an interrupted run leaves no incomplete cluster.
        unfinished = self._unfinished_data
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = unfinished.with_name(f"{unfinished.name}.password")
        password = secrets.token_urlsafe(24)
        _write_private(self._password_file, password)
        _write_private(password_file, password)
        if self._account is not None:
            for path in (unfinished, password_file):
                os.chown(path, self._account.uid, self._account.gid)
        try:
            self._run_initdb(unfinished, password_file)
        finally:
            password_file.unlink(missing_ok=True)
        unfinished.rename(self._data)

    def _run_initdb(self, data: Path, password_file: Path) -> None:
        account = self._account
        finished = subprocess.run(
            [
                *(str(self._programs / "initdb"), "-D", str(data), "-U", SUPERUSER, f"--pwfile={password_file}"),
                *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"),
                *([] if self._durable else ["--no-sync"]),
            ],
            env=_environment(),
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if finished.returncode != 0:
            raise ServerFailed(
                f"postgres: initdb ended with exit code {finished.returncode} for {data}. "
                f"It printed:\n{finished.stdout}"
            )

    def _read_pid_file(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _wait_for_predecessor(self) -> None:
        """Wait until the server of a killed run, which is still shutting down, has released the data."""
        deadline = time.monotonic() + PREDECESSOR_ENDS_WITHIN.total_seconds()
        while lines := self._read_pid_file():
            pid = int(lines[0])
            if not _is_postgres(pid):
                with contextlib.suppress(FileNotFoundError):
                    (self._data / "postmaster.pid").unlink()
                return
            if time.monotonic() > deadline:
                raise ServerFailed(
                    f"postgres: process {pid} still serves the data in {self._data}; end it (kill -INT {pid})"
                )
            time.sleep(0.05)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}


def _is_postgres(pid: int) -> bool:
    if Path("/proc/self/cmdline").exists():
        try:
            program = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]  # empty for one that has ended
        except OSError:
            return False
    else:
        listed = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
        program = listed.stdout.strip()
    return Path(program).name == "postgres"
