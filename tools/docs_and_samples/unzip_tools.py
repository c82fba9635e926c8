"""The programs that people unzip with: the machine's own, or Debian's packages that are installed now."""

from __future__ import annotations

import os
import shutil
import subprocess

#: Program and the Debian package that brings it.
TOOLS = {"unzip": "unzip", "bsdtar": "libarchive-tools", "7z": "p7zip-full"}


def find_or_install() -> list[str]:
    """Return the programs of `TOOLS` that are there, after an install of those that are not, as root on Debian."""
    missing = [package for program, package in TOOLS.items() if shutil.which(program) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "install", "--yes", *missing]):
            if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode != 0:
                break
    return [program for program in TOOLS if shutil.which(program) is not None]
