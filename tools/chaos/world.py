"""The system under attack: the local stack with several processes that run jobs, and a proxy before each service."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import psycopg
from psycopg.conninfo import make_conninfo

from tools.chaos.constants import EXECUTIONS, SWEEP
from tools.chaos.servers import Attacked, FunctionHost, Replica, WorkerProcess
from tools.local_stack.pgbouncer import PgBouncer
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.proxy import Proxy
from tools.local_stack.server import Server
from tools.local_stack.stack import Stack, StackOptions
from tools.local_stack.state import State
from tools.test_app.folder import make_app

_HERE = Path(__file__).resolve().parent
SERVICES = ("database", "queue", "blobs", "hub")
#: Every third process is a function host, which also serves HTTP; the others are workers without a host.
_HOST_EVERY = 3


class World(Stack):
    """Starts and stops the system. Its settings name the proxies, so that a fault of the network meets every process.

    Parameters
    ----------
    processes
        How many processes run jobs; the first one is a function host.
    replica
        Whether a second Postgres follows the first one.
    pooler
        Whether PgBouncer stands before the database.
    """

    def __init__(self, folder: Path, *, processes: int, replica: bool = False, pooler: bool = False) -> None:
        self.folder = folder
        self._logs: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        app = make_app(folder / "app", jobs=_HERE / "jobs")
        super().__init__(State(folder / "state"), StackOptions(durable=True, app=app), emit=self._keep_line)
        self.executions = folder / "executions.log"
        self.executions.touch()
        self.primary = self._own_postgres()
        self.processes: list[Attacked] = [self._process(number) for number in range(processes)]
        self.host = self.hosts[0]
        self.replica: Replica | None = None
        self._wants_replica = replica
        self.pooler: PgBouncer | None = None
        self._wants_pooler = pooler
        self.proxies = {name: Proxy(1) for name in SERVICES}
        self._open = ExitStack()

    @property
    def hosts(self) -> list[FunctionHost]:
        return [process for process in self.processes if isinstance(process, FunctionHost)]

    @property
    def everything(self) -> list[Server]:
        """All servers in the order of their start."""
        optional = [server for server in (self.replica, self.pooler) if server is not None]
        return [self.primary, *optional, self.azurite, self.hub, *self.processes]

    @property
    def direct_url(self) -> str:
        """The address of the database that no fault of the network meets."""
        return self.primary.url

    def settings_without_secrets(self) -> dict[str, str]:
        """The settings of the processes, with the addresses of the proxies."""
        real = super().settings_without_secrets()
        blobs, queue, _ = self.azurite.ports
        storage = real["QueuesConn"]
        for port, name in ((blobs, "blobs"), (queue, "queue")):
            storage = storage.replace(f":{port}/", f":{self.proxies[name].port}/")
        hub = real["SIGNALR_CONNECTION"].replace(f":{self.hub.ports[0]};", f":{self.proxies['hub'].port};")
        return real | {
            "DATABASE_URL": make_conninfo(self.direct_url, port=self.proxies["database"].port),
            "DATABASE_POOLER": "transaction" if self.pooler else "none",
            **dict.fromkeys(("QueuesConn", "BlobsConn", "AzureWebJobsStorage"), storage),
            "SIGNALR_CONNECTION": hub,
            "SWEEP_SCHEDULE": f"*/{int(SWEEP.total_seconds())} * * * * *",
            **dict.fromkeys(_LIMITS, "999999"),
            EXECUTIONS: str(self.executions),
        }

    def start_all(self) -> None:
        """Start everything and wait until every process runs jobs."""
        for proxy in self.proxies.values():
            self._open.enter_context(proxy)
        for server in (self.azurite, self.hub, self.primary):
            server.spawn()
        for server in (self.azurite, self.hub, self.primary):
            server.wait_until_ready()
        self._aim_proxies()
        self._prepare_data()
        if self._wants_replica:
            self.replica = Replica(self.folder / "replica", self.primary, emit=self._keep_line)
            self.replica.follow()
        if self._wants_pooler:
            self.pooler = PgBouncer(self.folder / "pooler", self.primary.url, connections=20)
            self.pooler.start()
            self.proxies["database"].retarget(self.pooler.ports[0])
        for process in self.processes:
            process.spawn()
        for process in self.processes:
            process.wait_until_ready()

    def stop_all(self) -> None:
        """Stop everything, also what is frozen or was killed, and delete the databases."""
        for server in self.everything:
            send_signal(server, signal.SIGCONT)
        for process in self.processes:
            process.kill()
        for server in reversed(self.everything):
            server.stop()
        for database in (self.primary, self.replica):
            if database is not None:
                database.delete_data()
        self._open.close()

    def fail_over(self) -> None:
        """Lose the primary, promote its replica, and lead new connections there."""
        if self.replica is None:
            raise RuntimeError("a failover needs a replica")
        lost, self.primary, self.replica = self.primary, self.replica, None
        lost.kill()
        self.primary.promote()
        self.proxies["database"].retarget(self.primary.ports[0])
        lost.delete_data()

    def write_logs(self, folder: Path) -> None:
        """Write what each server has printed, with the time of each line."""
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            for name, lines in self._logs.items():
                (folder / f"{name}.log").write_text("\n".join(lines) + "\n")

    @contextlib.contextmanager
    def database(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """Connect to the database, past the proxy. A table that is locked is an error at once."""
        url = make_conninfo(self.direct_url, connect_timeout=3, options=_IMPATIENT)
        with psycopg.connect(url, autocommit=True) as conn:
            yield conn

    def _process(self, number: int) -> Attacked:
        kind = FunctionHost if number % _HOST_EVERY == 0 else WorkerProcess
        name = "host" if kind is FunctionHost else "worker"
        return kind(f"{name}-{number}", self.settings, app=self.app, emit=self._keep_line)

    def _own_postgres(self) -> PostgresServer:
        if self.postgres is None:
            raise RuntimeError("the run needs its own database")
        return self.postgres

    def _aim_proxies(self) -> None:
        blobs, queue, _ = self.azurite.ports
        targets = {"database": self.primary.ports[0], "queue": queue, "blobs": blobs, "hub": self.hub.ports[0]}
        for name, port in targets.items():
            self.proxies[name].retarget(port)

    def _prepare_data(self) -> None:
        self._prepare(Event())
        with self.database() as conn:
            conn.execute((_HERE / "watch.sql").read_text())

    def _keep_line(self, name: str, line: str) -> None:
        with self._lock:
            self._logs.setdefault(name, []).append(f"{time.time():.3f} {line}")


#: The caller may be the one that has to end a lock.
_IMPATIENT = "-c lock_timeout=300ms -c statement_timeout=20s"
_LIMITS = ("MAX_ACTIVE_JOBS", "MAX_JOBS_PER_DAY", "MAX_WRITES_PER_MINUTE", "MAX_WAITING_JOBS")


def send_signal(server: Server, number: signal.Signals) -> None:
    """Send a signal to a server and its children, if it runs."""
    with contextlib.suppress(ProcessLookupError):
        if server.pid is not None:
            os.killpg(server.pid, number)
