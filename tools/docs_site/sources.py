"""The Markdown files of the site, with their links as the site needs them."""

from __future__ import annotations

import html
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

#: Documents outside docs/, by their names on the site.
_OTHERS: Final = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
_LINK: Final = re.compile(r"\[(?P<text>[^][]*)\]\((?P<target>[^][()#\s]*)(?P<heading>#[^][()\s]*)?\)")
_PICTURE: Final = re.compile(r'(?P<attribute>srcset|src)="(?P<target>[^":]+)"')
_CODE: Final = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
_DIAGRAM: Final = re.compile(r"```mermaid\n(?P<content>.*)```", re.DOTALL)
#: A line of the README's list of documents, and the documents in it.
_GROUP: Final = re.compile(r"^- (?P<name>[\w ]+): (?P<links>\[.*?)(?=^- |^$)", re.MULTILINE | re.DOTALL)


def pages_of(root: Path) -> dict[Path, str]:
    """Map each document to its path on the site."""
    docs = root / "docs"
    pages = {path: str(path.relative_to(docs)) for path in sorted(docs.rglob("*.md"))}
    return pages | {root / name: page for name, page in _OTHERS.items()}


def copy_sources(root: Path, folder: Path, *, repository: str | None) -> None:
    """Copy the documents and their pictures to the folder.

    Links to other files lead to the repository; without one their texts are left.
    """
    pages = pages_of(root)
    shutil.copytree(root / "docs" / "images", folder / "images")
    for document, page in pages.items():
        parts = _CODE.split(document.read_text())
        parts[::2] = [_relink(text, root, document, pages, repository) for text in parts[::2]]
        parts[1::2] = map(_draw, parts[1::2])
        copy = folder / page
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("".join(parts))


def title(root: Path) -> str:
    """Return the name of the project: the heading of its README."""
    return (root / "README.md").read_text().splitlines()[0].removeprefix("# ")


def navigation(root: Path, *, routes: str) -> list[dict[str, Any]]:
    """Return the menu, in the order of the README's list of documents, with the page of the API's routes."""
    menu: list[dict[str, Any]] = [{"Start": "index.md"}]
    _, _, listed = (root / "README.md").read_text().partition("\n## Documentation\n")
    for group in _GROUP.finditer(listed):
        entries = [
            {_title(link["text"]): link["target"].removeprefix("docs/")} for link in _LINK.finditer(group["links"])
        ]
        if group["name"] == "Reference":
            entries.append({"Routes of the HTTP API": routes})
        menu.append({group["name"]: entries})
    menu.append({"Contributing": "contributing.md"})
    return menu


def _draw(code: str) -> str:
    """Return a fenced block, as an element that assets/diagrams.js draws if it is a diagram."""
    diagram = _DIAGRAM.fullmatch(code)
    return code if diagram is None else f'<pre class="diagram">{html.escape(diagram["content"])}</pre>'


def slug(heading: str, separator: str) -> str:
    """Return the id that GitHub gives to a heading, so that a link leads to it there and here."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", separator)


def _title(text: str) -> str:
    plain = " ".join(text.replace("`", "").split())
    return plain[:1].upper() + plain[1:]


def _relink(text: str, root: Path, document: Path, pages: Mapping[Path, str], repository: str | None) -> str:
    here = Path(pages[document]).parent

    def link(match: re.Match[str]) -> str:
        target, heading = match["target"], match["heading"] or ""
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        file = Path(os.path.normpath(document.parent / target))
        if file in pages:
            return f"[{match['text']}]({os.path.relpath(pages[file], here)}{heading})"
        if not file.exists() or not file.is_relative_to(root):
            return match[0]  # which the check of the links refuses
        if repository is None:
            return match["text"]
        return f"[{match['text']}]({repository.rstrip('/')}/{quote(str(file.relative_to(root)))}{heading})"

    def picture(match: re.Match[str]) -> str:
        file = Path(os.path.normpath(document.parent / match["target"]))
        return f'{match["attribute"]}="{os.path.relpath(file.relative_to(root / "docs"), here)}"'

    return _PICTURE.sub(picture, _LINK.sub(link, text))
