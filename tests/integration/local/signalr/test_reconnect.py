"""Reconnecting clients: restarts of the emulator, and the end of their sign-in."""

from __future__ import annotations

import signal
import time

import pytest
import websockets

from tests.integration.local.signalr.harness import AppServer, HubClients, StandIn, running
from tests.support.waiting import wait_until

#: Seconds that a token lives, in which a client must have connected.
LIFE = 12


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_clients_come_back_after_a_restart(clients: HubClients, how: signal.Signals) -> None:
    users = {"ada": "WebSockets", "bob": "LongPolling"}
    with running() as stand_in:
        app = AppServer(stand_in)
        try:
            for user, transport in users.items():
                clients.connect(app, user, transport)
            stand_in.end(how)
            for user in users:
                clients.wait_for(user, "reconnecting")
            if how is not signal.SIGKILL:
                assert "1012" in clients.of("ada", "reconnecting")[0]["error"]
                assert "error" not in clients.of("bob", "reconnecting")[0], "its poll was ended, not cut"
            stand_in.start()
            for user in users:
                clients.wait_for(user, "reconnected")
                stand_in.send("back", user=user)
                clients.wait_for_push(user, "back")
            assert len(stand_in.output) == 2, "it has nothing to complain about"
        finally:
            app.close()


def test_a_token_that_says_so_ends_the_connection_when_it_expires(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    began = time.time()
    first = clients.connect(app, "ada", transport, expires=f"{LIFE}")
    clients.wait_for("ada", "reconnecting")
    assert time.time() >= int(began + LIFE), "not before the expiry, which is in whole seconds"
    assert clients.wait_for("ada", "reconnected")["id"] != first
    stand_in.send("fresh", user="ada")
    clients.wait_for_push("ada", "fresh")
    assert clients.of("ada", "closed") == []


def test_an_expired_token_alone_does_not_end_a_web_socket(
    stand_in: StandIn, app: AppServer, clients: HubClients
) -> None:
    clients.connect(app, "ada", "WebSockets", lifetime=f"{LIFE}")
    clients.connect(app, "bob", "LongPolling", lifetime=f"{LIFE}")
    clients.wait_for("bob", "started")
    later = stand_in.negotiate_answer("eve", lifetime=LIFE)["accessToken"]
    negotiate = "/client/negotiate?hub=jobs"
    wait_until(lambda: stand_in.call("POST", negotiate, token=later).status_code == 401, "a later token has expired")
    stand_in.send("poke")  # ends the poll, so that the next one shows its token
    clients.wait_for_push("ada", "poke")
    clients.wait_for("bob", "reconnected")
    assert clients.of("ada", "reconnecting") == []


async def test_a_raw_socket_sees_pings_and_the_restart_code() -> None:
    with running("--keepalive", "0.1") as stand_in:
        answer = stand_in.negotiate_answer("ada")
        url = f"{answer['url'].replace('http', 'ws', 1)}&access_token={answer['accessToken']}"
        async with websockets.connect(url) as socket:
            await socket.send('{"protocol":"json","version":1}\x1e')
            assert await socket.recv() == "{}\x1e"
            assert [await socket.recv() for _ in range(3)] == ['{"type":6}\x1e'] * 3
            stand_in.end(signal.SIGTERM)
            await socket.wait_closed()
            assert socket.close_code == 1012


async def test_the_stand_in_stops_with_a_client_that_reads_nothing() -> None:
    with running() as stand_in:
        answer = stand_in.negotiate_answer("ada")
        url = f"{answer['url'].replace('http', 'ws', 1)}&access_token={answer['accessToken']}"
        async with websockets.connect(url, max_queue=1) as socket:
            await socket.send('{"protocol":"json","version":1}\x1e')
            await socket.recv()
            for _ in range(7):
                stand_in.send("x" * 900_000, user="ada")
            stand_in.end(signal.SIGTERM)
