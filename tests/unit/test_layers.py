"""Imports point one way, and files hold only what belongs there."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.run_checks import LINT_IMPORTS

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
SQL = re.compile(r"(?is)\b(select\b.+\bfrom|insert\s+into|update\b.+\bset|delete\s+from|create\s+table)\b")


def files(folder: str) -> Iterator[Path]:
    yield from sorted((ROOT / folder).rglob("*.py"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of all modules, in which a test can add an import."""
    copy = tmp_path_factory.mktemp("sources")
    shutil.copy(ROOT / "pyproject.toml", copy)
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        if not name.startswith("tests/") and (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


#: For each contract modules with an import that it must find, and the name by which it does.
FORBIDDEN = {
    "layers": [
        ("queued_jobs/dispatch.py", "import functions.storage", "functions.storage"),
        ("functions/storage.py", "import infra.naming", "infra.naming"),
        (
            "functions/triggers.py",
            "def late() -> None:\n    from tools.local_stack import ports",
            "tools.local_stack.ports",
        ),
        ("functions/jobs/probe.py", "from scripts import smoke", "scripts.smoke"),
        ("infra/naming.py", "from tools.local_stack import ports", "tools.local_stack.ports"),
        ("infra/publish/bundle.py", "import scripts.reach", "scripts.reach"),
        ("tools/rehearsal/project.py", "from scripts.azure import stack", "scripts.azure.stack"),
    ],
    "library": [
        ("queued_jobs/dispatch.py", "import services", "services"),
        ("queued_jobs/testing/memory.py", "from api.models import JobView", "api"),
        ("queued_jobs/cli/app.py", "from fastapi import FastAPI", "fastapi"),
        ("queued_jobs/push/signalr.py", "import starlette.requests", "starlette"),
        ("queued_jobs/identity.py", "import pulumi", "pulumi"),
    ],
    "channels": [
        ("queued_jobs/enqueue.py", "from queued_jobs.push.webhook import Webhook", "queued_jobs.push.webhook"),
        ("queued_jobs/sweeper.py", "import queued_jobs.dashboard.stats", "queued_jobs.dashboard.stats"),
        ("queued_jobs/testing/memory.py", "from queued_jobs.dashboard import search", "queued_jobs.dashboard.search"),
    ],
    "app": [
        ("functions/storage.py", "import psycopg", "psycopg"),
        ("functions/api/admin/routes.py", "from psycopg_pool import AsyncConnectionPool", "psycopg_pool"),
        ("functions/settings.py", "import pulumi_azure_native", "pulumi_azure_native"),
    ],
    "kinds": [
        ("functions/jobs/probe.py", "from services import services", "services"),
        ("functions/jobs/probe.py", "import api.models", "api"),
        ("functions/jobs/__init__.py", "import fastapi", "fastapi"),
    ],
    "infra": [
        ("infra/app_settings.py", "from settings import Settings", "settings"),
        ("infra/database.py", "import psycopg", "psycopg"),
        ("infra/registered_queues.py", "import services", "services"),
    ],
    "circles": [
        ("queued_jobs/errors.py", "import queued_jobs.runner", ".errors"),
        ("infra/naming.py", "import infra.deployment", ".naming"),
        ("tools/functions_host/errors.py", "import tools.functions_host.host", ".errors"),
    ],
}


def test_each_contract_is_tried() -> None:
    assert FORBIDDEN.keys() == {contract["id"] for contract in CONTRACTS}


@pytest.mark.parametrize("contract", FORBIDDEN)
def test_contracts_find_forbidden_imports(sources: Path, contract: str) -> None:
    modules = {module: (ROOT / module).read_text() for module, _, _ in FORBIDDEN[contract]}
    for module, line, _ in FORBIDDEN[contract]:
        with (sources / module).open("a") as source:
            source.write(f"\n\n{line}\n")
    try:
        found = subprocess.run(
            (sys.executable, "-c", LINT_IMPORTS),
            cwd=sources,
            # functions/ is a namespace package: with the checkout on the path too, its files would be found there
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for module, text in modules.items():
            (sources / module).write_text(text)
    assert found.returncode == 1
    (name,) = [one["name"] for one in CONTRACTS if one["id"] == contract]
    _, _, broken = found.stdout.partition(f"\n{name}\n---")
    for module, _, imported in FORBIDDEN[contract]:
        importer = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        seen = rf"{importer} -> {re.escape(imported)}\b" if contract != "circles" else re.escape(f"{imported} ->")
        assert re.search(seen, broken), (module, found.stdout)


def test_the_library_knows_no_host() -> None:
    """import-linter sees of a package outside no more than its first name, and the library uses others of azure's."""
    for path in files("queued_jobs"):
        text = path.read_text()
        assert not re.search(r"azure\.(functions|storage\.blob)|from azure import", text), path


@pytest.mark.parametrize("folder", ["functions", "queued_jobs"])
def test_sql_stands_in_sql_files(folder: str) -> None:
    allowed = {ROOT / "queued_jobs/schema.py"}  # keeps the list of what it applied
    for path in set(files(folder)) - allowed:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not SQL.search(node.value), f"{path.relative_to(ROOT)}:{node.lineno} holds SQL"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "queued_jobs/sql/statements").glob("*.sql")), ids=lambda path: path.stem
)
def test_every_statement_states_its_contract_and_is_used(path: Path) -> None:
    assert path.read_text().startswith("-- ")
    sources = "".join(source.read_text() for source in files("queued_jobs"))
    assert f'"{path.stem}"' in sources


def test_every_write_of_a_worker_is_guarded_by_its_token() -> None:
    for name in ("heartbeat", "succeed", "fail", "finish_cancelled", "release"):
        text = (ROOT / f"queued_jobs/sql/statements/{name}.sql").read_text()
        assert "lease_token = %(token)s and status = 'running'" in text, name


def test_the_repository_holds_no_address_of_a_package_index_and_no_stray_lock() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not {"uv.lock", "pylock.toml"} & {Path(name).name for name in tracked}
    locks = [name for name in tracked if name.startswith("locks/")]
    assert len(locks) == 7
    for name in locks:
        assert "://" not in (ROOT / name).read_text(), name
    for name in tracked:
        if Path(name).name == "package-lock.json":
            assert '"resolved"' not in (ROOT / name).read_text(), name


def test_one_place_makes_what_sends_messages() -> None:
    made = re.compile(r"(?<!class )\bDispatcher\(")
    found = [path.name for path in files("queued_jobs") for _ in made.findall(path.read_text())]
    assert found == ["backend.py"]


def test_jobs_are_started_by_a_manager_or_a_body_alone() -> None:
    """The functions behind them are not a second way."""
    behind = re.compile(r"from queued_jobs\.(?:enqueue|batch|periodic) import .*\bqueue_\w+")
    found = [
        path.name
        for folder in ("queued_jobs", "functions", "tools")
        for path in files(folder)
        if behind.search(path.read_text())
    ]
    assert set(found) == {"children.py", "periodic.py"}
