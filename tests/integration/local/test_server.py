"""A server's life: ready, stopped, killed, started again, and all the ways not to start."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.servers import SmallServer
from tests.support.waiting import is_alive
from tools.local_stack import ports, server
from tools.local_stack.errors import Interrupted, ServerFailed

FAIL = "print('out of cheese', flush=True); raise SystemExit(9)"
NEVER_READY = "import time; print('thinking', flush=True); time.sleep(60)"


@pytest.fixture
def small() -> Iterator[SmallServer]:
    small = SmallServer()
    yield small
    small.kill()


def test_it_keeps_its_port_when_it_is_stopped_or_killed_and_started_again(small: SmallServer) -> None:
    small.start()
    port = small.ports
    for end in (small.stop, small.kill):
        pid = small.pid
        assert pid is not None
        end()
        assert not is_alive(pid)
        assert small.pid is None
        assert small.exit_code is None  # it was told to end
        assert not ports.is_listening(port[0])
        small.start()
        assert small.ports == port
        assert ports.is_listening(port[0])


def test_it_takes_the_ports_of_the_last_run_if_they_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "FREE_WITHIN", timedelta())
    lines: list[str] = []
    kept = ports.choose_ports(1)
    small = SmallServer(emit=lambda _, line: lines.append(line))
    small.prefer(kept)
    assert (small.ports, lines) == (kept, [])
    other = ports.choose_ports(1)
    with socket.create_server((ports.LOOPBACK, other[0])):
        small.prefer(other)
    assert small.ports == kept
    assert str(other[0]) in lines[0]
    for unusable in ([], [1, 2]):
        small.prefer(unusable)
    assert (small.ports, len(lines)) == (kept, 1)
    given = SmallServer(port=other[0])
    given.prefer(kept)
    assert given.ports == other


def test_stopping_twice_is_harmless(small: SmallServer) -> None:
    small.start()
    small.stop()
    small.stop()
    small.kill()


def test_starting_twice_is_refused(small: SmallServer) -> None:
    small.start()
    with pytest.raises(RuntimeError, match="started already"):
        small.start()


def test_a_chosen_port_that_was_taken_meanwhile_is_replaced(small: SmallServer) -> None:
    taken = small.ports[0]
    with socket.create_server((ports.LOOPBACK, taken)) as thief:
        thief.close()  # listens no more, but see the next line: bound again without listening
        with socket.socket() as holder:
            holder.bind((ports.LOOPBACK, taken))
            small.start()
    assert small.ports != [taken]
    assert ports.is_listening(small.ports[0])


def test_a_given_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as holder:
        holder.bind((ports.LOOPBACK, 0))
        given = holder.getsockname()[1]
        small = SmallServer(port=given)
        with pytest.raises(
            ServerFailed, match=rf"small ended with exit code 1 .*port {given}(?s:.*)Address already in use"
        ):
            small.start()
    assert small.pid is None


def test_one_that_ends_at_once_is_not_tried_again() -> None:
    lines: list[str] = []
    small = SmallServer(program=FAIL, emit=lambda _, line: lines.append(line))
    with pytest.raises(ServerFailed, match=r"small ended with exit code 9 before it was ready(?s:.*)out of cheese"):
        small.start()
    assert lines == ["out of cheese"]


def test_one_that_is_never_ready_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "READY_WITHIN", timedelta(seconds=0.5))
    small = SmallServer(program=NEVER_READY)
    with pytest.raises(ServerFailed, match=r"was not ready within 0\.5 s"):
        small.start()
    assert small.pid is None


def test_waiting_can_be_interrupted() -> None:
    small = SmallServer(program=NEVER_READY)
    stop = threading.Event()
    stop.set()
    small.spawn()
    with pytest.raises(Interrupted):
        small.wait_until_ready(stop)
    assert small.pid is not None
    small.stop()
