"""Free TCP ports of the loopback interface."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST = 20000
#: Servers of a killed run end a moment later than it.
FREE_WITHIN = timedelta(seconds=3)
RANGE_OF_OUTGOING_CONNECTIONS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as candidate:
        # As servers do: a port whose last connections are still in TIME_WAIT counts as free.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def become_free(wanted: Sequence[int]) -> bool:
    """Return whether all of these ports are free now, or soon."""
    deadline = time.monotonic() + FREE_WITHIN.total_seconds()
    while not all(map(is_free, wanted)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_listening(port: int) -> bool:
    """Return whether something accepts connections on the port."""
    with socket.socket() as client:
        client.settimeout(1)
        if client.connect_ex((LOOPBACK, port)) != 0:
            return False
        return bool(client.getsockname() != client.getpeername())  # a socket may connect to itself if nothing listens


def choose_ports(count: int) -> list[int]:
    """Choose `count` distinct free ports.

    They are below the ephemeral port range, so that an outgoing connection cannot take a server's port while it
    restarts.
    """
    candidates = random.sample(range(LOWEST, _first_outgoing_port()), k=count + 500)
    chosen = []
    for port in candidates:
        if is_free(port):
            chosen.append(port)
        if len(chosen) == count:
            return chosen
    raise RuntimeError(f"fewer than {count} free ports on {LOOPBACK}; stop some of the servers on this machine")


def _first_outgoing_port() -> int:
    try:
        first = int(RANGE_OF_OUTGOING_CONNECTIONS.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32768
    return first if first > LOWEST + 5000 else 65536
