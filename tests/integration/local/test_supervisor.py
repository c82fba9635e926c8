"""All servers run, or none: watched from a process of its own, as scripts/dev does it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE_SECONDS, is_alive, wait_until
from tools.local_stack.app_servers import ROOT

PROGRAM = """
import signal, sys
# the tests may be run with SIGHUP ignored, which child processes inherit
signal.signal(signal.SIGHUP, signal.SIG_IGN if "nohup" in sys.argv else signal.SIG_DFL)
from tools.local_stack.errors import LocalRunError
from tools.local_stack.signals import stop_on_signals
from tools.local_stack.supervisor import Supervisor
from tests.support.servers import LISTEN, SmallServer

STUBBORN = LISTEN.replace("listener =", "signal.signal(signal.SIGTERM, signal.SIG_IGN); listener =")
servers = [
    SmallServer("first"),
    SmallServer("second", program=STUBBORN if "stubborn" in sys.argv else LISTEN),
]
supervisor = Supervisor(servers)
with stop_on_signals(impatient=supervisor.kill) as stop:
    try:
        for server in servers:
            server.start()
        print(*(server.pid for server in servers), flush=True)
        supervisor.watch(stop)
        print("told to stop", flush=True)
    except LocalRunError as error:
        print(error, flush=True)
    finally:
        print("stopping", flush=True)
        supervisor.stop()
        print("stopped", *(server.pid for server in servers), flush=True)
"""


class Supervised:
    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        self.first, self.second = map(int, self.read_line().split())

    def read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def all_gone(self) -> bool:
        return not is_alive(self.first) and not is_alive(self.second)


@pytest.fixture
def supervised() -> Iterator[Supervised]:
    supervised = Supervised()
    yield supervised
    _end(supervised)


@pytest.fixture
def stubborn() -> Iterator[Supervised]:
    supervised = Supervised("stubborn")
    yield supervised
    _end(supervised)


def _end(supervised: Supervised) -> None:
    supervised.process.kill()
    supervised.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all(supervised: Supervised, number: signal.Signals) -> None:
    supervised.process.send_signal(number)
    assert [supervised.read_line() for _ in range(3)] == ["told to stop", "stopping", "stopped None None"]
    assert supervised.process.wait(timeout=PATIENCE_SECONDS) == 0
    assert supervised.all_gone()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_hangup_that_nohup_has_ignored_stays_ignored() -> None:
    supervised = Supervised("nohup")
    try:
        status = Path(f"/proc/{supervised.process.pid}/status").read_text()
        ignored = int(re.findall(r"^SigIgn:\s+(\w+)", status, re.MULTILINE)[0], 16)
        assert ignored & 1 << (signal.SIGHUP - 1)
    finally:
        _end(supervised)


def test_the_end_of_one_stops_all_and_is_named(supervised: Supervised) -> None:
    os.kill(supervised.first, signal.SIGKILL)
    assert supervised.read_line() == "first ended with exit code -9. Its last lines:"
    assert supervised.read_line() == "small"
    assert [supervised.read_line() for _ in range(2)] == ["stopping", "stopped None None"]
    assert supervised.all_gone()


def test_a_second_signal_ends_by_force_what_does_not_stop(stubborn: Supervised) -> None:
    stubborn.process.send_signal(signal.SIGINT)
    assert [stubborn.read_line() for _ in range(2)] == ["told to stop", "stopping"]
    stubborn.process.send_signal(signal.SIGINT)
    assert stubborn.read_line() == "stopped None None"
    assert stubborn.process.wait(timeout=PATIENCE_SECONDS) == 0
    assert stubborn.all_gone()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_no_server_outlives_a_supervisor_that_is_killed(stubborn: Supervised) -> None:
    stubborn.process.kill()
    wait_until(stubborn.all_gone, "both servers are gone")
