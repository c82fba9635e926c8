"""The whole system on this machine: Postgres, Azurite, the SignalR emulator, the functions host."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

from tools.local_stack.app_servers import FUNCTIONS, FuncServer, HostServer, HubServer, python_command
from tools.local_stack.azurite import AzuriteServer
from tools.local_stack.errors import Interrupted, ServerFailed
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.process import ChildProcess, Emit, discard
from tools.local_stack.server import Server, describe_lines
from tools.local_stack.state import State
from tools.local_stack.supervisor import LOOK_EVERY, Supervisor

SWEEP_SCHEDULE = "*/15 * * * * *"
#: The host's own limit, as in the cloud: bodies are small, and files go straight to the storage.
MAX_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """`database_url` = a server of the user's own instead of the embedded one.

    `page_port` None = the port of the last run, or any free port. `drain`, `debug_port` = see `HostServer`.
    """

    durable: bool
    app: Path = FUNCTIONS
    page_port: int | None = None
    database_url: str | None = None
    core_tools: bool = False
    drain: timedelta | None = None
    debug_port: int | None = None


class Stack:
    """Starts and stops all parts; each part can also be stopped, killed and started again on its port."""

    def __init__(self, state: State, options: StackOptions, *, emit: Emit = discard) -> None:
        secrets = state.secrets()
        self._state = state
        self._secrets = secrets
        self._emit = emit
        self._external_database = options.database_url or ""
        self.app = options.app
        self.hub = HubServer(secrets.hub_key, emit=emit)
        self.azurite = AzuriteServer(state.azurite, emit=emit)
        self.postgres: PostgresServer | None = None
        if options.database_url is None:
            self.postgres = PostgresServer(state.postgres, durable=options.durable, emit=emit)
        host_class = FuncServer if options.core_tools else HostServer
        self.host: HostServer = host_class(
            self.settings,
            app=options.app,
            port=options.page_port,
            drain=options.drain,
            debug_port=options.debug_port,
            emit=emit,
        )
        self.debug_port = options.debug_port
        self.supervisor = Supervisor(self.servers)
        kept = state.ports()
        for server in self.servers:
            server.prefer(kept.get(server.name, []))

    @property
    def servers(self) -> list[Server]:
        """The parts in the order of their start."""
        return [*([self.postgres] if self.postgres else []), self.azurite, self.hub, self.host]

    @property
    def page_url(self) -> str:
        return self.host.page_url

    @property
    def guest_url(self) -> str:
        return f"{self.page_url}#invite={self._secrets.invite}"

    @property
    def admin_url(self) -> str:
        return f"{self.page_url}#invite={self._secrets.admin_invite}"

    @property
    def dashboard_url(self) -> str:
        return f"{self.page_url}dashboard.html#invite={self._secrets.admin_invite}"

    @property
    def invite(self) -> str:
        return self._secrets.invite

    @property
    def database_url(self) -> str:
        return self.postgres.url if self.postgres else self._external_database

    def settings(self) -> dict[str, str]:
        """The settings of the function app. Readable once the other servers are ready."""
        return self.settings_without_secrets() | {
            "INVITE_SECRET": self._secrets.invite,
            "ADMIN_INVITE_SECRET": self._secrets.admin_invite,
            "SESSION_SECRET": self._secrets.session,
        }

    def settings_without_secrets(self) -> dict[str, str]:
        """The settings that tools need to inspect the running system: its addresses, with their local passwords."""
        storage = self.azurite.connection_string
        return {
            "AUTH_MODE": "invite",
            "ENVIRONMENT": "local",
            "DATABASE_URL": self.database_url,
            "QueuesConn": storage,
            "BlobsConn": storage,
            "AzureWebJobsStorage": storage,
            "SIGNALR_CONNECTION": self.hub.connection_string,
            "SWEEP_SCHEDULE": SWEEP_SCHEDULE,
            "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(MAX_BODY),
        }

    def start(self, stop: Event | None = None) -> None:
        """Start all parts and wait until the system accepts jobs.

        Raises ServerFailed, or Interrupted if `stop` is set in the meantime; `stop()` then stops what has started.
        """
        stop = stop or Event()
        started = time.monotonic()
        before_host = [server for server in (self.azurite, self.hub, self.postgres) if server is not None]
        for server in before_host:  # Postgres last: its first start prepares a cluster first
            server.spawn()
        settings = self.settings()
        self.host.load_successor()  # imports the app while the others start
        for server in before_host:
            server.wait_until_ready(stop)
            self._say_ready(server, started)
        self._prepare(stop)
        if self.settings() != settings:  # another program took a port
            self.host.load_successor()
        self.host.hand_over(stop)
        self._say_ready(self.host, started)
        self._state.keep_ports({server.name: server.ports for server in self.servers} | self._debugger_ports())

    def stop(self) -> None:
        """Stop all parts, in the opposite order of their start."""
        self.supervisor.stop()

    def delete_data(self) -> None:
        """Delete the databases of the stopped system, wherever they are."""
        if self.postgres is not None:
            self.postgres.delete_data()

    def describe(self) -> dict[str, object]:
        """Return addresses, ports, process ids and settings, for other programs."""
        blob, queue, table = self.azurite.ports
        pids = {server.name: server.pid for server in self.servers}
        return {
            "pageUrl": self.page_url,
            "guestUrl": self.guest_url,
            "adminUrl": self.admin_url,
            "ports": {
                "host": self.host.ports[0],
                "postgres": urlsplit(self.database_url).port,
                "azuriteBlob": blob,
                "azuriteQueue": queue,
                "azuriteTable": table,
                "signalr": self.hub.ports[0],
                **{name: port for name, (port,) in self._debugger_ports().items()},
            },
            "pids": {"dev": os.getpid(), "postgres": None, **pids},
            "environment": self.settings_without_secrets(),
        }

    def spawn_preparation(self) -> ChildProcess:
        """Start the process that brings the database up to date and creates queues and containers."""
        command = python_command("tools.local_stack.prepare", str(self.app), settings=self.settings())
        return ChildProcess("prepare", command, self._emit)

    def _prepare(self, stop: Event) -> None:
        preparation = self.spawn_preparation()
        try:
            self._wait_for(preparation, stop)
        finally:
            preparation.kill()

    def _wait_for(self, preparation: ChildProcess, stop: Event) -> None:
        while (exit_code := preparation.wait(LOOK_EVERY)) is None:
            if stop.is_set():
                raise Interrupted
            self.supervisor.raise_if_one_ended()
        if exit_code != 0:
            raise ServerFailed(
                f"the preparation of the database and the storage ended with exit code {exit_code}. "
                f"Its last lines:\n{describe_lines(list(preparation.last_lines))}"
            )

    def _debugger_ports(self) -> dict[str, list[int]]:
        return {} if self.debug_port is None else {"debugger": [self.debug_port]}

    def _say_ready(self, server: Server, started: float) -> None:
        self._emit("dev", f"{server.name} is ready, {time.monotonic() - started:.1f} s after the start")
