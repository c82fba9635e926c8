"""SIGNALR_ACCESS_KEY=KEY python -m tools.signalr_emulator --port N [--entra-key FILE] [--keepalive SECONDS]"""

from __future__ import annotations

import argparse
import contextlib
import os
from datetime import timedelta
from pathlib import Path

from tools.signalr_emulator import ACCESS_KEY
from tools.signalr_emulator.connections import Timings
from tools.signalr_emulator.entra import EntraTokens
from tools.signalr_emulator.server import SignalRServer
from tools.signalr_emulator.tokens import PUBLIC_KEY, AccessKey

SHORTEST_KEY = 32  # bytes; HS256 requires a key as long as its hash


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m tools.signalr_emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 = any free port; the first line printed names it")
    parser.add_argument(
        "--entra-key",
        type=Path,
        metavar="FILE",
        help="accept only tokens of identities, verified with this public key (PEM), not those signed with the key",
    )
    parser.add_argument("--keepalive", type=_seconds, default=Timings().keepalive, metavar="SECONDS")
    options = parser.parse_args()
    timings = Timings(keepalive=options.keepalive)
    secret = os.environ.pop(ACCESS_KEY, PUBLIC_KEY)
    if len(secret.encode()) < SHORTEST_KEY:
        parser.error(
            f"{ACCESS_KEY} has fewer than {SHORTEST_KEY} bytes; generate a random key, or unset it to use a public one"
        )
    key = AccessKey(secret)
    callers = EntraTokens(options.entra_key.read_text()) if options.entra_key else key
    server = SignalRServer(port=options.port, callers=callers, key=key, timings=timings)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()


def _seconds(text: str) -> timedelta:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError("must be more than 0 seconds")
    return timedelta(seconds=seconds)


if __name__ == "__main__":
    main()
