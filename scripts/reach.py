"""The tests that a change can affect: they reach a changed file by imports, or by file names in their code."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

#: The import roots: the repository itself, and the folder whose modules are top-level when deployed.
IMPORT_ROOTS = ("", "functions/")
#: A change of these can affect every test.
TOUCHES_ALL = (
    "pyproject.toml",
    "locks/test.txt",
    "scripts/install.py",
    "tools/local_stack/package-lock.json",
    "tests/conftest.py",
    "tests/plugins/",
)
#: Ask git for the list of all files.
LOOK_AT_EVERYTHING = ("tests/unit/test_layers.py", "tests/unit/test_reach.py")
#: These name files to compare them, not to read them.
NAME_FILES_ONLY = ("scripts/reach.py", "tests/unit/test_reach.py")
#: Read as whole folders, without file names: all files in these folders are kinds of jobs.
WHOLE_FOLDERS = ("functions/jobs", "tools/test_app/jobs")
#: Read by none of our programs. What any other file without a test affects is unknown.
TOUCHES_NOTHING = ("CHANGELOG.md", "SECURITY.md", ".editorconfig", ".gitattributes", ".gitignore")
#: The base of the comparison: the first of these that exists.
MAIN_BRANCHES = ("main", "origin/main")


class NoMainBranch(Exception):
    """There is no branch to compare with; the message has the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """`tests` = the test files to run, `skipped` = the others; `reason` = why all must run, if they must."""

    tests: Sequence[str]
    skipped: Sequence[str]
    reason: str | None = None


class Tree:
    """The files of the repository by path, and the references between them."""

    def __init__(self, root: Path, files: Iterable[str]) -> None:
        self._root = root
        self._files = frozenset(name for name in files if (root / name).is_file())
        self._trees: dict[str, ast.Module] = {}

    @classmethod
    def of_checkout(cls, root: Path) -> Tree:
        """Return the tracked files, and new files that are not ignored."""
        return cls(root, _git(root, "ls-files", "--cached", "--others", "--exclude-standard"))

    @cached_property
    def tests(self) -> list[str]:
        return sorted(
            name for name in self._files if name.startswith("tests/") and PurePosixPath(name).match("test_*.py")
        )

    def reach(self, changed: Sequence[str]) -> Reach:
        """Return which tests reach one of the changed files."""
        if reason := self._reason_for_all(changed):
            return Reach(tests=self.tests, skipped=[], reason=reason)
        found = {name: self.reaching(name) for name in changed if name not in TOUCHES_NOTHING}
        if unknown := [name for name, tests in found.items() if not tests]:
            return Reach(tests=self.tests, skipped=[], reason=f"it is unknown which tests reach {unknown[0]}")
        tests = frozenset(LOOK_AT_EVERYTHING).union(*found.values())
        return Reach(tests=sorted(tests), skipped=[name for name in self.tests if name not in tests])

    def reaching(self, changed: str) -> frozenset[str]:
        """Return the tests that reach the file, directly or indirectly."""
        found, waiting = set[str](), [changed]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self._led_from.get(name, ())
        return frozenset(found.intersection(self.tests))

    @cached_property
    def _led_from(self) -> Mapping[str, Sequence[str]]:
        """Maps each file to the files that refer to it directly."""
        led: dict[str, list[str]] = {}
        tests = frozenset(self.tests)
        for name in self._files:
            leads = set(self._leads_to(name))
            if name in tests:
                leads.update(self._conftests_of(name), self._fixtures_lead_to(name))
            for other in leads:
                led.setdefault(other, []).append(name)
        return led

    def _conftests_of(self, test: str) -> list[str]:
        """Return the conftest.py files above the test, nearest first."""
        found = (f"{folder}/conftest.py" for folder in PurePosixPath(test).parents)
        return [name for name in found if name in self._files]

    def _fixtures_lead_to(self, test: str) -> Iterator[str]:
        """Yield the files that the fixtures of a test file reach: few tests use all of a conftest.py."""
        wanted = _names_in(self._parsed(test))
        for conftest in self._conftests_of(test):
            used = _used_parts(self._parsed(conftest), wanted)
            wanted |= {name for part in used for name in _names_in(part)}
            for part in used:
                yield from self._read_tree(conftest, part)

    def _reason_for_all(self, changed: Sequence[str]) -> str | None:
        for name in changed:
            if name.startswith(TOUCHES_ALL):
                return f"{name} can affect every test"
            if name not in self._files:
                return f"{name} was deleted, and what needed it is unknown"
        return None

    def _leads_to(self, name: str) -> Iterator[str]:
        if name.startswith(TOUCHES_ALL):
            return
        if name.endswith(".py"):
            yield from self._read_tree(name, self._parsed(name))
        yield from self._beside(name)

    def _parsed(self, name: str) -> ast.Module:
        if name not in self._trees:
            self._trees[name] = ast.parse((self._root / name).read_bytes())
        return self._trees[name]

    def _read_tree(self, name: str, tree: ast.AST) -> Iterator[str]:
        in_paths = set[ast.AST]()
        for node in ast.walk(tree):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and node not in in_paths:
                parts = list(_parts(node))
                in_paths.update(parts)
                path = "/".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
                yield from self._named(name, path)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    yield from self._module(alias.name)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    yield from self._module(f"{node.module}.{alias.name}")
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in in_paths:
                yield from self._named(name, node.value)

    def _module(self, dotted: str) -> Iterator[str]:
        """Yield the files of a module, and of the packages that are imported on the way to it."""
        parts = dotted.split(".")
        for root in IMPORT_ROOTS:
            for length in range(1, len(parts) + 1):
                place = root + "/".join(parts[:length])
                yield from (file for file in (f"{place}.py", f"{place}/__init__.py") if file in self._files)
            yield from (file for file in (f"{root}{'/'.join(parts)}/__main__.py",) if file in self._files)

    def _named(self, name: str, text: str) -> Iterator[str]:
        """Yield the modules, files and folders that a string names, relative to the root or to the program."""
        if (
            name in NAME_FILES_ONLY
            or not text.strip("./")
            or len(text) > 100
            or any(character in text for character in " \n*{}<>")
        ):
            return
        if "." in text:
            yield from self._module(text)
        for folder in ("", f"{PurePosixPath(name).parent}/"):
            place = str(PurePosixPath(f"{folder}{text}")) if ".." not in text else ""
            if place in self._files:
                yield place
            yield from self._inside.get(place, ())

    def _beside(self, name: str) -> Iterator[str]:
        """Yield the files that are found by their folder alone."""
        folder = str(PurePosixPath(name).parent)
        if name.startswith("tests/"):
            yield from (file for file in self._inside.get(folder, ()) if not file.endswith(".py"))
        if folder in WHOLE_FOLDERS:
            yield from self._inside[folder]

    @cached_property
    def _inside(self) -> Mapping[str, Sequence[str]]:
        """All files inside of each folder, at any depth."""
        inside: dict[str, list[str]] = {}
        for name in self._files:
            for folder in PurePosixPath(name).parents:
                inside.setdefault(str(folder), []).append(name)
        del inside["."]
        return inside


def _names_in(tree: ast.AST) -> set[str]:
    """Return the possible names of fixtures: parameters and strings."""
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            names.add(node.value)
    return names


def _used_parts(conftest: ast.Module, wanted: Set[str]) -> list[ast.stmt]:
    """Return the statements of a conftest.py that these fixtures need, including the fixtures."""
    named: dict[str, ast.stmt] = {}
    used: list[ast.stmt] = []
    for part in conftest.body:
        names = list(_bound_by(part))
        named.update(dict.fromkeys(names, part))
        automatic = isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and "autouse" in ast.dump(part)
        if automatic or not names or any(name in wanted or name.startswith("pytest_") for name in names):
            used.append(part)
    for part in used:  # it grows during the iteration
        for node in ast.walk(part):
            name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else None
            if name in named and named[name] not in used:
                used.append(named[name])
    return used


def _bound_by(part: ast.stmt) -> Iterator[str]:
    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield part.name
    elif isinstance(part, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in part.names)
    elif isinstance(part, ast.Assign | ast.AnnAssign):
        targets = part.targets if isinstance(part, ast.Assign) else [part.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _parts(path: ast.BinOp) -> Iterator[ast.AST]:
    """Yield the parts of `folder / "a" / "b"` from the left, and the steps between them."""
    if isinstance(path.left, ast.BinOp) and isinstance(path.left.op, ast.Div):
        yield path.left
        yield from _parts(path.left)
    yield path.right


def changed_files(root: Path) -> list[str]:
    """Return the changes since this branch left main: committed, uncommitted, or new. Raises NoMainBranch."""
    for branch in MAIN_BRANCHES:
        if _git(root, "for-each-ref", f"refs/heads/{branch}", f"refs/remotes/{branch}"):
            break
    else:
        raise NoMainBranch(f"found neither {' nor '.join(MAIN_BRANCHES)} to compare with; fetch one of them")
    (base,) = _git(root, "merge-base", branch, "HEAD")
    return sorted(
        {
            *_git(root, "diff", "--name-only", "--no-renames", base),
            *_git(root, "ls-files", "--others", "--exclude-standard"),
        }
    )


def _git(root: Path, *arguments: str) -> list[str]:
    finished = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return finished.stdout.splitlines()
