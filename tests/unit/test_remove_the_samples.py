"""`scripts/new-job` knows what belongs to a kind: without the samples and with others, the rest holds together."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from scripts.fork import new_job
from scripts.fork.kinds import find_kinds
from scripts.run_checks import LINT_IMPORTS
from tests.plugins.times import COMMITTED

ROOT = Path(__file__).resolve().parents[2]
#: The kinds that are added instead, with all that the command can give them.
OWN_KINDS = (
    ("word-count", "--request", "text:str", "day:date?", "--result", "words:int", "--schedule", "0 30 3 * * *"),
    ("tidy-up", "--priorities", "urgent"),
    ("yearly-report", "--request", "year:int", "--result", "made_at:datetime", "--file-result"),
)
#: Tests that look at all kinds, at all files of the client, or at all documents.
LOOK_AT_ALL = (
    "tests/infra/test_registered_queues.py::test_a_new_job_file_gives_a_queue_and_a_poison_queue",
    "tests/unit/functions/test_models.py::test_the_models_are_found",
    "tests/unit/local/host/test_functions.py"
    "::test_the_product_has_one_front_door_two_triggers_for_each_queue_and_a_timer_for_each_schedule",
    "tests/unit/test_docs.py::test_links_lead_somewhere",
    "tests/unit/test_docs.py::test_quoted_file_names_exist",
    "tests/unit/test_docs.py::test_quoted_texts_occur_in_the_sources",
    "tests/unit/test_guarantees.py",
    "tests/unit/test_architecture.py",
    "tests/unit/test_times.py",
    "tests/unit/web/test_dashboard_sources.py",
    "tests/unit/web/test_sources.py",
    "tests/unit/jobs",
)
#: The folders from which modules are imported, and the first parts of the names of our modules.
IMPORT_ROOTS = (".", "functions")
OURS = ("infra", "jobs", "queued_jobs", "scripts", "tests", "tools")


def run(checkout: Path, *arguments: str) -> str:
    finished = subprocess.run([sys.executable, *arguments], cwd=checkout, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which the samples are removed, and other kinds added."""
    copy = tmp_path_factory.mktemp("fork")
    listing = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    for name in subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name, follow_symlinks=False)
    samples = [kind.kind for kind in find_kinds(copy) if kind.kind != "probe"]
    for arguments in (*OWN_KINDS, *((name, "--remove") for name in samples)):
        assert new_job.main(arguments, copy) == 0
    subprocess.run(("git", "init", "--quiet"), cwd=copy, check=True)
    subprocess.run(("git", "add", "--all"), cwd=copy, check=True, capture_output=True)
    return copy


def test_nothing_else_names_the_samples(fork: Path) -> None:
    named = re.compile(
        r"zip[-_]builder|csv[-_]import|story[-_]writer|renderers/(zip|csv|story)\.js|Zip(Builder|Request)\(|CsvImport|StoryW"
    )
    found = [
        str(path.relative_to(fork))
        for folder in ("functions", "infra", "scripts", "tools", "tests", "web")
        for path in (fork / folder).rglob("*")
        if path.is_file() and path.suffix in (".py", ".js", ".mjs", ".html", ".json") and named.search(path.read_text())
        # the times of files that are gone do no harm
        if path not in (fork / COMMITTED.relative_to(ROOT), fork / Path(__file__).relative_to(ROOT))
    ]
    assert found == []


def test_every_import_of_ours_resolves(fork: Path) -> None:
    found = []
    for path in (path for folder in ("tests", "tools") for path in (fork / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OURS:
                wanted = [(node.module, alias.name) for alias in node.names]
                found += [
                    f"{path.relative_to(fork)}: {module}.{name}"
                    for module, name in wanted
                    if not is_there(fork, module, name)
                ]
    assert found == []


@cache
def is_there(fork: Path, module: str, name: str) -> bool:
    """Return whether a module of one of the import roots has this name, or its package a module of this name."""
    place = module.replace(".", "/")
    for folder in (fork / root / place for root in IMPORT_ROOTS):
        if (folder / f"{name}.py").exists() or (folder / name).is_dir():
            return True
        for file in (folder.with_suffix(".py"), folder / "__init__.py"):
            if file.exists() and re.search(rf"\b{name}\b", file.read_text()):
                return True
    return False


def test_the_layers_and_the_lint_rules_hold(fork: Path) -> None:
    run(fork, "-c", LINT_IMPORTS)
    run(fork, "-m", "ruff", "check", "--no-cache", ".")
    run(fork, "-m", "ruff", "format", "--no-cache", "--check", "functions/jobs", "tests")


def test_the_tests_that_look_at_all_of_them_pass(fork: Path) -> None:
    run(fork, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *LOOK_AT_ALL)
