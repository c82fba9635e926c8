"""A client that stops reading harms nobody but itself."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.local.signalr.harness import AppServer, HubClients, StandIn
from tests.support.waiting import wait_until


def test_a_client_that_does_not_read_is_cut_off_and_delays_nobody(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    clients.connect(app, "quick", transport)
    answer = stand_in.negotiate_answer("stuck")
    url = f"{answer['url'].replace('http', 'ws', 1)}&access_token={answer['accessToken']}"
    with ThreadPoolExecutor() as pool, connect(url, max_queue=1, ping_interval=None) as socket:
        socket.send('{"protocol":"json","version":1}\x1e')
        socket.recv()
        wait_until(lambda: len(stand_in.connections()) == 2, "both are connected")
        over = threading.Event()
        pool.submit(say_that_it_lives, socket, over)
        try:
            for number in range(40):  # 36 MB: more than sockets (some MB) and the outbox (8 MB) take
                stand_in.send([number, "x" * 900_000])
                clients.wait_for("quick", "job", count=number + 1)
        finally:
            over.set()
        assert [each[0] for each in clients.received("quick")] == list(range(40))
        wait_until(lambda: [each["user"] for each in stand_in.connections()] == ["quick"], "only one is left")


def say_that_it_lives(socket: ClientConnection, over: threading.Event) -> None:
    """Let nobody take the client for gone: who waits for it waits for ever."""
    with contextlib.suppress(ConnectionClosed):
        while not over.wait(1):
            socket.send('{"type":6}\x1e')
