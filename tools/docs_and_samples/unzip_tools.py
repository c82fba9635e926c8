"""Common unzip programs: already installed, or Debian packages that are installed now."""

from __future__ import annotations

import os
import shutil
import subprocess

#: Programs by their Debian package.
TOOLS = {"unzip": "unzip", "bsdtar": "libarchive-tools", "7z": "p7zip-full"}


def find_or_install() -> list[str]:
    """Return the installed programs of `TOOLS`, after installing missing programs if we are root on Debian."""
    missing = [package for program, package in TOOLS.items() if shutil.which(program) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "install", "--yes", *missing]):
            if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode != 0:
                break
    return [program for program in TOOLS if shutil.which(program) is not None]
