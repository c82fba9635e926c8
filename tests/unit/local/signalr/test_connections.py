"""The life of one connection, without a transport."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from tools.signalr_emulator.connections import Address, Connection, Stage, Timings, Transport
from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.outbox import MAX_FRAMES
from tools.signalr_emulator.tokens import ClientIdentity

HANDSHAKE = '{"protocol":"json","version":1}\x1e'
PEER = ("127.0.0.1", 1)
NEVER = Timings(handshake=timedelta(hours=1), client_timeout=timedelta(hours=1), goodbye=timedelta(hours=1))
AT_ONCE = Timings(handshake=timedelta(0), client_timeout=timedelta(0), goodbye=timedelta(0))


class Case:
    """A connection, and the sockets that it cut."""

    def __init__(self, *, closes_at: int | None = None, ready: bool = True) -> None:
        self.aborted: list[Address] = []
        identity = ClientIdentity(user="ada", closes_at=closes_at)
        self.connection = Connection(hub="jobs", identity=identity, abort_socket=self.aborted.append)
        if ready:
            self.connection.attach(Transport.WEB_SOCKETS, PEER)
            self.connection.receive(HANDSHAKE)

    async def sent(self) -> list[str]:
        """What waits for the client, record by record; None at the end is left out."""
        return (await self.connection.outbox.take(timedelta(milliseconds=1)) or "").split("\x1e")[:-1]


async def test_a_handshake_opens_the_connection_for_pushes() -> None:
    case = Case(ready=False)
    case.connection.push("too early\x1e")
    case.connection.attach(Transport.WEB_SOCKETS, PEER)
    case.connection.receive(HANDSHAKE[:10])
    case.connection.push("too early\x1e")
    case.connection.receive(HANDSHAKE[10:] + '{"type":6}\x1e')
    case.connection.push("push\x1e")
    assert await case.sent() == ["{}", "push"]


async def test_a_handshake_for_another_protocol_is_answered_with_an_error() -> None:
    case = Case(ready=False)
    case.connection.attach(Transport.WEB_SOCKETS, PEER)
    case.connection.receive('{"protocol":"messagepack","version":1}\x1e')
    assert await case.sent() == ['{"error":"The protocol \'messagepack\' is not supported."}']
    assert case.connection.stage is Stage.CLOSED


def test_a_connection_has_one_transport_for_life() -> None:
    case = Case()
    with pytest.raises(Refused, match="in use by another request") as refused:
        case.connection.attach(Transport.LONG_POLLING, PEER)
    assert refused.value.status == 409


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, "1", None, {}])
async def test_a_client_may_only_listen(kind: object) -> None:
    case = Case()
    await case.sent()
    record = f'{{"type":{kind}}}' if isinstance(kind, int) else '{"type":"?"}'
    case.connection.receive(record + "\x1e" + record + "\x1e")
    (closing,) = await case.sent()
    assert "only listen" in closing
    assert "allowReconnect" not in closing


@pytest.mark.parametrize("text", ["nonsense\x1e", "[]\x1e"])
async def test_a_client_that_breaks_the_protocol_is_disconnected(text: str) -> None:
    case = Case()
    await case.sent()
    case.connection.receive(text)
    (closing,) = await case.sent()
    assert closing.startswith('{"type":7,"error":"Connection closed with an error.')


@pytest.mark.parametrize("kind", [6, 8, 9])
def test_pings_and_acknowledgements_are_no_offence(kind: int) -> None:
    case = Case()
    case.connection.receive(f'{{"type":{kind}}}\x1e')
    assert case.connection.stage is Stage.READY


async def test_a_client_that_says_goodbye_gets_no_close_record() -> None:
    case = Case()
    case.connection.receive('{"type":7}\x1e{"type":1}\x1e')
    assert await case.sent() == ["{}"]
    assert case.connection.stage is Stage.CLOSED


def test_a_client_too_far_behind_is_cut_off() -> None:
    case = Case()
    for _ in range(MAX_FRAMES + 1):
        case.connection.push("x")
    assert case.aborted == [PEER]
    assert case.connection.stage is Stage.CLOSED


async def test_closing_sends_what_waits_first_and_happens_once() -> None:
    case = Case()
    case.connection.push("push\x1e")
    case.connection.close("bye")
    case.connection.close("again")
    case.connection.push("too late\x1e")
    assert await case.sent() == ["{}", "push", '{"type":7,"error":"bye"}']


async def test_a_client_that_never_shakes_hands_is_let_go() -> None:
    negotiated, attached = Case(ready=False), Case(ready=False)
    attached.connection.attach(Transport.WEB_SOCKETS, PEER)
    for case in (negotiated, attached):
        assert case.connection.tend(NEVER)
    assert not negotiated.connection.tend(AT_ONCE)
    assert attached.connection.tend(AT_ONCE)
    assert await attached.sent() == ['{"error":"Handshake was canceled."}']


async def test_a_silent_client_is_closed_and_may_come_back() -> None:
    case = Case()
    assert case.connection.tend(NEVER)
    assert await case.sent() == ["{}"]
    assert case.connection.tend(AT_ONCE)
    (closing,) = await case.sent()
    assert closing.endswith('"allowReconnect":true}')


async def test_a_client_that_waits_in_a_poll_is_not_silent() -> None:
    case = Case()
    poll: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    case.connection.polls_with(poll, PEER)
    case.connection.tend(AT_ONCE)
    assert await case.sent() == ["{}"]
    poll.set_result(None)
    case.connection.tend(AT_ONCE)
    assert "silent too long" in "".join(await case.sent())


@pytest.mark.parametrize(("ends_in", "stage"), [(-1, Stage.CLOSED), (60, Stage.READY)])
async def test_an_expired_sign_in_closes_the_connection(ends_in: int, stage: Stage) -> None:
    case = Case(closes_at=int(time.time()) + ends_in)
    await case.sent()
    case.connection.tend(NEVER)
    assert case.connection.stage is stage
    assert await case.sent() == (['{"type":7,"allowReconnect":true}'] if stage is Stage.CLOSED else [])


def test_a_closed_connection_whose_client_does_not_take_it_is_cut_in_the_end() -> None:
    case = Case()
    case.connection.close()
    assert case.connection.tend(NEVER)
    assert case.aborted == []
    assert not case.connection.tend(AT_ONCE)
    assert case.aborted == [PEER]
