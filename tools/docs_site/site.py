"""Builds the site with MkDocs, which refuses broken links."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from mkdocs.commands.build import build as build_pages
from mkdocs.config import load_config
from mkdocs.exceptions import MkDocsException
from pygments.formatters import HtmlFormatter

from tools.docs_site.openapi import SETTINGS
from tools.docs_site.sources import copy_sources, navigation, pages_of, title

ROOT: Final = Path(__file__).resolve().parents[2]
_ASSETS: Final = Path(__file__).resolve().parent / "assets"
_PACKAGES: Final = ROOT / "tools" / "local_stack" / "node_modules"
#: Files of packages that the pages load, by their names on the site.
_LIBRARIES: Final = {
    "mermaid.js": "@mermaid-js/tiny/dist/mermaid.tiny.js",
    "swagger-ui.js": "swagger-ui-dist/swagger-ui-bundle.js",
    "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
}
_API_PAGE: Final = "routes.html"
#: Of examples, by the colour scheme of the page.
_STYLES: Final = {"light": "default", "dark": "github-dark"}


class BadPage(Exception):
    """The site cannot be built; the message says what to change in which page."""


def build(output: Path, *, root: Path = ROOT, repository: str | None = None) -> int:
    """Build the site into the folder, which it replaces, and return the number of pages.

    Every link is checked, and the site loads nothing from other servers. After `BadPage` the folder is as it was.

    Parameters
    ----------
    root
        The repository whose documents are built.
    repository
        The address where links to other files lead; None: their texts are left.
    """
    with tempfile.TemporaryDirectory(prefix="docs-") as work:
        sources, built = Path(work) / "sources", Path(work) / "built"
        sources.mkdir()
        copy_sources(root, sources, repository=repository)
        _add_assets(sources / "assets")
        _build_pages(root, sources, built)
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(output, ignore_errors=True)
        shutil.move(built, output)
    return len(pages_of(root)) + 1


def _add_assets(folder: Path) -> None:
    shutil.copytree(_ASSETS, folder)
    for name, source in _LIBRARIES.items():
        shutil.copyfile(_PACKAGES / source, folder / name)
    for scheme, style in _STYLES.items():
        (folder / f"code-{scheme}.css").write_text(HtmlFormatter(style=style).get_style_defs(".codehilite"))
    document = json.dumps(_openapi(), ensure_ascii=False).replace("<", "\\u003c")
    (folder / "openapi.js").write_text(f"globalThis.openapi = {document};\n")
    # a page opened from a file cannot fetch another file
    (folder / _API_PAGE).rename(folder.parent / _API_PAGE)


def _openapi() -> Any:
    command = [sys.executable, "-P", "-m", "tools.docs_site.openapi"]
    environment = {**os.environ, **SETTINGS, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    if finished.returncode != 0:
        raise BadPage(f"the app has no OpenAPI document:\n{finished.stderr.strip()}")
    return json.loads(finished.stdout)


def _build_pages(root: Path, sources: Path, built: Path) -> None:
    problems = _Problems()
    logging.getLogger("mkdocs").addHandler(problems)
    try:
        config = load_config(
            config_file=str(_ASSETS.parent / "mkdocs.yml"),
            site_name=title(root),
            docs_dir=str(sources),
            site_dir=str(built),
            nav=navigation(root, routes=_API_PAGE),
        )
        build_pages(config)
    except MkDocsException as error:
        raise BadPage(str(error)) from error
    finally:
        logging.getLogger("mkdocs").removeHandler(problems)
    if problems.found:
        raise BadPage("\n".join(problems.found))


class _Problems(logging.Handler):
    """Collects the warnings: of links, anchors and pages that are not in the menu."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage())
