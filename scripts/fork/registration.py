"""The lines of the web client that name a kind: the import of its view, and its button on the demo page."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from scripts.fork.changes import Changes
from scripts.fork.errors import Refused
from scripts.fork.kinds import ACTIONS, INDEX

PAGES = ("web/index.html", "web/dashboard.html")
_BEGIN, _END = "export const ACTIONS = [\n", "];\n"
_EMPTY_LIST = "export const ACTIONS = [];"


def add_lines(changes: Changes, kind: str, action: str) -> None:
    """Import the view of a kind, and add its action, its button. Raises Refused if a file has another form."""
    changes.write(INDEX, f"{changes.read(INDEX).rstrip()}\nimport './{kind}.js';\n")
    text = changes.read(ACTIONS).replace(_EMPTY_LIST, f"{_EMPTY_LIST[:-2]}\n];")
    place = _entries(text)
    if place is None:
        raise Refused(f"{ACTIONS} has no list that begins with `export const ACTIONS = [`; restore it")
    changes.write(ACTIONS, text[: place.stop] + action + text[place.stop :])


def _entries(text: str) -> slice | None:
    """Return the place of the entries in the text of `actions.js`; None if its list has another form."""
    begin = text.find(_BEGIN) + len(_BEGIN)
    end = text.find("\n" + _END, begin - 1) + 1
    return slice(begin, end) if begin >= len(_BEGIN) and end > 0 else None


def remove_lines(changes: Changes, kind: str, renderers: list[str]) -> None:
    """Remove all lines that name a kind or its views."""
    views = [PurePosixPath(name).name for name in renderers]
    for view in views:
        changes.write(INDEX, _without_lines(changes.read(INDEX), f"import './{view}';"))
        for page in PAGES:
            line = f'<link rel="modulepreload" href="js/renderers/{view}">'
            changes.write(page, _without_lines(changes.read(page), line))
    text = changes.read(ACTIONS)
    place = _entries(text)
    if place is not None:
        entries = _without_entry(text[place], kind)
        text = text[: place.start] + entries + text[place.stop :]
        if "words." not in entries:
            text = text.replace("import { words } from './strings.en.js';\n\n", "")
    changes.write(ACTIONS, text)


def _without_lines(text: str, line: str) -> str:
    return "".join(each for each in text.splitlines(keepends=True) if each.strip() != line)


def _without_entry(entries: str, kind: str) -> str:
    """Remove the entry of a kind: one line, or the lines of a block that is indented by two spaces."""
    blocks = re.split(r"(?m)^(?=  \{)", entries)
    return "".join(block for block in blocks if kind not in re.findall(r"\bkind: ['\"]([^'\"\n]+)['\"]", block))
