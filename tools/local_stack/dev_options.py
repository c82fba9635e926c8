"""The options of `scripts/dev`. Needs nothing that must be installed, so that --help works in a new checkout."""

from __future__ import annotations

import argparse
from pathlib import Path

USUAL_PORT = 7071
#: The one of .vscode/launch.json.
USUAL_DEBUG_PORT = 5678
SEEDED_JOBS = 2_000


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/dev",
        description="Run the whole system on this machine: Postgres, Azurite, an emulator of Azure SignalR "
        "Service, and the function app with its page. Saved code is reloaded while the rest keeps running. "
        "Ctrl-C stops it. Data stays in .local/ until --reset.",
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
    parser.add_argument(
        "--seed", action="store_true", help=f"add {SEEDED_JOBS:,} ended jobs of the last 30 days, for the dashboard"
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help=f"let an editor attach its debugger, on port {USUAL_DEBUG_PORT} if free; jobs can be paused for an hour",
    )
    parser.add_argument("--verbose", action="store_true", help="show each request and each trigger in the log")
    parser.add_argument(
        "--print-env",
        action="store_true",
        help='print the settings of the running system for a shell, as in eval "$(scripts/dev --print-env)", and stop',
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
