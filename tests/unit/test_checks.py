"""The `scripts/test` command: all that fails is reported, and an end from outside leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.run_checks import INTERRUPTED, Check, run
from tests.support.waiting import is_alive, wait_until

ROOT = Path(__file__).resolve().parents[2]


def program(name: str, source: str, *, gives_way: bool = False) -> Check:
    return Check(name, "-c", source, gives_way=gives_way)


def test_all_pass(capfd: pytest.CaptureFixture[str]) -> None:
    rows = [[program("tests", "print('3 passed')")], [program("lint", "print('clean')", gives_way=True)]]
    assert run(rows) == 0
    lines = capfd.readouterr().out.splitlines()
    assert {"3 passed", "clean"} < set(lines)
    assert lines[-1].startswith("checks   | all passed: ")


def test_each_failure_is_reported_with_its_output(capfd: pytest.CaptureFixture[str]) -> None:
    rows = [
        [program("tests", "raise SystemExit(3)")],
        [
            program("lint", "print('a line is too long'); raise SystemExit(1)", gives_way=True),
            program("types", "print('no type fits')", gives_way=True),
        ],
    ]
    assert run(rows) in (1, 3)
    output = capfd.readouterr().out
    assert output.index("a line is too long") < output.index("no type fits"), "one after the other"
    last = output.splitlines()[-1]
    assert {"tests", "lint"} == set(last.removeprefix("checks   | failed: ").split(", "))


def test_what_gives_way_is_nice(capfd: pytest.CaptureFixture[str]) -> None:
    source = "import os; print('nice', os.nice(0))"
    run([[program("first", source), program("second", source, gives_way=True)]])
    first, second = [int(line.split()[1]) for line in capfd.readouterr().out.splitlines() if line.startswith("nice ")]
    assert second >= min(first + 1, 19), "19 is the nicest"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_end_from_outside_leaves_nothing_running(number: signal.Signals) -> None:
    parent = """
import sys
from scripts.run_checks import Check, run
child = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
sys.exit(run([[Check("lint", "-c", child, gives_way=True)], [Check("tests", "-c", child)]]))
"""
    with subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        children = {child, *_children_of(process.pid)}
        assert len(children) == 2
        process.send_signal(number)
        assert process.wait(timeout=60) == (-signal.SIGKILL if number == signal.SIGKILL else INTERRUPTED)
        wait_until(lambda: not any(map(is_alive, children)), "both checks are gone")


def _children_of(pid: int) -> set[int]:
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == pid:
                found.add(int(name))
    return found
