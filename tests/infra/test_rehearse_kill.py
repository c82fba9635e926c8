"""A killed run of the engine leaves no process behind."""

from __future__ import annotations

import subprocess
import sys

from tests.support.waiting import is_alive, wait_until
from tools.rehearsal.pulumi import kill_session

_STARTS_A_SEPARATE_GROUP = """
import subprocess, sys
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
print(subprocess.Popen(sleep, process_group=0).pid, subprocess.Popen(sleep).pid, flush=True)
sys.stdin.read()
"""


def test_separate_process_groups_are_killed_with_their_session() -> None:
    command = [sys.executable, "-c", _STARTS_A_SEPARATE_GROUP]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as engine:
        assert engine.stdout is not None
        children = [int(pid) for pid in engine.stdout.readline().split()]
        assert len(children) == 2
        kill_session(engine)
        engine.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in children), "the end of both children")
