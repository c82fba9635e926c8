"""Who is meant by a receiver, and who is in which group."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tools.signalr_emulator.connections import Connection, Timings, Transport
from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.hubs import Hubs, Receiver, ReceiverKind
from tools.signalr_emulator.tokens import ClientIdentity

ADA = Receiver(ReceiverKind.USER, "ada")
ADMINS = Receiver(ReceiverKind.GROUP, "admins")


@pytest.fixture
def hubs() -> Hubs:
    return Hubs(timings=Timings(check=timedelta(milliseconds=5), goodbye=timedelta(0)), abort_socket=lambda _peer: None)


def connect(hubs: Hubs, user: str | None = "ada", hub: str = "jobs") -> Connection:
    connection = hubs.negotiate(hub, ClientIdentity(user=user, closes_at=None))
    connection.attach(Transport.WEB_SOCKETS, None)
    connection.receive('{"protocol":"json","version":1}\x1e')
    return connection


def test_receivers_are_found_within_their_hub(hubs: Hubs) -> None:
    ada, again, bob, _other = connect(hubs), connect(hubs), connect(hubs, "bob"), connect(hubs, hub="other")
    hubs.negotiate("jobs", ClientIdentity(user="ada", closes_at=None))  # not connected yet
    assert hubs.select("jobs", ADA) == [ada, again]
    assert hubs.select("jobs", Receiver(ReceiverKind.ALL), [ada.id]) == [again, bob]
    assert hubs.select("jobs", Receiver(ReceiverKind.CONNECTION, bob.id)) == [bob]
    assert hubs.select("jobs", Receiver(ReceiverKind.USER, "")) == []


def test_an_anonymous_client_is_nobody_in_particular(hubs: Hubs) -> None:
    anonymous = connect(hubs, user=None)
    hubs.join("jobs", Receiver(ReceiverKind.USER, "None"), "admins")
    assert hubs.select("jobs", Receiver(ReceiverKind.USER, "None")) == []
    assert hubs.groups_of(anonymous) == set()


def test_a_user_is_a_member_before_during_and_after_a_connection(hubs: Hubs) -> None:
    assert hubs.join("jobs", ADA, "admins")
    first = connect(hubs)
    assert hubs.select("jobs", ADMINS) == [first]
    hubs.remove(first)
    assert hubs.select("jobs", ADMINS) == []
    assert hubs.is_member("jobs", ADA, "admins")
    assert not hubs.is_member("other", ADA, "admins")
    second = connect(hubs)
    assert hubs.select("jobs", ADMINS) == [second]
    assert hubs.groups_of(second) == {"admins"}
    assert hubs.leave("jobs", ADA, "admins")
    assert not hubs.leave("jobs", ADA, "admins")
    assert hubs.select("jobs", ADMINS) == []


def test_removing_a_user_removes_its_connections_too(hubs: Hubs) -> None:
    connection = connect(hubs)
    member = Receiver(ReceiverKind.CONNECTION, connection.id)
    for remove in (lambda: hubs.leave("jobs", ADA, "admins"), lambda: hubs.leave_all("jobs", ADA)):
        assert hubs.join("jobs", member, "admins")
        assert hubs.is_member("jobs", ADA, "admins")
        remove()
        assert hubs.select("jobs", ADMINS) == []


def test_a_membership_may_end_by_itself(hubs: Hubs) -> None:
    hubs.join("jobs", ADA, "admins", timedelta(0))
    hubs.join("jobs", ADA, "users", timedelta(hours=1))
    assert hubs.groups_of(connect(hubs)) == {"users"}


def test_a_connection_that_does_not_exist_joins_nothing(hubs: Hubs) -> None:
    nobody = Receiver(ReceiverKind.CONNECTION, "none")
    assert not hubs.join("jobs", nobody, "admins")
    assert not hubs.leave("jobs", nobody, "admins")


def test_a_connection_is_found_by_its_own_client_only(hubs: Hubs) -> None:
    connection = connect(hubs)
    mine = ClientIdentity(user="ada", closes_at=None)
    assert hubs.find(connection.token, "jobs", mine) is connection
    for token, hub, user in (
        ("?", "jobs", "ada"),
        (connection.token, "other", "ada"),
        (connection.token, "jobs", "eve"),
    ):
        with pytest.raises(Refused, match="No Connection with that ID"):
            hubs.find(token, hub, ClientIdentity(user=user, closes_at=None))


async def test_watching_forgets_what_is_gone_and_survives_a_failure(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, gone, fine = connect(hubs), connect(hubs), connect(hubs)
    monkeypatch.setattr(broken, "tend", lambda _timings: 1 / 0)
    gone.close()
    watching = asyncio.create_task(hubs.watch())
    identity = ClientIdentity(user="ada", closes_at=None)
    async with asyncio.timeout(5):
        while True:
            try:
                hubs.find(gone.token, "jobs", identity)
            except Refused:
                break
            await asyncio.sleep(0.005)
    watching.cancel()
    assert hubs.connections() == [broken, fine]
    assert f"connection {broken.id}" in caplog.text
