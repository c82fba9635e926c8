"""The library without the function app, as its how-to shows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tools.local_stack.azurite import AzuriteServer

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs/how-to/use-the-library-alone.md"


def test_the_program_of_the_how_to_runs(tmp_path: Path, jobs_url: str, azurite: AzuriteServer) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (tmp_path / "word_count.py").write_text(program)
    environment = {"DATABASE_URL": jobs_url, "QueuesConn": azurite.connection_string, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "word_count.py"],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "words=4\n"), done.stderr
    assert done.stderr == ""
