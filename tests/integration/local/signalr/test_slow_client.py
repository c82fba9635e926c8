"""A client that stops reading harms nobody but itself."""

from __future__ import annotations

import time

import websockets

from tests.integration.local.signalr.harness import AppServer, HubClients, StandIn, wait_until


async def test_a_client_that_does_not_read_is_cut_off_and_delays_nobody(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    clients.connect(app, "quick", transport)
    answer = stand_in.negotiate_answer("stuck")
    url = f"{answer['url'].replace('http', 'ws', 1)}&access_token={answer['accessToken']}"
    async with websockets.connect(url, max_queue=1) as socket:
        await socket.send('{"protocol":"json","version":1}\x1e')
        await socket.recv()
        wait_until(lambda: len(stand_in.connections()) == 2, "both are connected")

        slowest = 0.0
        for number in range(40):  # 36 MB: more than sockets (some MB) and the outbox (8 MB) take
            began = time.monotonic()
            stand_in.send([number, "x" * 900_000])
            slowest = max(slowest, time.monotonic() - began)
            clients.wait_for("quick", "job", count=number + 1)
        assert [each[0] for each in clients.received("quick")] == list(range(40))
        assert slowest < 1
        assert [each["user"] for each in stand_in.connections()] == ["quick"]
