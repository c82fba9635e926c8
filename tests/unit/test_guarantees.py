"""The tables of what holds name tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUARANTEES = ROOT / "docs/reference/guarantees.md"
COMPARISON = ROOT / "docs/why/comparison.md"
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


def rows(document: Path) -> list[tuple[str, str]]:
    """The numbered lines of a document's tables, each with its number."""
    found = re.findall(r"^(\| ([AB]?\d+) \|.*)$", document.read_text(), re.MULTILINE)
    return [(number, line) for line, number in found]


@pytest.mark.parametrize("document", [GUARANTEES, COMPARISON], ids=lambda path: path.stem)
def test_every_named_test_is_there(document: Path) -> None:
    links = LINK.findall(document.read_text())
    assert links
    for name, target in links:
        path = (document.parent / target).resolve()
        assert path.is_file(), target
        assert name in names_of_tests(path), f"{target} has no {name}"


def test_nothing_is_left_out() -> None:
    numbers, lines = zip(*rows(GUARANTEES), strict=True)
    assert list(numbers) == [f"A{number}" for number in range(1, 26)] + [f"B{number}" for number in range(1, 29)]
    for line in lines:
        assert LINK.search(line), line


def test_what_we_say_of_ourselves_is_tested() -> None:
    numbers, lines = zip(*rows(COMPARISON), strict=True)
    features = [str(number) for number in range(1, 37)]
    assert list(numbers) == features + features
    for marks, reasons in zip(lines[:36], lines[36:], strict=True):
        ours = marks.split("|")[-2].strip()
        assert ours.startswith(("y", "p")), marks
        assert LINK.search(reasons), reasons
