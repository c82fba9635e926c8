"""Writes the test app: a copy of functions/ and web/, with the kinds, renderers and buttons of this package."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
_RENDERERS = "js/renderers"
_PRELOADED = re.compile(r'^ *<link rel="modulepreload" href="js/renderers/([\w.-]+)\.js">\n', re.MULTILINE)
_OF_THE_PRODUCT = ("index", "registry")


def make_app(folder: Path, *, jobs: Path = _HERE / "jobs") -> Path:
    """Write the app to this folder, which must not exist, and return it, for a host to start with."""
    _copy(_ROOT / "functions", folder, "local.settings*.json", "jobs")
    _copy(_ROOT / "web", folder / "web", "node_modules")
    web = folder / "web"
    for renderer in (web / _RENDERERS).iterdir():
        if renderer.stem not in _OF_THE_PRODUCT:
            renderer.unlink()
    _copy(jobs, folder / "jobs")
    _copy(_HERE / "web", web)
    _preload_renderers(web)
    return folder


def _copy(source: Path, target: Path, *ignored: str) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", *ignored), dirs_exist_ok=True)


def _preload_renderers(web: Path) -> None:
    """Name the renderers of this app in its pages instead of those of a fork."""
    own = [path.stem for path in (web / _RENDERERS).iterdir() if path.stem not in _OF_THE_PRODUCT]

    def renamed(line: re.Match[str]) -> str:
        if line[1] == "registry":
            return line[0] + "".join(line[0].replace("registry", name) for name in sorted(own))
        return line[0] if line[1] in _OF_THE_PRODUCT else ""

    for page in web.glob("*.html"):
        page.write_text(_PRELOADED.sub(renamed, page.read_text()))
