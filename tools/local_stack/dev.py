"""The `scripts/dev` command: the whole system on this machine until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

from tools.local_stack import ports
from tools.local_stack.app_servers import ROOT
from tools.local_stack.browser import open_page
from tools.local_stack.console import Console
from tools.local_stack.dev_options import SEEDED_JOBS, USUAL_DEBUG_PORT, USUAL_PORT, make_parser
from tools.local_stack.errors import Interrupted, LocalRunError, StateInUse
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.quiet import quiet
from tools.local_stack.reloader import Reloader
from tools.local_stack.signals import stop_on_signals
from tools.local_stack.stack import Stack, StackOptions
from tools.local_stack.state import State, write_private

STATE_FOLDER = ROOT / ".local"
#: What the running system says of itself, for --print-env.
RUNNING = "running.json"
#: Jobs that run when their code is reloaded, or at the end, are released after that.
DRAIN = timedelta(seconds=0.5)
_LIBRARY = ROOT / "queued_jobs"


def main(arguments: Sequence[str] | None = None, state_folder: Path = STATE_FOLDER) -> int:
    """Run the command and return its exit code: 0 = stopped by the user, 1 = failed."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.debug and options.host == "func":
        parser.error("--debug needs the local host; Core Tools are debugged as their documentation describes")
    console = Console()
    try:
        if options.once:
            from tools.local_stack.dev_once import run_once

            _refuse_with_once(parser, options)
            return run_once(console, core_tools=options.host == "func")
        if options.print_env:
            return _print_environment(State(state_folder), console)
        _run(options, State(state_folder), console)
    except LocalRunError as error:
        return _report(console, str(error))
    except PermissionError as error:
        return _report(console, f"permission denied: {error.filename}; run as its owner ({_owner(error.filename)})")
    return 0


def _refuse_with_once(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    others = ("reset", "port", "ready_file", "no_browser", "seed", "print_env", "debug")
    if any(getattr(options, name) for name in others):
        parser.error("--once has its own data and ports: it can only be combined with --host")


def _print_environment(state: State, console: Console) -> int:
    """Print the settings of the system that runs with this state, for a shell to evaluate."""
    try:
        with state.lock():
            console.complain("the system does not run: start scripts/dev in another terminal first")
            return 1
    except StateInUse:
        path = state.folder / RUNNING
        if not path.exists():
            console.complain("the system is starting; run the command again when it is ready")
            return 1
        for name, value in json.loads(path.read_text())["environment"].items():
            print(f"export {name}={shlex.quote(value)}")
        return 0


def _run(options: argparse.Namespace, state: State, console: Console) -> None:
    from queued_jobs.urls import is_conninfo

    database_url = os.environ.get("DATABASE_URL") or None
    if database_url and not is_conninfo(database_url):
        raise LocalRunError(
            "DATABASE_URL is not a valid Postgres connection string; use "
            "postgresql://user:password@host:port/database, or unset it for the embedded server"
        )
    if database_url and options.seed:
        raise LocalRunError("--seed adds sample jobs to the embedded database only; unset DATABASE_URL")
    ready_file: Path | None = options.ready_file
    if ready_file and not ready_file.parent.is_dir():
        raise LocalRunError(
            f"--ready-file {ready_file}: the folder {ready_file.parent} does not exist; create it or choose another"
        )
    running = state.folder / RUNNING
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
            drain=DRAIN,
            debug_port=_debug_port(state) if options.debug else None,
        )
        stack = Stack(state, stack_options, emit=console.show if options.verbose else quiet(console.show))
        with stop_on_signals(impatient=stack.supervisor.kill) as stop:
            try:
                _serve(stack, stop, [*([ready_file] if ready_file else []), running], console, options)
            except Interrupted:
                pass
            finally:
                console.say("stopping")
                for file in (ready_file, running):
                    if file is not None:
                        file.unlink(missing_ok=True)
                stack.stop()
        console.say("stopped")


def _serve(
    stack: Stack, stop: Event, descriptions: Sequence[Path], console: Console, options: argparse.Namespace
) -> None:
    started = time.monotonic()
    for file in descriptions:
        file.unlink(missing_ok=True)  # of a run that was killed
    stack.start(stop)
    if options.seed:
        _seed(stack, console)
    for file in descriptions:
        write_private(file, json.dumps(stack.describe(), indent=2) + "\n")
    console.say(f"ready after {time.monotonic() - started:.1f} s; Ctrl-C stops everything")
    console.say(f"admin link: {stack.dashboard_url}")
    console.say(f"guest link: {stack.guest_url}")
    if options.debug:
        console.say(f"debugger: attach to {ports.LOOPBACK}:{stack.debug_port}, as .vscode/launch.json does")
    if not options.no_browser:
        open_page(stack.guest_url)
    if options.host == "func":  # which reloads by itself
        stack.supervisor.watch(stop)
        return
    reloader = Reloader(stack, [stack.app, _LIBRARY], console.show, stop)
    try:
        stack.supervisor.watch(stop, reloader.look)
    finally:
        reloader.close()


def _seed(stack: Stack, console: Console) -> None:
    """Add ended jobs, so that the dashboard has something to show."""
    from tools.sample_jobs.generate_jobs import add_jobs, count_jobs

    async def add() -> None:
        seed = secrets.randbelow(2**31)  # the keys of the last run would be taken
        await add_jobs(stack.database_url, SEEDED_JOBS, days=30, seed=seed, ended_only=True)
        await count_jobs(stack.database_url)

    asyncio.run(add())
    console.say(f"added {SEEDED_JOBS:,} jobs of the last 30 days; --reset deletes them")


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


def _debug_port(state: State) -> int:
    candidates = [*state.ports().get("debugger", []), USUAL_DEBUG_PORT]
    return next(filter(ports.is_free, candidates), None) or ports.choose_ports(1)[0]


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
