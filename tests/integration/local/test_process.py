"""Child processes: their output, their end, and that nothing outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.waiting import is_alive, wait_until
from tools.local_stack.app_servers import ROOT
from tools.local_stack.process import ChildProcess, Command

SOON = timedelta(seconds=20)
SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
PARENT_OF = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True); "


class Children:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[ChildProcess] = []

    def start(self, program: str, **options: object) -> ChildProcess:
        command = Command(
            arguments=[sys.executable, "-c", program],
            environment=os.environ,
            folder=self._folder,
            **options,  # type: ignore[arg-type]
        )
        child = ChildProcess("child", command)
        self._started.append(child)
        return child

    def start_and_wait_for_line(self, program: str, **options: object) -> tuple[ChildProcess, str]:
        child = self.start(program, **options)
        wait_until(lambda: len(child.last_lines) > 0, "a line of output")
        return child, child.last_lines[0]

    def end(self) -> None:
        for child in self._started:
            child.kill()


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    children = Children(tmp_path)
    yield children
    children.end()


def test_the_exit_code_and_the_output_are_kept(children: Children) -> None:
    child = children.start("import sys; print('one'); print('two', file=sys.stderr, flush=True); sys.exit(7)")
    assert child.wait(SOON) == 7
    assert child.kill() == 7  # harmless, and waits for the output
    assert sorted(child.last_lines) == ["one", "two"]


def test_only_the_newest_lines_are_kept(children: Children) -> None:
    child = children.start("print(*range(1000), sep='\\n')")
    child.wait(SOON)
    child.stop()
    assert list(child.last_lines)[-1] == "999"
    assert len(child.last_lines) == 40


def test_stopping_asks_first(children: Children) -> None:
    child, _ = children.start_and_wait_for_line(
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); " + SLEEP
    )
    assert child.stop() == 5


def test_stopping_ends_by_force_what_does_not_stop(children: Children) -> None:
    child, _ = children.start_and_wait_for_line(STUBBORN, stop_within=timedelta(seconds=0.2))
    assert child.stop() == -signal.SIGKILL


@pytest.mark.parametrize("rest", [SLEEP, ""], ids=["killed", "ended by itself"])
def test_what_the_child_started_ends_with_it(children: Children, rest: str) -> None:
    child, line = children.start_and_wait_for_line(PARENT_OF + rest)
    if rest:
        child.kill()
    child.wait(SOON)
    wait_until(lambda: not is_alive(int(line)), "the grandchild is gone")


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    command = Command(arguments=["/nowhere/program"], environment={}, folder=tmp_path)
    child = ChildProcess("child", command)
    assert child.wait(SOON) == 1
    child.stop()
    assert list(child.last_lines) == ["cannot run /nowhere/program: No such file or directory"]


def test_ctrl_c_in_the_terminal_does_not_reach_the_child(children: Children) -> None:
    child, _ = children.start_and_wait_for_line(SLEEP)
    assert os.getpgid(child.pid) == child.pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
@pytest.mark.parametrize("program", [SLEEP, STUBBORN], ids=["sleeping", "stubborn"])
def test_the_child_does_not_outlive_a_parent_that_is_killed(program: str) -> None:
    parent_program = f"""
import os, sys, time
from pathlib import Path
from tools.local_stack.process import ChildProcess, Command
command = Command(arguments=[sys.executable, "-c", {program!r}], environment=os.environ, folder=Path("/"))
child = ChildProcess("child", command, lambda name, line: print(child.pid, flush=True))
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", parent_program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
        wait_until(lambda: not is_alive(child), "the child is gone")
