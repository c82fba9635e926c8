"""The record of what was pushed."""

from __future__ import annotations

from datetime import timedelta

from tools.signalr_emulator.connections import Timings, Transport
from tools.signalr_emulator.faults import Faults, Push
from tools.signalr_emulator.hubs import Hubs, Receiver, ReceiverKind
from tools.signalr_emulator.pushes import REMEMBERED, Pushes
from tools.signalr_emulator.tokens import ClientIdentity


async def test_the_log_holds_the_last_pushes_whether_delivered_or_not() -> None:
    hubs = Hubs(timings=Timings(), abort_socket=lambda _peer: None)
    faults = Faults()
    pushes = Pushes(hubs, faults)
    connection = hubs.negotiate("jobs", ClientIdentity(user="ada", closes_at=None))
    connection.attach(Transport.WEB_SOCKETS, None)
    connection.receive('{"protocol":"json","version":1}\x1e')
    await connection.outbox.take(timedelta(0))

    faults.discard.start(REMEMBERED)
    for number in range(REMEMBERED + 1):
        pushes.send(Push(hub="jobs", receiver=Receiver(ReceiverKind.ALL), target="job", arguments=[number]))
    assert [entry["arguments"] for entry in pushes.log()] == [[number] for number in range(1, REMEMBERED + 1)]
    assert await connection.outbox.take(timedelta(0)) == f'{{"type":1,"target":"job","arguments":[{REMEMBERED}]}}\x1e'
