"""What belongs to a kind of job, for its removal."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from scripts.fork.changes import Changes
from scripts.fork.errors import Refused
from scripts.fork.kinds import BROWSER_TESTS, JOBS, SITE_TESTS, UNIT_TESTS, Kind, find_kinds, renderers_of
from scripts.fork.registration import remove_lines

#: Run by commands that check a system.
_KEPT = "probe"
REMOVED = ".local/removed"
_SKIPPED = {".git", ".local", ".venv", ".python", "node_modules", "__pycache__"}


def plan_removal(root: Path, name: str) -> Changes:
    """Return the changes that take a kind away. Raises Refused if there is none, or others need it."""
    kinds = find_kinds(root)
    kind = next((each for each in kinds if each.kind == name), None)
    if kind is None:
        known = ", ".join(each.kind for each in kinds if each.kind != _KEPT) or "none"
        raise Refused(f"there is no kind {name[:80]!r} in {JOBS}; the kinds that can be removed: {known}")
    if name == _KEPT:
        raise Refused(f"{name} must stay: ./scripts/dev --once, ./scripts/smoke and ./scripts/deploy run it")
    others = [each.kind for each in kinds if each.file == kind.file and each != kind]
    if others:
        raise Refused(f"{kind.file} also has {', '.join(others)}; move or delete the class yourself")
    changes = Changes(root)
    renderers = renderers_of(root, name)
    tests = [f"{folder}/test_{kind.module}.py" for folder in (UNIT_TESTS, SITE_TESTS)]
    files = [kind.file, *renderers, *(test for test in tests if (root / test).exists())]
    users = sorted(_users(root, kind, {*files, BROWSER_TESTS}))
    if users:
        raise Refused(f"{kind.file} is imported by {', '.join(users)}; change that first")
    for file in files:
        changes.delete(file)
    remove_lines(changes, name, renderers)
    if (root / BROWSER_TESTS).exists():
        _remove_tests(changes, kind)
    return changes


def _users(root: Path, kind: Kind, own: set[str]) -> Iterator[str]:
    """Yield the other modules that import the one of the kind."""
    for folder in ("functions", "infra", "scripts", "tools", "tests"):
        for path in (root / folder).rglob("*.py"):
            name = path.relative_to(root).as_posix()
            if name in own or not _SKIPPED.isdisjoint(path.parts):
                continue
            text = path.read_text(errors="replace")
            if kind.module in text and f"jobs.{kind.module}" in _imported(text):
                yield name


def _imported(text: str) -> set[str]:
    """Return the names of the modules that a module imports, and of what it imports from them."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return set()
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _remove_tests(changes: Changes, kind: Kind) -> None:
    """Remove the browser tests of the kind; without any other test the file goes, too."""
    text = changes.read(BROWSER_TESTS)
    tests = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    tests = [node for node in tests if node.name.startswith("test_")]
    own = [node for node in tests if node.name.startswith(f"test_{kind.module}_")]
    if not own:
        return
    if len(own) == len(tests):
        changes.delete(BROWSER_TESTS)
        return
    lines = text.splitlines(keepends=True)
    for node in reversed(own):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        del lines[first - 1 : node.end_lineno]
    changes.write(BROWSER_TESTS, re.sub("\n{4,}", "\n\n\n", "".join(lines)).rstrip() + "\n")


def keep_uncommitted(root: Path, names: list[str]) -> tuple[str | None, list[str]]:
    """Copy those of the files that no commit has as they are, and return the folder and their names."""
    lost = [name for name in names if (root / name).is_file() and not _is_committed(root, name)]
    if not lost:
        return None, []
    number = 1
    while (root / REMOVED / str(number)).exists():
        number += 1
    folder = root / REMOVED / str(number)
    for name in lost:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target)
    return f"{REMOVED}/{number}", lost


def _is_committed(root: Path, name: str) -> bool:
    commands = (("git", "cat-file", "-e", f"HEAD:./{name}"), ("git", "diff", "--quiet", "HEAD", "--", name))
    try:
        return all(
            subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 0 for command in commands
        )
    except OSError:  # there is no git
        return False
