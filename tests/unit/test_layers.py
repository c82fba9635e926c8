"""Imports point one way, and files hold only what belongs there."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Top-level modules of functions/, which stand beside each other in the deployed package.
FUNCTIONS = {path.stem for path in (ROOT / "functions").glob("*.py")} | {"api", "jobs"}

FORBIDDEN = {
    "queued_jobs": {"azure.functions", "azure.storage.blob", "fastapi", "starlette", "pulumi", "scripts", *FUNCTIONS},
    "functions": {"pulumi", "scripts", "psycopg", "psycopg_pool"},
    "functions/jobs": {"azure.functions", "fastapi", "starlette", "services", "api"},
    "infra": {"fastapi", "psycopg", "azure.functions"},
}
#: Makes the application's role and brings the schema up to date, as the deployer.
MAY = {"infra/database_setup.py": {"psycopg"}}
SQL = re.compile(r"(?is)\b(select\b.+\bfrom|insert\s+into|update\b.+\bset|delete\s+from|create\s+table)\b")


def files(folder: str) -> Iterator[Path]:
    yield from sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_down_only(folder: str) -> None:
    for path in files(folder):
        place = path.relative_to(ROOT)
        forbidden = FORBIDDEN[folder] - MAY.get(str(place), set())
        for name in imported(path):
            above = {bad for bad in forbidden if name == bad or name.startswith(f"{bad}.")}
            assert not above, f"{place} imports {name}"


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
    assert len(locks) == 5
    for name in locks:
        assert "://" not in (ROOT / name).read_text(), name
    for name in tracked:
        if Path(name).name == "package-lock.json":
            assert '"resolved"' not in (ROOT / name).read_text(), name
