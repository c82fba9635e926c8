"""Tests do not bet on time: none sleeps until something should have happened, none reads a clock at its import."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if "sample_app" not in path.parts)
SLEEPS = {"time.sleep", "asyncio.sleep", "anyio.sleep"}
CLOCKS = {"datetime.now", "datetime.datetime.now", "time.time", "time.monotonic", "date.today"}
#: Sleeps that nothing waits for: a longer or a shorter one would pass as well.
ALLOWED = {
    ("tests/unit/local/host/test_invoke.py", "asyncio.sleep(0.1)"): "the later start has the later deadline",
    ("tests/integration/queued_jobs/test_network.py", "asyncio.sleep(2 * STALL.total_seconds())"): "ordered by timers",
}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LOOPS = (ast.While, ast.For, ast.AsyncFor)


def outer(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield what holds the node, each with the part of it in which the node stands."""
    while node in parents:
        yield parents[node], node
        node = parents[node]


def faults(source: str) -> Iterator[tuple[int, str]]:
    """Yield the calls that bet on time, with their lines."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name, around = ast.unparse(call.func), list(outer(call, parents))
        if name in SLEEPS and call.args:
            gives_way = isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
            polls = any(isinstance(holder, _LOOPS) for holder, _ in around)
            if not gives_way and not polls and _is_of_a_test(around):
                yield call.lineno, ast.unparse(call)
        if name in CLOCKS and not any(
            isinstance(holder, _FUNCTIONS) and _in_body(holder, part) for holder, part in around
        ):
            yield call.lineno, ast.unparse(call)


def _in_body(function: ast.AST, part: ast.AST) -> bool:
    body = getattr(function, "body", None)
    return part is body or (isinstance(body, list) and part in body)


def _is_of_a_test(around: list[tuple[ast.AST, ast.AST]]) -> bool:
    """What a test itself does; a body or a double may take its time."""
    innermost = next(holder for holder, _ in around if isinstance(holder, _FUNCTIONS))
    return getattr(innermost, "name", "").startswith("test_")


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_bets_on_time(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    found = [(line, call) for line, call in faults(path.read_text()) if (name, call) not in ALLOWED]
    assert found == []


def test_bets_are_found() -> None:
    source = """
NOW = datetime.now(UTC)
@pytest.mark.parametrize("at", [time.time()])
async def test_it(at, other=time.monotonic()):
    await asyncio.sleep(0.5)
    await asyncio.sleep(0)
    while not done():
        time.sleep(0.1)
    assert time.monotonic() > 0
"""
    assert {call for _, call in faults(source)} == {
        "datetime.now(UTC)",
        "time.time()",
        "time.monotonic()",
        "asyncio.sleep(0.5)",
    }


def test_what_is_allowed_is_there() -> None:
    there = {(str(path.relative_to(ROOT)), call) for path in TESTS for _, call in faults(path.read_text())}
    assert there == {*ALLOWED}
