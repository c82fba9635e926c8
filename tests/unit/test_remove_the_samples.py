"""The list of what belongs to the samples is complete: without it the rest holds together, with other kinds too."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from scripts.run_checks import LINT_IMPORTS
from tests.plugins.times import COMMITTED

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to" / "remove-the-samples.md"
#: The kind of the tutorial, with all that the documents say of a declaration.
OWN_KIND = re.search(r"```python\n(.*?)```", (ROOT / "docs/tutorial/first-job.md").read_text(), re.DOTALL)
DECLARED = """\
    queue = "word-count"
    priorities = ("urgent",)
    schedule = "0 30 3 * * *"

    @classmethod
    def scheduled_request(cls, due: datetime) -> Text:
        return Text(text="every night")
"""
RENDERER = """\
import { register } from './registry.js';

register('word-count', { title: (job) => `Words of ${job.label}` });
"""
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
    """A copy of the repository in which somebody has done what the how-to says, and added a kind."""
    copy = tmp_path_factory.mktemp("fork")
    listing = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    for name in subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name, follow_symlinks=False)
    follow(HOW_TO.read_text(), copy)
    assert OWN_KIND is not None
    source = OWN_KIND[1].replace('    queue = "word-count"\n', DECLARED)
    source = source.replace("import asyncio\n", "import asyncio\nfrom datetime import datetime\n")
    (copy / "functions/jobs/word_count.py").write_text(source)
    (copy / "web/js/renderers/word-count.js").write_text(RENDERER)
    with (copy / "web/js/renderers/index.js").open("a") as index:
        index.write("import './word-count.js';\n")
    subprocess.run(("git", "init", "--quiet"), cwd=copy, check=True)
    subprocess.run(("git", "add", "--all"), cwd=copy, check=True, capture_output=True)
    return copy


def follow(how_to: str, checkout: Path) -> None:
    """Delete the files and the lines that the how-to lists; each of them must be there."""
    for command in re.findall(r"^git rm (.+)$", how_to, re.MULTILINE):
        for name in command.split():
            (checkout / name).unlink()
    rows = re.findall(r"^\| (`.+`) \| (`.+`) \|$", how_to, re.MULTILINE)
    assert rows
    for files, texts in rows:
        for name in re.findall("`([^`]+)`", files):
            lines = (checkout / name).read_text().splitlines(keepends=True)
            for text in re.findall("`([^`]+)`", texts):
                assert any(text in line for line in lines), (name, text)
                lines = [line for line in lines if text not in line]
            (checkout / name).write_text("".join(lines))


def test_nothing_else_names_the_samples(fork: Path) -> None:
    named = re.compile(r"zip[-_]builder|csv[-_]import|renderers/(zip|csv)\.js|Zip(Builder|Request)\(|CsvImport")
    found = [
        str(path.relative_to(fork))
        for folder in ("functions", "infra", "scripts", "tools", "tests", "web")
        for path in (fork / folder).rglob("*")
        if path.is_file() and path.suffix in (".py", ".js", ".mjs", ".html", ".json") and named.search(path.read_text())
        if path != fork / COMMITTED.relative_to(ROOT)  # the times of files that are gone do no harm
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


def test_the_tests_that_look_at_all_of_them_pass(fork: Path) -> None:
    run(fork, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *LOOK_AT_ALL)
