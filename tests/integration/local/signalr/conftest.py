"""One emulator for all tests that leave it running, and real clients for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.local.signalr.harness import AppServer, HubClients, StandIn, running


@pytest.fixture(scope="session")
def shared_stand_in() -> Iterator[StandIn]:
    with running() as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(shared_stand_in: StandIn) -> StandIn:
    """An emulator without clients, faults and log."""
    shared_stand_in.control("drop")
    shared_stand_in.control("reset")
    return shared_stand_in


@pytest.fixture(scope="session")
def app(shared_stand_in: StandIn) -> Iterator[AppServer]:
    """The app of the shared emulator."""
    server = AppServer(shared_stand_in)
    yield server
    server.close()


@pytest.fixture(scope="session")
def node() -> Iterator[HubClients]:
    hub_clients = HubClients()
    yield hub_clients
    hub_clients.close()


@pytest.fixture
def clients(node: HubClients) -> Iterator[HubClients]:
    """Real clients, none at first."""
    yield node
    node.forget()


@pytest.fixture(params=["WebSockets", "LongPolling"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each transport that the page may use."""
    name: str = request.param
    return name
