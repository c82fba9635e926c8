"""Run one function app: `python -m tools.functions_host APP_DIR --port N`, from the root of the repository."""

from __future__ import annotations

import argparse
import asyncio
import logging
from datetime import timedelta
from pathlib import Path

from tools.functions_host import debugger
from tools.functions_host.errors import HostError
from tools.functions_host.host import DRAIN, LOOPBACK, Host, leave
from tools.functions_host.logs import configure_logging

log = logging.getLogger("host")


def main() -> None:
    """Parse the command line and run the host.

    Exit code 0 after a drain, 1 if the app cannot be started or has ended the worker, or the app's own exit code.
    """
    options = _parser().parse_args()
    configure_logging()
    if options.unsafe_bind != LOOPBACK:
        log.warning(
            "bound to %s: any client that can reach this machine can reach the app and /admin", options.unsafe_bind
        )
    debugger.ignore_breakpoints()
    if options.debug_port is not None:
        debugger.hold_leases()
    host = Host(
        options.app_dir,
        port=options.port,
        address=options.unsafe_bind,
        drain=timedelta(seconds=options.drain_seconds),
        in_turn=options.in_turn,
        debug_port=options.debug_port,
    )
    runner = asyncio.Runner()  # not closed at the end, which would wait for threads of the app
    try:
        runner.run(_run(host))
    except (KeyboardInterrupt, SystemExit) as error:
        log.error("the app ended the worker: %r", error)
        leave(error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1)


async def _run(host: Host) -> None:
    try:
        await host.run()
    except HostError as error:
        log.error("%s", error, exc_info=error.__cause__, extra={"stack_trace": getattr(error, "stack_trace", "")})
        leave(1)
    leave(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.functions_host", description=__doc__)
    parser.add_argument("app_dir", type=Path, metavar="APP_DIR", help="the folder of host.json and function_app.py")
    parser.add_argument("--port", type=int, required=True, help="the port to listen on; 0 chooses a free one")
    parser.add_argument(
        "--drain-seconds",
        type=float,
        default=DRAIN.total_seconds(),
        metavar="N",
        help="how long running invocations may take after SIGTERM before they are cancelled (default: %(default)g)",
    )
    parser.add_argument(
        "--in-turn", action="store_true", help="import the app, but serve it after the signal USR1 only"
    )
    parser.add_argument(
        "--debug-port", type=int, metavar="N", help="let a debugger attach on this port, and jobs be paused for an hour"
    )
    parser.add_argument(
        "--unsafe-bind",
        default=LOOPBACK,
        metavar="ADDRESS",
        help="listen on an address other than %(default)s, without protection from clients that can reach it",
    )
    return parser


if __name__ == "__main__":
    main()
