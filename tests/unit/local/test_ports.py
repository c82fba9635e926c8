"""Ports are free, different, and safe from the system's own choices."""

from __future__ import annotations

import socket

import pytest

from tools.local_stack import ports


def test_chosen_ports_are_different_and_free() -> None:
    chosen = ports.choose_ports(20)
    assert len(set(chosen)) == 20
    assert all(ports.is_free(port) for port in chosen)


def test_chosen_ports_are_not_handed_out_to_outgoing_connections() -> None:
    try:
        first, last = map(int, ports.RANGE_OF_OUTGOING_CONNECTIONS.read_text().split())
    except FileNotFoundError:
        pytest.skip("this system does not tell its range")
    assert not [port for port in ports.choose_ports(50) if first <= port <= last]


def test_a_port_that_is_taken_is_not_free() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        assert not ports.is_free(taken)
        assert ports.is_listening(taken)
    assert ports.is_free(taken)
    assert not ports.is_listening(taken)


def test_taken_ports_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: port % 2 == 0)
    assert all(port % 2 == 0 for port in ports.choose_ports(10))


def test_no_free_port_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _: False)
    with pytest.raises(RuntimeError, match="free ports"):
        ports.choose_ports(1)
