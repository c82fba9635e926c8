"""One more file in functions/jobs/ is one more pair of queues, with nothing else to edit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.infra.program import ROOT

NEW_KIND = """
from __future__ import annotations
from pydantic import BaseModel
from queued_jobs import JobContext, JobRunner
class Nothing(BaseModel): ...
class Newcomer(JobRunner[Nothing, None]):
    kind = "newcomer"
    queue = "newcomer"
    async def on_execute(self, request: Nothing, ctx: JobContext[None]) -> None: ...
"""
ASK = "from infra.registered_queues import registered_queues; print(*registered_queues())"


def queues_of(checkout: Path) -> list[str]:
    """Ask as Pulumi does: from within infra/, with nothing on the path but that."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], cwd=checkout / "infra", env=environment, capture_output=True, text=True, check=True
    )
    return asked.stdout.split()


def test_a_new_job_file_gives_a_queue_and_a_poison_queue(tmp_path: Path) -> None:
    for folder in ("infra", "functions", "queued_jobs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = queues_of(tmp_path)
    (tmp_path / "functions" / "jobs" / "newcomer.py").write_text(NEW_KIND)
    assert set(queues_of(tmp_path)) - set(before) == {"newcomer", "newcomer-poison"}
