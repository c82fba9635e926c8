"""The tables of what holds name tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tools.chaos.scenarios import NAMES

ROOT = Path(__file__).resolve().parents[2]
GUARANTEES = ROOT / "docs/reference/guarantees.md"
COMPARISON = ROOT / "docs/why/comparison.md"
DEADLINES = ROOT / "docs/reference/deadlines.md"
RELIABILITY = ROOT / "docs/why/reliability.md"
LINK = re.compile(r"\[`([^`]+)`\]\((\.\./\.\./tests/[^)]+)\)")


@cache
def names_of_tests(path: Path) -> frozenset[str]:
    """The tests of a file by name, with their class before them."""
    if path.suffix == ".mjs":
        return frozenset(re.findall(r"\bit\('([^']+)'", path.read_text()))
    names = set()
    for node in ast.parse(path.read_text()).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        names |= {
            f"{prefix}{one.name}"
            for one in inside
            if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)) and one.name.startswith("test_")
        }
    return frozenset(names)


def rows(text: str) -> list[list[str]]:
    """The cells of the tables of a document, without their headings."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[-1] not in ("tests", "here", "how, and the tests", "tried by")]


@pytest.mark.parametrize("document", [GUARANTEES, COMPARISON, RELIABILITY, DEADLINES], ids=lambda path: path.stem)
def test_every_named_test_is_there(document: Path) -> None:
    links = LINK.findall(document.read_text())
    assert links
    for name, target in links:
        path = (document.parent / target).resolve()
        assert path.is_file(), target
        assert name in names_of_tests(path), f"{target} has no {name}"


def test_every_guarantee_names_its_tests() -> None:
    found = rows(GUARANTEES.read_text())
    assert found
    for guarantee, mechanism, tests in found:
        assert mechanism, guarantee
        assert LINK.search(tests), guarantee


def test_every_fault_is_a_scenario_or_a_test() -> None:
    faults = rows(RELIABILITY.read_text().partition("## Faults")[2].partition("\n## ")[0])
    assert faults
    for fault, promise, tried_by in faults:
        scenarios = re.findall(r"`--scenario ([^`]+)`", tried_by)
        assert promise, fault
        assert scenarios or LINK.search(tried_by), fault
        assert {*scenarios} <= {*NAMES}, fault


def test_every_scenario_tries_a_fault() -> None:
    assert {*NAMES} == {*re.findall(r"`--scenario ([^`]+)`", RELIABILITY.read_text())}


def test_every_feature_that_we_claim_is_tested() -> None:
    marks, _, reasons = COMPARISON.read_text().partition("## Our column, with tests")
    claimed = {feature for _, feature, *_, ours in rows(marks) if ours.startswith(("y", "p"))}
    tested = {feature for _, feature, tests in rows(reasons) if LINK.search(tests)}
    assert claimed
    assert claimed == tested
