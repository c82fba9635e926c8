"""The browser of the tests: an installed one, or one that is installed on demand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.local_stack.errors import Missing

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REMEDY = "install Chromium, or set CHROMIUM to the path of one"


def find_or_install() -> Path:
    """Return the path of a Chromium: CHROMIUM, else one on PATH, else Playwright's, else a new installation.

    As root on Debian that is the package chromium, elsewhere Playwright's own download. Raises `Missing` with the
    remedy when neither can be had.
    """
    found = _found()
    if found is None:
        _install()
        found = _found()
    if found is None:
        raise Missing(f"found no Chromium for the browser tests: {REMEDY}")
    return found


def _found() -> Path | None:
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        if not os.access(chosen, os.X_OK):
            raise Missing(f"CHROMIUM is {chosen}, which is not an executable file: {REMEDY}")
        return Path(chosen)
    for name in _NAMES:
        path = shutil.which(name)
        if path is not None:
            return Path(path)
    return _playwrights()


def _playwrights() -> Path | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return path if path.exists() else None


def _install() -> None:
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("checks   | no Chromium here: installing Debian's package", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "install", "--yes", "chromium"]):
            if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode != 0:
                break
    else:
        print("checks   | no Chromium here: downloading Playwright's", flush=True)
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"])
