"""Queries that count the sessions of a database count clients only: the server's own processes come and go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("queued_jobs", "functions", "infra", "tools", "tests", "scripts")


def queries(source: str) -> Iterator[str]:
    """Yield the texts that read the table of sessions; parts that stand side by side are one text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "from pg_stat_activity" in node.value:
            yield node.value


def is_exact(query: str) -> bool:
    return "backend_type = 'client backend'" in query or "pid = pg_backend_pid()" in query


def test_each_names_the_type_of_the_session() -> None:
    here = Path(__file__).resolve()
    python = {
        (path.relative_to(ROOT), query)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if path != here
        for query in queries(path.read_text())
    }
    sql = {
        (path.relative_to(ROOT), text)
        for path in (ROOT / "queued_jobs/sql").rglob("*.sql")
        if "from pg_stat_activity" in (text := path.read_text())
    }
    assert python
    assert sql
    assert [(str(path), query) for path, query in sorted(python | sql) if not is_exact(query)] == []


def test_a_query_that_counts_all_is_found() -> None:
    source = """cursor.execute("select count(*) " "from pg_stat_activity where datname = current_database()")"""
    assert [is_exact(query) for query in queries(source)] == [False]
