"""The `scripts/dev` command: the whole system on this machine until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

from queued_jobs.urls import is_conninfo
from tools.local_stack import ports
from tools.local_stack.app_servers import ROOT
from tools.local_stack.browser import open_page
from tools.local_stack.console import Console
from tools.local_stack.errors import Interrupted, LocalRunError
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.signals import stop_on_signals
from tools.local_stack.stack import Stack, StackOptions
from tools.local_stack.state import State, write_private

STATE_FOLDER = ROOT / ".local"
USUAL_PORT = 7071


def main(arguments: Sequence[str] | None = None, state_folder: Path = STATE_FOLDER) -> int:
    """Run the command and return its exit code: 0 = stopped by the user, 1 = failed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    console = Console()
    try:
        if options.once:
            from tools.local_stack.dev_once import run_once

            _refuse_with_once(parser, options)
            return run_once(console, core_tools=options.host == "func")
        _run(options, State(state_folder), console)
    except LocalRunError as error:
        return _report(console, str(error))
    except PermissionError as error:
        return _report(console, f"permission denied: {error.filename}; run as its owner ({_owner(error.filename)})")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/dev",
        description="Run the whole system on this machine: Postgres, Azurite, an emulator of Azure SignalR "
        "Service, and the function app with its page. Ctrl-C stops it. Data stays in .local/ until --reset.",
        epilog="DATABASE_URL selects your own Postgres server instead of the embedded one; PG_BIN names the folder of "
        "other Postgres programs.",
    )
    parser.add_argument("--once", action="store_true", help="run one job through a fresh system, check it, and stop")
    parser.add_argument("--reset", action="store_true", help="delete the data of earlier runs first")
    parser.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help=f"port of the page (default: that of the last run, or {USUAL_PORT}, if free)",
    )
    parser.add_argument("--ready-file", type=Path, metavar="PATH", help="write links, ports, process ids to this file")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    parser.add_argument(
        "--host",
        choices=("local", "func"),
        default="local",
        help="the host of the function app: this repository's emulator around Microsoft's worker (default), "
        "or func of Azure Functions Core Tools",
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid port; use a number from 1 to 65535")
    return int(text)


def _refuse_with_once(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.reset or options.port or options.ready_file or options.no_browser:
        parser.error("--once has its own data and ports: it can only be combined with --host")


def _run(options: argparse.Namespace, state: State, console: Console) -> None:
    database_url = os.environ.get("DATABASE_URL") or None
    if database_url and not is_conninfo(database_url):
        raise LocalRunError(
            "DATABASE_URL is not a valid Postgres connection string; use "
            "postgresql://user:password@host:port/database, or unset it for the embedded server"
        )
    ready_file: Path | None = options.ready_file
    if ready_file and not ready_file.parent.is_dir():
        raise LocalRunError(
            f"--ready-file {ready_file}: the folder {ready_file.parent} does not exist; create it or choose another"
        )
    with state.lock():
        if options.reset:
            _reset(state, database_url, console)
        if database_url:
            console.say(f"using the database {_without_password(database_url)} from DATABASE_URL")
        stack_options = StackOptions(
            durable=True,
            page_port=_page_port(options.port, console, state),
            database_url=database_url,
            core_tools=options.host == "func",
        )
        stack = Stack(state, stack_options, emit=console.show)
        with stop_on_signals(impatient=stack.supervisor.kill) as stop:
            try:
                _serve(stack, stop, ready_file, console, open_browser=not options.no_browser)
            except Interrupted:
                pass
            finally:
                console.say("stopping")
                if ready_file:
                    ready_file.unlink(missing_ok=True)
                stack.stop()
        console.say("stopped")


def _serve(stack: Stack, stop: Event, ready_file: Path | None, console: Console, *, open_browser: bool) -> None:
    started = time.monotonic()
    if ready_file:
        ready_file.unlink(missing_ok=True)  # of a run that was killed
    stack.start(stop)
    if ready_file:
        write_private(ready_file, json.dumps(stack.describe(), indent=2) + "\n")
    console.say(f"ready after {time.monotonic() - started:.1f} s; Ctrl-C stops everything")
    console.say(f"admin link: {stack.dashboard_url}")
    console.say(f"guest link: {stack.guest_url}")
    if open_browser:
        open_page(stack.guest_url)
    stack.supervisor.watch(stop)


def _reset(state: State, database_url: str | None, console: Console) -> None:
    if database_url is None:
        PostgresServer(state.postgres, durable=True).delete_data()  # may be outside of the state folder
    state.clear()
    kept = "" if database_url is None else "; the database of DATABASE_URL is not changed"
    console.say(f"deleted the data in {state.folder}{kept}")


def _page_port(wanted: int | None, console: Console, state: State) -> int | None:
    if wanted is not None:
        if not ports.is_free(wanted):
            raise LocalRunError(f"port {wanted} cannot be used: another program uses it, or it needs more permissions")
        return wanted
    if "host" in state.ports():
        return None
    if ports.is_free(USUAL_PORT):
        return USUAL_PORT
    console.say(f"port {USUAL_PORT} is used by another program; the page uses another port")
    return None


def _without_password(database_url: str) -> str:
    parts = urlsplit(database_url)
    return f"{parts.path.lstrip('/')} on {parts.hostname or 'the default host'}"


def _owner(path: str | None) -> str:
    try:
        return Path(path or ".").owner()
    except (OSError, KeyError):
        return "unknown"


def _report(console: Console, message: str) -> int:
    for line in message.splitlines():
        console.say(line)
    return 1


if __name__ == "__main__":
    sys.exit(main())
