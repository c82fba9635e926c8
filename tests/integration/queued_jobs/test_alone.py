"""The library without the function app, as its how-to shows it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.support.waiting import wait_until
from tools.local_stack.azurite import AzuriteServer

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs/how-to/use-the-library-alone.md"
PYTHON = [sys.executable, "-W", "error"]


def test_the_programs_of_the_how_to_run(tmp_path: Path, database_url: str, azurite: AzuriteServer) -> None:
    word_count, start_job, _ = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (commands,) = re.findall(r"```\n(pip install.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (tmp_path / "word_count.py").write_text(word_count)
    (tmp_path / "start_job.py").write_text(start_job)
    connections = {"DATABASE_URL": database_url, "QueuesConn": azurite.connection_string}
    environment = os.environ | connections | {"PYTHONPATH": str(ROOT)}
    migrate, worker = [line.split()[1:] for line in commands.splitlines() if line.startswith("queued-jobs")]
    command = [*PYTHON, "-m", "queued_jobs.cli"]
    subprocess.run([*command, *migrate], cwd=tmp_path, env=environment, check=True, timeout=180, capture_output=True)

    def start_program(*program: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            program, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    start = start_program(*PYTHON, "start_job.py")
    wait_until(lambda: _jobs(database_url) == 1, "the job is stored, before any worker has created its queue")
    running = start_program(*command, *worker)
    try:
        assert (*start.communicate(timeout=180), start.returncode) == ("words=4\n", "", 0)
        running.send_signal(signal.SIGTERM)
        _, log = running.communicate(timeout=180)
        assert running.returncode == 0, log
        assert "Traceback" not in log
    finally:
        for process in (start, running):
            process.kill()
            process.communicate()


def _jobs(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        return len(connection.execute("select id from queued_jobs.job").fetchall())
