"""Runs the JavaScript tests of the pure modules with Node.js."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tools.local_stack.node import find_node

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def test_javascript_tests_pass() -> None:
    files = sorted(str(path.relative_to(ROOT)) for path in HERE.glob("*.test.mjs"))
    command = [find_node(), "--test", "--test-reporter=tap", *files]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    counts = {name: int(count) for name, count in re.findall(r"^# (\w+) (\d+)$", finished.stdout, re.MULTILINE)}
    sys.stdout.write(f"node --test: {counts.get('pass')} of {counts.get('tests')} JavaScript tests passed\n")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert counts["pass"] == counts["tests"] >= len(files)
    assert counts["skipped"] == counts["todo"] == counts["cancelled"] == 0
