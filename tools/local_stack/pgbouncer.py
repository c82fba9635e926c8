"""Debian's PgBouncer before a Postgres on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tools.local_stack import ports
from tools.local_stack.errors import Missing
from tools.local_stack.postgres_binaries import unprivileged_account
from tools.local_stack.process import Command
from tools.local_stack.server import Server

#: It is in sbin, which is not always on PATH.
_PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"])
#: Its service is of no use here, and Debian starts none in this run level.
_QUIETLY = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


def find_pgbouncer() -> Path:
    """Return the program, installed from Debian if it is missing. Raises Missing."""
    found = shutil.which("pgbouncer", path=_PLACES)
    if found is None and shutil.which("apt-get"):
        root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive", "--preserve-env=DEBIAN_FRONTEND,RUNLEVEL"]
        install = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", "pgbouncer"]
        for command in (["apt-get", "-qq", "update"], install):
            subprocess.run([*root, *command], env=os.environ | _QUIETLY, stdout=subprocess.DEVNULL, check=False)
        found = shutil.which("pgbouncer", path=_PLACES)
    if found is None:
        raise Missing("PgBouncer is missing: install it (apt-get install pgbouncer, or brew install pgbouncer)")
    return Path(found)


class PgBouncer(Server):
    """A pooler in transaction mode, with few connections to the server for any number of clients.

    Parameters
    ----------
    target
        The address of any database of the server, with the superuser's password.
    ignores_options
        Whether it takes connections with options, and ignores these, as it is often set up.
    """

    def __init__(self, folder: Path, target: str, *, ignores_options: bool = False, connections: int = 2) -> None:
        super().__init__("pgbouncer", ports_needed=1)
        self._program = find_pgbouncer()
        self._folder = folder
        self._target = conninfo_to_dict(target)
        self._ignores_options = ignores_options
        self._connections = connections
        self._account = unprivileged_account()

    def url_of(self, url: str) -> str:
        """Return the address of a database of the server through the pooler."""
        return make_conninfo(url, host=ports.LOOPBACK, port=self.ports[0], password="unused")  # noqa: S106 (any will do)

    def _command(self) -> Command:
        target = self._target
        login = f"user={target['user']} password={target['password']}"
        settings = {
            "listen_addr": ports.LOOPBACK,
            "listen_port": self.ports[0],
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": self._connections,
            "max_client_conn": 200,
            "ignore_startup_parameters": "options" if self._ignores_options else "",
        }
        self._folder.mkdir(exist_ok=True)
        file = self._folder / "pgbouncer.ini"
        lines = [f"[databases]\n* = host={target['host']} port={target['port']} {login}\n[pgbouncer]"]
        file.write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in settings.items())]) + "\n")
        if self._account is not None:
            for path in (self._folder, file):
                os.chown(path, self._account.uid, self._account.gid)
        return Command(
            arguments=[str(self._program), str(file)],
            environment=os.environ,
            folder=Path("/"),
            account=self._account,
        )

    def _is_ready(self) -> bool:
        return self.exit_code is None and ports.is_listening(self.ports[0])


def server_connections(url: str) -> int:
    """Return how many clients are connected to this database, besides the one that asks."""
    with psycopg.connect(url) as conn:
        row = conn.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        ).fetchone()
        return int(row[0]) if row else 0
