"""One more file in functions/jobs/ is one more pair of queues, with nothing else to edit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def ask(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Ask as Pulumi does: from within infra/, with nothing on the path but that."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=checkout / "infra",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("infra", "functions", "queued_jobs"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture
def new_file(checkout: Path) -> Iterator[Path]:
    path = checkout / "functions" / "jobs" / "newcomer.py"
    yield path
    path.unlink(missing_ok=True)


def test_a_new_job_file_gives_a_queue_and_a_poison_queue(checkout: Path, new_file: Path) -> None:
    before = ask(checkout).stdout.split()
    new_file.write_text(NEW_KIND)
    assert set(ask(checkout).stdout.split()) - set(before) == {"newcomer", "newcomer-poison"}


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('queue = "newcomer"', 'queue = "newcomer"\n    schedule = "61 * * * *"', 6, "schedule"),
        ('kind = "newcomer"', 'kind = "Newcomer_1"', 6, "Newcomer_1"),
        ("class Nothing(BaseModel): ...", "class Nothing(BaseModel) ...", 5, "SyntaxError"),
        ("from pydantic", "from pydantick", 3, "No module named 'pydantick'"),
    ],
)
def test_a_broken_job_file_is_named_in_one_line(
    checkout: Path, new_file: Path, old: str, new: str, line: int, says: str
) -> None:
    new_file.write_text(NEW_KIND.replace(old, new))
    asked = ask(checkout)
    assert asked.returncode != 0
    told = asked.stderr.splitlines()[-1]  # Pulumi shows no more of a RunError
    assert told.startswith(f"pulumi.errors.RunError: {new_file}, line {line}: ")
    assert says in told
    assert "./scripts/dev" in told
