"""What another name, title or accent changes in a checkout."""

from __future__ import annotations

import html
import re
from pathlib import Path

from infra.project import name_in
from scripts.fork.changes import Changes
from scripts.fork.errors import Refused
from scripts.fork.theme import ICON, TOKENS, colours, with_accent

PROJECT = "Pulumi.yaml"
MAX_NAME, MAX_TITLE = 40, 60
#: Files of a page, and what precedes its title in the head and in the header.
PAGES = {"web/index.html": "", "web/dashboard.html": "Dashboard - "}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
#: Azure refuses names of resources that contain these, and Pulumi reads its configuration under the others.
_REFUSED_PARTS = ("microsoft", "windows")
_REFUSED = frozenset({"azure", "azure-native", "login", "pulumi"})
_KEY = re.compile(r"^(  )([A-Za-z0-9_.-]+)(:[A-Za-z]\w*:)", re.MULTILINE)
_DECLARED = re.compile(r"^  ([A-Za-z]\w*):\s*$", re.MULTILINE)
_STATES = ".local/state/.pulumi/stacks"


def plan_renaming(root: Path, name: str, *, title: str | None, accent: str | None) -> Changes:
    """Return the changes of the whole renaming. Raises Refused for what cannot be used."""
    _check_name(name)
    changes = Changes(root)
    _rename_project(root, changes, name)
    if title is not None:
        _retitle(changes, _checked_title(title))
    if accent is not None:
        before = colours(changes.read(TOKENS), 0).get("accent", "")
        changes.write(TOKENS, with_accent(changes.read(TOKENS), accent))
        changes.write(ICON, changes.read(ICON).replace(f'fill="{before}"', f'fill="{accent.lower()}"'))
    return changes


def _check_name(name: str) -> None:
    if not 3 <= len(name) <= MAX_NAME or not _NAME.fullmatch(name):
        raise Refused(
            f"{name[:MAX_NAME]!r} is not a valid name of a project: use 3 to {MAX_NAME} lower-case letters, digits and "
            "single dashes, beginning with a letter, such as acme-jobs"
        )
    part = next((part for part in _REFUSED_PARTS if part in name.replace("-", "")), None)
    if part is not None or name in _REFUSED:
        raise Refused(f"a project cannot be called {name}: Azure or Pulumi reserves {part or name}; choose another")


def _rename_project(root: Path, changes: Changes, name: str) -> None:
    text = changes.read(PROJECT)
    old = name_in(text)
    if old is None:
        raise Refused(f"{PROJECT} has no `name:` of letters, digits, dots, dashes; restore it")
    stacks = sorted((root / _STATES / old).glob("*.json")) if old != name else []
    if stacks:
        raise Refused(
            f"the stack {stacks[0].stem} exists under the name {old}, and would be left behind: destroy it first "
            "(docs/how-to/operate.md), or keep the name and give only --title and --accent"
        )
    head, line, rest = _split_at_name(text)
    changes.write(PROJECT, f"{head}{line.replace(old, name, 1)}{rest}")
    declared = set(_DECLARED.findall(text))
    for path in sorted(root.glob("Pulumi.*.yaml")):
        file = path.relative_to(root).as_posix()
        changes.write(file, _with_keys(changes.read(file), name, declared, old))


def _split_at_name(text: str) -> tuple[str, str, str]:
    lines = text.splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if name_in(line))
    head, rest = "".join(lines[:number]), "".join(lines[number + 1 :])
    key, _, value = lines[number].partition(":")
    return f"{head}{key}:", value, rest


def _with_keys(text: str, name: str, declared: set[str], old: str) -> str:
    """Put the project's keys under its name: those of the old name, and what an earlier renaming has left."""

    def renamed(found: re.Match[str]) -> str:
        is_ours = found[2] == old or (found[3].strip(":") in declared and found[2] not in _REFUSED)
        return f"{found[1]}{name}{found[3]}" if is_ours else found[0]

    return _KEY.sub(renamed, text)


def _checked_title(title: str) -> str:
    title = " ".join(title.split(" ")).strip()
    if not 1 <= len(title) <= MAX_TITLE or not title.isprintable() or {*title} & {*"<>"}:
        raise Refused(f"--title {title[:MAX_TITLE]!r}: use 1 to {MAX_TITLE} printable characters without < and >")
    return html.escape(title, quote=True)


def _retitle(changes: Changes, title: str) -> None:
    for page, before in PAGES.items():
        text = _between(changes.read(page), page, "<title>", "</title>", before + title)
        changes.write(page, _between(text, page, 'height="28">', "</", f" {title}"))


def _between(text: str, page: str, begin: str, end: str, value: str) -> str:
    """Replace what stands between the two. Raises Refused if they do not occur."""
    start = text.find(begin) + len(begin)
    stop = text.find(end, start)
    if start < len(begin) or stop < 0:
        raise Refused(f"{page} has no {begin}...{end} for the title; restore it, or edit it yourself")
    return text[:start] + value + text[stop:]
