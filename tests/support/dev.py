"""A run of scripts/dev with a state folder of its own, as a process beside the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tools.local_stack.app_servers import ROOT

START = """
import sys
from pathlib import Path
from tools.local_stack.dev import main
sys.exit(main(sys.argv[2:], Path(sys.argv[1])))
"""


class DevRun:
    """Starts at once, with --no-browser and --ready-file; the output goes to a file."""

    def __init__(self, folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._output = folder / "output.txt"
        self.ready_file = folder / "ready.json"
        options = ["--no-browser", "--ready-file", str(self.ready_file), *arguments]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, str(folder / "state"), *options],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_until_ready(self) -> dict[str, Any]:
        """Return what the ready file says."""
        wait_until(lambda: self._described() is not None or self.process.poll() is not None, "ready")
        assert self.process.poll() is None, self.output
        described = self._described()
        assert described is not None
        return described

    def _described(self) -> dict[str, Any] | None:
        """What the ready file says of this very run: one that was killed has left its own behind."""
        try:
            described: dict[str, Any] = json.loads(self.ready_file.read_text())
        except FileNotFoundError:
            return None
        return described if described["pids"]["dev"] == self.process.pid else None

    def wait_for_exit(self) -> int:
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=PATIENCE_SECONDS)
