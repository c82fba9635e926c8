"""Our own servers of the local run: the SignalR emulator and the host of the function app."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

from tools.functions_host import debugger
from tools.functions_host.turn import LOADED, TURN
from tools.local_stack import ports
from tools.local_stack.errors import Interrupted, LocalRunError, Missing
from tools.local_stack.process import ChildProcess, Command, Emit, discard
from tools.local_stack.server import PROBE_EVERY, Server
from tools.local_stack.state import write_private
from tools.signalr_emulator import ACCESS_KEY

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "functions"
HEALTH = "/api/health"
DRAIN_WITHIN = timedelta(seconds=12)

Settings = Callable[[], Mapping[str, str]]


class HubServer(Server):
    """The emulator of Azure SignalR Service."""

    def __init__(self, key: str, *, emit: Emit = discard) -> None:
        super().__init__("signalr", ports_needed=1, emit=emit)
        self._key = key

    @property
    def endpoint(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.ports[0]}"

    @property
    def connection_string(self) -> str:
        return f"Endpoint={self.endpoint};AccessKey={self._key};Version=1.0;"

    def _command(self) -> Command:
        return python_command("tools.signalr_emulator", "--port", str(self.ports[0]), settings={ACCESS_KEY: self._key})

    def _is_ready(self) -> bool:
        return responds(self.ports[0], HEALTH)


class HostServer(Server):
    """The function app in Microsoft's worker and the emulator of its host. `settings` is called at each start.

    `drain` is how long running invocations may take at a stop before they are cancelled; None for the host's own.
    On the `debug_port`, if there is one, an editor can attach.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        app: Path = FUNCTIONS,
        port: int | None = None,
        drain: timedelta | None = None,
        debug_port: int | None = None,
        emit: Emit = discard,
    ) -> None:
        super().__init__("host", ports_needed=1, port=port, emit=emit)
        self._debug_port = debug_port
        self._settings = settings
        self._app = app
        self._drain = drain
        self._successor: ChildProcess | None = None
        self._successor_loaded = Event()

    @property
    def page_url(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.ports[0]}/"

    def load_successor(self) -> None:
        """Start a process with the code as it is now. It imports the app, beside the running host, and then waits."""
        self.drop_successor()
        self._successor_loaded.clear()
        command = self._command()
        successor = replace(command, arguments=[*command.arguments, "--in-turn"])
        self._successor = ChildProcess(self.name, successor, self._emit_successor)

    def successor_is_loaded(self) -> bool | None:
        """Return whether it has imported the app; None if it could not. Its output has the reason."""
        if self._successor is None or self._successor.exit_code is not None:
            return None
        return self._successor_loaded.is_set()

    def drop_successor(self) -> None:
        """End a process that waits; do nothing if there is none."""
        if self._successor is not None:
            self._successor.kill()
            self._successor = None

    def hand_over(self, stop: Event | None = None) -> None:
        """Stop the running host, if there is one, which releases its jobs, and let its successor serve.

        Raises like `wait_until_ready`.
        """
        successor, self._successor = self._successor, None
        if successor is None:
            raise RuntimeError("there is no successor")
        super().stop()
        self._process = successor
        while not self._successor_loaded.wait(PROBE_EVERY.total_seconds()):
            if successor.exit_code is not None:
                self._fail(f"ended with exit code {successor.exit_code} before it was ready")
            if stop is not None and stop.is_set():
                raise Interrupted
        successor.notify(TURN)
        self.wait_until_ready(stop)

    def stop(self) -> None:
        """Stop it gracefully, and its successor."""
        self.drop_successor()
        super().stop()

    def kill(self) -> None:
        """Kill it and its successor."""
        self.drop_successor()
        super().kill()

    def _emit_successor(self, name: str, line: str) -> None:
        if line == LOADED:
            self._successor_loaded.set()
        else:
            self._emit(name, line)

    def _command(self) -> Command:
        settings = self._settings() if self._debug_port is None else {**self._settings(), **debugger.ENVIRONMENT}
        return python_command("tools.functions_host", *self._arguments(), settings=settings)

    def _arguments(self) -> tuple[str, ...]:
        drain = ("--drain-seconds", f"{self._drain.total_seconds():g}") if self._drain is not None else ()
        debug = ("--debug-port", str(self._debug_port)) if self._debug_port is not None else ()
        return str(self._app), "--port", str(self.ports[0]), *drain, *debug

    def _is_ready(self) -> bool:
        return responds(self.ports[0], HEALTH)


class FuncServer(HostServer):
    """Runs the function app in Microsoft's host, using Azure Functions Core Tools, which must already be installed."""

    def __init__(
        self,
        settings: Settings,
        *,
        app: Path = FUNCTIONS,
        port: int | None = None,
        drain: timedelta | None = None,
        debug_port: int | None = None,
        emit: Emit = discard,
    ) -> None:
        super().__init__(settings, app=app, port=port, drain=drain, debug_port=debug_port, emit=emit)
        func = shutil.which("func")
        if func is None:
            raise Missing(
                "--host func needs `func` of Azure Functions Core Tools 4, which is not on PATH: install it "
                "as Microsoft describes, or omit --host to use this repository's emulator"
            )
        self._func = func

    def load_successor(self) -> None:
        """Do nothing: Core Tools import the app when they start."""

    def hand_over(self, stop: Event | None = None) -> None:
        """Start it again. Raises like `wait_until_ready`."""
        self.stop()
        self.spawn()
        self.wait_until_ready(stop)

    def _command(self) -> Command:
        settings = dict(self._settings())
        _write_local_settings(self._app, settings)
        bin_folder = Path(sys.executable).parent  # func looks for the interpreter of an activated environment
        activated = {
            "VIRTUAL_ENV": str(bin_folder.parent),
            "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": str(ROOT),
        }
        return Command(
            arguments=[self._func, "start", "--port", str(self.ports[0])],
            environment=_with_loopback_unproxied(os.environ) | settings | activated,
            folder=self._app,
            stop_within=DRAIN_WITHIN,
        )


def python_command(module: str, *arguments: str, settings: Mapping[str, str] | None = None) -> Command:
    """Return the command that runs a module of this repository with this interpreter and additional settings."""
    return Command(
        arguments=[sys.executable, "-m", module, *arguments],
        environment=_with_loopback_unproxied(os.environ) | {"PYTHONUNBUFFERED": "1"} | dict(settings or {}),
        folder=ROOT,
        stop_within=DRAIN_WITHIN,
    )


def responds(port: int, path: str) -> bool:
    """Return whether a server on that port returns 200 for the path."""
    if not ports.is_listening(port):
        return False
    connection = http.client.HTTPConnection(ports.LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _with_loopback_unproxied(environment: Mapping[str, str]) -> dict[str, str]:
    """Exempt the servers on this machine from the user's proxy."""
    exempt = environment.get("no_proxy") or environment.get("NO_PROXY")
    value = ",".join([*([exempt] if exempt else []), ports.LOOPBACK, "localhost"])
    return {**environment, "no_proxy": value, "NO_PROXY": value}


def _write_local_settings(app: Path, settings: Mapping[str, str]) -> None:
    """Write the settings to the file that Core Tools read; the user's own values are kept."""
    path = app / "local.settings.json"
    own: dict[str, str] = {}
    if path.exists():
        try:
            own = json.loads(path.read_text())["Values"]
        except (ValueError, KeyError, TypeError) as error:
            raise LocalRunError(
                f"{path} is not a valid settings file of Core Tools ({error!r}); fix it or delete it"
            ) from error
    values = own | {"FUNCTIONS_WORKER_RUNTIME": "python", "AzureWebJobsDisableHomepage": "true"} | dict(settings)
    write_private(path, json.dumps({"IsEncrypted": False, "Values": values}, indent=2) + "\n")
