"""The kinds of jobs of a checkout, read from their files without running them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from scripts.fork.errors import Refused

JOBS = "functions/jobs"
RENDERERS = "web/js/renderers"
INDEX = f"{RENDERERS}/index.js"
ACTIONS = "web/js/demo-page/actions.js"
#: Where tests of one kind are, each named after the module of the kind.
UNIT_TESTS, SITE_TESTS = "tests/unit/jobs", "tests/integration/functions/jobs"
#: Each of its tests is named after the module of its kind, so that the kinds share one running system.
BROWSER_TESTS = "tests/e2e/test_samples.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind that a file declares, with its queues."""

    kind: str
    queues: tuple[str, ...]
    #: Relative to the checkout.
    file: str

    @property
    def module(self) -> str:
        return Path(self.file).stem


def find_kinds(root: Path) -> list[Kind]:
    """Return the kinds of a checkout. Raises Refused for a file that is not Python."""
    found = []
    for path in sorted((root / JOBS).glob("*.py")):
        name = path.relative_to(root).as_posix()
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError) as error:
            raise Refused(f"{name} cannot be read as Python: {error}; fix it first") from error
        for node in tree.body:
            values = _constants(node) if isinstance(node, ast.ClassDef) else {}
            kind, queue, priorities = values.get("kind"), values.get("queue"), values.get("priorities", ())
            if isinstance(kind, str):
                queue = queue if isinstance(queue, str) else kind
                more = priorities if isinstance(priorities, tuple) else ()
                queues = (queue, *(f"{queue}-{priority}" for priority in more))
                found.append(Kind(kind=kind, queues=queues, file=name))
    return found


def renderers_of(root: Path, kind: str) -> list[str]:
    """Return the files that register a view of this kind and of no other."""
    found = []
    for path in sorted((root / RENDERERS).glob("*.js")):
        registered = set(re.findall(r"^register\(\s*['\"]([^'\"]+)['\"]", path.read_text(), re.MULTILINE))
        if registered == {kind}:
            found.append(path.relative_to(root).as_posix())
    return found


def _constants(node: ast.ClassDef) -> dict[str, object]:
    """Return the attributes of a class whose values are literals."""
    values: dict[str, object] = {}
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        try:
            values[name] = ast.literal_eval(value)
        except ValueError:
            continue
    return values
