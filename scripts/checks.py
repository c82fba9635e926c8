"""The command scripts/test: every check, one after the other, with what ran and how long it took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.chromium import find_or_install
from scripts.local.errors import LocalRunError

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str]) -> int:
    """Run the checks and return 0, or stop at the first that fails and return its exit code."""
    os.chdir(ROOT)
    try:
        # found once and handed on, so that no test has to skip for want of a browser
        os.environ["CHROMIUM"] = str(find_or_install())
    except LocalRunError as error:
        print(f"checks   | {error}", file=sys.stderr)
        return 1
    steps = [("tests", [sys.executable, "-m", "pytest", *arguments])] if arguments else list(_all())
    times = []
    for name, command in steps:
        print(f"checks   | {name}", flush=True)
        started = time.monotonic()
        code = subprocess.run(command).returncode
        times.append(f"{name} {time.monotonic() - started:.1f} s")
        if code != 0:
            print(f"checks   | {name} failed with exit code {code}", file=sys.stderr)
            return code
    print(f"checks   | all passed: {', '.join(times)}", flush=True)
    return 0


def _all() -> Iterator[tuple[str, list[str]]]:
    python = sys.executable
    yield "lint", [python, "-m", "ruff", "check"]
    yield "format", [python, "-m", "ruff", "format", "--check"]
    yield "types", [python, "-m", "mypy"]
    yield "audit", [python, "-m", "scripts.audit_supply_chain"]
    yield "tests", [python, "-m", "pytest"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
