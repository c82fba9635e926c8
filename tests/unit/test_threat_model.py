"""Each control of the threat model names a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "docs" / "why" / "threat-model.md"


def test_every_control_is_held_by_a_test() -> None:
    rows = [
        line for line in MODEL.read_text().splitlines() if line.startswith("| ") and not line.startswith("| threat |")
    ]
    assert rows
    for row in rows:
        links = re.findall(r"\]\(([^)#]+)#(\w+)\)", row.rpartition(" | ")[2])
        assert links, row
        for path, name in links:
            file = (MODEL.parent / path).resolve()
            functions = {
                node.name
                for node in ast.walk(ast.parse(file.read_text()))
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            }
            assert name in functions, f"{path} has no {name}"
