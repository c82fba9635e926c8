# Runs on Python 3.6 and newer, so without newer syntax and without the import of annotations.
"""Finds or installs a Python that is new enough, and runs install.py with it.

    python3 scripts/find_python.py [ARGUMENT OF install.py ...]

Looks at .venv, PATH and pyenv, and asks uv. Then, as root, installs Debian's package where the release has it; then has
uv download a Python into .python/. Without success it ends with one line that says what to do.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

#: In order of preference: the version that runs the app in Azure, then the other one that Azure supports.
VERSIONS = ("3.13", "3.14")
UV = "uv==0.13.9"  # the one of install.py

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOWNLOADED = os.path.join(ROOT, ".python")
_APT_UPDATE = ["apt-get", "update", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=15"]
_PROBE = """
import sys
version = sys.version_info
fits = version >= (3, 13) and version.releaselevel == "final" and "t" not in sys.abiflags
print("fits" if fits and sys.implementation.name == "cpython" else "unfit", "%d.%d.%d" % version[:3], sys.executable)
"""


class Search:
    """The search on this machine; `refused` has the reason for each Python that does not fit."""

    def __init__(self) -> None:
        self.refused = []  # type: list[str]
        self._seen = set()  # type: set[str]

    def find(self) -> "str | None":
        """Return an installed interpreter, or None."""
        return self._first_that_fits(_installed())

    def find_or_install(self) -> "str | None":
        """Like `find`, but install one if possible, which takes from seconds to minutes."""
        found = self.find() or self._first_that_fits(_found_by_uv())
        if found is None and _install_debian_package():
            found = self.find()
        if found is None and _download():
            found = self.find()
        return found

    def _first_that_fits(self, candidates: "Iterator[str]") -> "str | None":
        for candidate in candidates:
            place = os.path.join(os.path.realpath(os.path.dirname(candidate)), os.path.basename(candidate))
            if place in self._seen or not os.access(candidate, os.X_OK):
                continue
            self._seen.add(place)
            executable = self._probe(candidate)
            if executable is not None:
                return executable
        return None

    def _probe(self, candidate: str) -> "str | None":
        code, output = _run([candidate, "-c", _PROBE])
        words = output.strip().split(" ", 2)
        if code == 0 and len(words) == 3 and words[0] == "fits":
            return words[2]
        reason = f"is {words[1]}" if code == 0 and len(words) == 3 else f"failed with exit code {code}"
        self.refused.append(f"{candidate} {reason}")
        return None


def main() -> None:
    """Run install.py with its arguments in this process; exit with code 1 and one line if there is no Python."""
    search = Search()
    try:
        found = search.find_or_install()
    except KeyboardInterrupt:
        sys.exit("install  | interrupted")
    if found is None:
        refused = "; ".join(search.refused) or "none"
        sys.exit(
            f"install  | Python 3.13 or newer is needed (found: {refused}); install it with "
            "`apt-get install python3.13-venv` (Debian 13, Ubuntu 25.04), `brew install python@3.13`, "
            "`uv python install 3.13` or `pyenv install 3.13`, and repeat the command"
        )
    sys.stdout.flush()
    os.execv(found, [found, os.path.join(ROOT, "scripts", "install.py")] + sys.argv[1:])  # noqa: S606


def _installed() -> "Iterator[str]":
    """Yield possible interpreters, best first."""
    yield os.path.join(ROOT, ".venv", "bin", "python")
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    for name in [f"python{version}" for version in VERSIONS] + ["python3"]:
        for folder in folders:  # all folders: a shim of pyenv may come before a Python that works
            yield os.path.join(folder, name)
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    for pattern in (os.path.join(pyenv, "versions", "3.1[34]*"), os.path.join(DOWNLOADED, "cpython-3.1[34]*")):
        for folder in sorted(glob.glob(pattern), key=_by_preference):
            yield os.path.join(folder, "bin", "python")


def _by_preference(folder: str) -> "tuple[int, int]":
    """Sort 3.13 before 3.14, and the newest patch release of each first."""
    minor, patch = (re.findall(r"3\.(\d+)(?:\.(\d+))?", os.path.basename(folder)) or [("0", "0")])[0]
    return int(minor), -int(patch or 0)


def _found_by_uv() -> "Iterator[str]":
    uv = _uv()
    if uv is not None:
        code, output = _run([uv, "python", "find", "--no-project", "--system", ">=3.13"], UV_PYTHON_DOWNLOADS="never")
        if code == 0:
            yield output.strip()


def _uv() -> "str | None":
    for folder in (os.path.join(ROOT, ".venv", "bin"), os.path.join(DOWNLOADED, "uv", "bin")):
        if os.access(os.path.join(folder, "uv"), os.X_OK):
            return os.path.join(folder, "uv")
    return shutil.which("uv") or shutil.which("uv", path=os.path.expanduser("~/.local/bin"))


def _install_debian_package() -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get") or not shutil.which("apt-cache"):
        return False
    package = _debian_package()
    if package is None and _run(_APT_UPDATE)[0] == 0:
        package = _debian_package()
    if package is None:
        return False
    command = ["apt-get", "install", "-y", package]
    return _step(f"installing the Debian package {package}", command, DEBIAN_FRONTEND="noninteractive")


def _debian_package() -> "str | None":
    for version in VERSIONS:
        code, output = _run(["apt-cache", "show", f"python{version}-venv"])
        if code == 0 and output.strip():
            return f"python{version}-venv"
    return None


def _download() -> bool:
    uv = _uv() or _install_uv()
    if uv is None:
        return False
    command = [uv, "python", "install", "--install-dir", DOWNLOADED, "--no-bin", VERSIONS[0]]
    return _step(f"downloading Python {VERSIONS[0]}", command, UV_HTTP_TIMEOUT="30", UV_HTTP_RETRIES="1")


def _install_uv() -> "str | None":
    folder = os.path.join(DOWNLOADED, "uv")
    pip = [os.path.join(folder, "bin", "python"), "-m", "pip", "install", "--retries", "1", UV]
    if _step("creating a virtual environment for uv", [sys.executable, "-m", "venv", folder]) and _step(
        f"installs {UV}", pip
    ):
        return _uv()
    return None


def _step(step: str, command: "list[str]", **environment: str) -> bool:
    """Run a step that may take long. On a terminal it is shown while it runs; a failed step leaves no line."""
    on_terminal = sys.stdout.isatty()
    if on_terminal:
        print(f"install  | {step} ...", end="", flush=True)
    started = time.monotonic()
    code, _ = _run(command, **environment)
    if on_terminal:
        print("\r\033[K", end="", flush=True)
    if code == 0:
        print(f"install  | {step} ... {time.monotonic() - started:.1f} s", flush=True)
    return code == 0


def _run(command: "list[str]", **environment: str) -> "tuple[int, str]":
    """Run a command; return its exit code (127 if it cannot be run) and its standard output."""
    try:
        finished = subprocess.run(
            command,
            cwd="/",  # not where a .python-version of the user affects pyenv
            env=dict(os.environ, **environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
            check=False,
        )
    except OSError:
        return 127, ""
    return finished.returncode, finished.stdout


if __name__ == "__main__":
    main()
