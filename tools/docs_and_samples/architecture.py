"""The picture of docs/why/architecture.md, drawn from the imports. Run it again when its test fails.

grimp, which import-linter uses, would do for all but functions/, whose files are top-level modules where they run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "why" / "architecture.md"
_BLOCK: Final = re.compile(r"```mermaid\n.*?```", re.DOTALL)
#: The import roots, and the top-level names of this repository.
_PATHS: Final = ("", "functions/")
_FOLDERS: Final = ("scripts", "tools", "infra", "functions", "queued_jobs")
#: The boxes and their labels. A file belongs to the box with the longest matching path.
BOXES: Final = {
    "scripts/": "scripts/<br>commands",
    "tools/": "tools/<br>emulators, local stack,<br>rehearsal, screenshots",
    "infra/": "infra/<br>the Pulumi program",
    "functions/": "functions/<br>entry points of the host,<br>triggers",
    "functions/services.py": "functions/api/, services.py<br>the HTTP API",
    "functions/api/": "functions/api/, services.py<br>the HTTP API",
    "functions/jobs/": "functions/jobs/<br>one file per kind",
    "functions/settings.py": "functions/settings.py",
    "functions/storage.py": "functions/storage.py, archive.py,<br>csv_files.py: files of users",
    "functions/archive.py": "functions/storage.py, archive.py,<br>csv_files.py: files of users",
    "functions/csv_files.py": "functions/storage.py, archive.py,<br>csv_files.py: files of users",
    "queued_jobs/": "queued_jobs/<br>runner, enqueue, executor,<br>repository, queues, sweeper",
    "queued_jobs/cli/": "queued_jobs/cli/<br>the command",
    "queued_jobs/testing/": "queued_jobs/testing/<br>for the tests of forks",
    "queued_jobs/manager.py": "queued_jobs/manager.py, tracker.py,<br>worker.py, erasure.py: the facade",
    "queued_jobs/tracker.py": "queued_jobs/manager.py, tracker.py,<br>worker.py, erasure.py: the facade",
    "queued_jobs/worker.py": "queued_jobs/manager.py, tracker.py,<br>worker.py, erasure.py: the facade",
    "queued_jobs/erasure.py": "queued_jobs/manager.py, tracker.py,<br>worker.py, erasure.py: the facade",
    "queued_jobs/dashboard/": "queued_jobs/dashboard/<br>search, statistics",
    "queued_jobs/push/": "queued_jobs/push/<br>SignalR, webhook",
}
#: Connections without imports: the client calls the API over HTTP, and the library runs the SQL files.
_BY_OTHER_MEANS: Final = (
    'web["web/<br>the client"] -. HTTP .-> {api}',
    '{library} -. runs .-> sql["queued_jobs/sql/"]',
)


def imports() -> dict[str, set[str]]:
    """Map each of our modules, by its path, to the modules that it imports at run time."""
    paths = {
        str(path.relative_to(ROOT))
        for folder in _FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if "node_modules" not in path.parts
    }
    return {path: {*_imported(path, paths)} - {path} for path in sorted(paths)}


def boxes(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Map each box to the boxes that it imports. A package's own list of public names is ignored."""
    found: dict[str, set[str]] = {name: set() for name in set(BOXES.values())}
    for path, imported in graph.items():
        if path != "queued_jobs/__init__.py":
            found[_box(path)] |= {_box(other) for other in imported if other != "queued_jobs/__init__.py"}
            if "queued_jobs/__init__.py" in imported:
                found[_box(path)].add(BOXES["queued_jobs/"])
    return {name: others - {name} for name, others in found.items()}


def picture() -> str:
    """Return the picture as Mermaid. Arrows that others imply are omitted."""
    found = boxes(imports())
    ids = {name: f"n{number}" for number, name in enumerate(dict.fromkeys(BOXES.values()))}
    lines = ["flowchart TD", *(f'    {id_}["{name}"]' for name, id_ in ids.items())]
    for name in ids:
        implied = {far for near in found[name] for far in _reached(found, near, without=name)}
        lines += [f"    {ids[name]} --> {ids[other]}" for other in ids if other in found[name] - implied]
    names = {"api": ids[BOXES["functions/api/"]], "library": ids[BOXES["queued_jobs/"]]}
    return "\n".join([*lines, *(f"    {line.format(**names)}" for line in _BY_OTHER_MEANS)])


def page() -> str:
    """Return the page with the picture as it must be."""
    return _BLOCK.sub(f"```mermaid\n{picture()}\n```", PAGE.read_text(), count=1)


def _box(path: str) -> str:
    return BOXES[max((name for name in BOXES if path.startswith(name)), key=len)]


def _reached(graph: Mapping[str, set[str]], start: str, *, without: str) -> set[str]:
    found, waiting = set[str](), [*graph[start]]
    while waiting:
        name = waiting.pop()
        if name not in found and name != without:
            found.add(name)
            waiting += graph[name]
    return found


def _imported(path: str, paths: set[str]) -> Iterator[str]:
    for name in _names(ast.parse((ROOT / path).read_text())):
        parts = name.split(".")
        for root in _PATHS:
            # the longest prefix that is a module; the rest is a name in it
            for length in range(len(parts), 0, -1):
                place = root + "/".join(parts[:length])
                if found := paths & {f"{place}.py", f"{place}/__init__.py"}:
                    yield from found
                    break


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from _names(node)


if __name__ == "__main__":
    PAGE.write_text(page())
