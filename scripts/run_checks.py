"""The `scripts/test` command: all checks. Those without servers run beside the tests; all failures are reported."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from scripts.reach import NoMainBranch, Tree, changed_files
from tools.docs_and_samples.chromium import find_or_install
from tools.local_stack.errors import LocalRunError
from tools.local_stack.process import GUARD
from tools.rehearsal.pulumi_engine import find

ROOT = Path(__file__).resolve().parents[1]
#: tests/plugins/workers.py defines the number of workers of `auto`.
PYTEST = ("-m", "pytest", "-n", "auto")
#: The `lint-imports` command, which has no module of that name. Its contracts are in pyproject.toml.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache', '--no-logo'])"
LOOK_EVERY_SECONDS = 0.1
#: Workers that are interrupted stop their servers and browsers first.
ENDS_WITHIN_SECONDS = 30.0
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run the checks, or with arguments pytest alone; return 0, or the exit code of the first that failed.

    With `--changed` as the only argument, the checks run with the tests that the change against main can touch.
    """
    os.chdir(ROOT)
    # otherwise each worker and each server of a test would compile all of our modules again
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        # found once and passed on, so that no test lacks a browser
        os.environ["CHROMIUM"] = str(find_or_install())
    except LocalRunError as error:
        _say(str(error))
        return 1
    if list(arguments) == ["--changed"]:
        return _run_changed()
    if arguments:
        os.execv(sys.executable, [sys.executable, *PYTEST, *arguments])  # noqa: S606 - replaces this process
    return run([[Check("tests", *PYTEST)], *_beside_the_tests()])


def _run_changed() -> int:
    """Run the checks with only the tests that the changes since main can affect, and report the others."""
    try:
        changed = changed_files(ROOT)
    except NoMainBranch as error:
        _say(str(error))
        return 1
    if not changed:
        _say("nothing differs from main")
        return 0
    reach = Tree.of_checkout(ROOT).reach(changed)
    _say(f"{len(changed)} files differ from main: {', '.join(changed[:5])}{' ...' if len(changed) > 5 else ''}")
    if reach.reason is not None:
        _say(f"running all tests: {reach.reason}")
    else:
        _say(f"running {len(reach.tests)} test files")
        skipped = Counter(name.rpartition("/")[0] for name in reach.skipped)
        folders = ", ".join(f"{count} in {folder}" for folder, count in sorted(skipped.items()))
        _say(f"skipping {len(reach.skipped)}, which reach no changed file: {folders or 'none'}")
    return run([[Check("tests", *PYTEST, *reach.tests)], *_beside_the_tests()])


class Check:
    """A Python program. One that yields runs at low priority and shows its output when it has ended."""

    def __init__(self, name: str, *arguments: str, gives_way: bool = False) -> None:
        self.name = name
        self.seconds = 0.0
        self._arguments = arguments
        self._gives_way = gives_way
        self._output: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def start(self) -> None:
        """Start it in its own process group, so that `interrupt` reaches all of it; it ends when this process ends."""
        nice = shutil.which("nice") if self._gives_way else None
        self._output = tempfile.TemporaryFile() if self._gives_way else None  # noqa: SIM115 - closed by `show`
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(int(signal.SIGTERM)), "-"),
                *([nice] if nice else []),
                *(sys.executable, *self._arguments),
            ],
            stdin=subprocess.DEVNULL if self._gives_way else None,
            stdout=self._output,
            stderr=subprocess.STDOUT if self._gives_way else None,
            process_group=0,
        )

    @property
    def code(self) -> int | None:
        """None while it runs, and before it was started."""
        if self._process is None or self._process.poll() is None:
            return None
        self.seconds = self.seconds or time.monotonic() - self._started
        return self._process.returncode

    def show(self) -> None:
        """Print its output and result."""
        if self._output is not None:
            self._output.seek(0)
            sys.stdout.write(self._output.read().decode(errors="replace"))
            self._output.close()
        _say(
            f"{self.name} {'passed' if self.code == 0 else f'failed with exit code {self.code}'}, {self.seconds:.1f} s"
        )

    def interrupt(self) -> None:
        """Interrupt it like Ctrl-C."""
        self._signal(signal.SIGINT)

    def end(self, within: float) -> None:
        """Wait for its end, and kill it after that many seconds."""
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within)
        self._signal(signal.SIGKILL)  # including child processes that it left behind
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def run(rows: Sequence[Sequence[Check]]) -> int:
    """Run the rows side by side, each one's checks in order; return the first exit code that is not 0."""
    waiting, ended = [deque(row) for row in rows], list[Check]()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _raise_interrupt)
    try:
        for row in waiting:
            row[0].start()
        while any(waiting):
            for row in filter(None, waiting):
                if row[0].code is not None:
                    ended.append(row.popleft())
                    ended[-1].show()
                    if row:
                        row[0].start()
            time.sleep(LOOK_EVERY_SECONDS)
    except KeyboardInterrupt:
        _end_all([row[0] for row in waiting if row])
        _say("interrupted")
        return INTERRUPTED
    failed = [check for check in ended if check.code]
    if failed:
        _say(f"failed: {', '.join(check.name for check in failed)}")
        return failed[0].code or 1
    _say(f"all passed: {', '.join(f'{check.name} {check.seconds:.1f} s' for check in ended)}")
    return 0


def _end_all(running: Sequence[Check]) -> None:
    for check in running:
        check.interrupt()
    try:
        for check in running:
            check.end(ENDS_WITHIN_SECONDS)
    except KeyboardInterrupt:  # a second Ctrl-C
        for check in running:
            check.end(0)


def _raise_interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _beside_the_tests() -> list[list[Check]]:
    static = [
        Check("lint", "-m", "ruff", "check", gives_way=True),
        Check("format", "-m", "ruff", "format", "--check", gives_way=True),
        Check("imports", "-c", LINT_IMPORTS, gives_way=True),
        Check("types", "-m", "scripts.check_types", gives_way=True),
        Check("audit", "-m", "scripts.audit", gives_way=True),
    ]
    if find(_say) is not None:
        return [static]
    # takes minutes: the rehearsal, which waits for it, comes last
    return [static, [Check("engine", "-m", "tools.rehearsal.pulumi_engine", gives_way=True)]]


def _say(line: str) -> None:
    print(f"checks   | {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
