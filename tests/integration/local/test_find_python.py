"""The search for a Python that is new enough, on machines that have this and that; every program in it is a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import find_python

#: Where the interpreter of this run really lies: a link to it works as a Python of its own.
NEW_PYTHON = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
REPORT = "import json, sys; print(json.dumps([sys.executable, sys.argv[1:]]))"
#: Runs the probe of the search in a real interpreter, of which something is pretended.
PRETEND = """#!/bin/sh
exec {python} -c '
import sys
class Version(tuple): releaselevel = "final"
{pretended}
exec(sys.argv[1])' "$2"
"""


class Machine:
    """A machine with nothing but what a test puts on it: a folder on PATH, a home, a checkout with the search."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.home, self.checkout = folder / "bin", folder / "home", folder / "checkout"
        for made in (self.bin, self.home, self.checkout / "scripts"):
            made.mkdir(parents=True)
        shutil.copy(find_python.__file__, self.checkout / "scripts")
        (self.checkout / "scripts" / "install.py").write_text(REPORT)
        self.environment = {"PATH": str(self.bin), "HOME": str(self.home)}

    def add_python(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(NEW_PYTHON)
        return path

    def add_program(self, path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def search(self, *arguments: str, as_root: bool = False) -> subprocess.CompletedProcess[str]:
        pretend = (
            "import os, runpy, sys; sys.argv = sys.argv[1:]\n"
            f"os.geteuid = lambda: {0 if as_root else 1000}\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        program = self.checkout / "scripts" / "find_python.py"
        return subprocess.run(
            [NEW_PYTHON, "-c", pretend, program, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def found(self, *arguments: str, as_root: bool = False) -> Path:
        finished = self.search(*arguments, as_root=as_root)
        assert finished.returncode == 0, finished.stderr
        executable, given = json.loads(finished.stdout.splitlines()[-1])
        assert given == list(arguments)
        return Path(executable)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("name", ["python3.13", "python3.14", "python3"])
def test_one_on_path_is_used_with_the_arguments(machine: Machine, name: str) -> None:
    expected = machine.add_python(machine.bin / name)
    assert machine.found("test", "scripts.run_checks", "-k", "a b") == expected


def test_the_version_that_runs_in_azure_comes_first(machine: Machine) -> None:
    machine.add_python(machine.bin / "python3")
    machine.add_python(machine.bin / "python3.14")
    expected = machine.add_python(machine.bin / "python3.13")
    assert machine.found() == expected


def test_the_one_of_the_checkout_comes_before_all(machine: Machine) -> None:
    machine.add_python(machine.bin / "python3.13")
    expected = machine.add_python(machine.checkout / ".venv" / "bin" / "python")
    assert machine.found() == expected


def test_a_shim_that_refuses_hides_no_python_behind_it_on_path(machine: Machine, tmp_path: Path) -> None:
    machine.add_program(machine.bin / "python3.13", "exit 127")
    expected = machine.add_python(tmp_path / "usr" / "python3.13")
    machine.environment["PATH"] += f":{expected.parent}"
    assert machine.found() == expected


@pytest.mark.parametrize("root", ["home/.pyenv", "elsewhere"])
def test_a_version_of_pyenv_whose_shim_refuses(machine: Machine, tmp_path: Path, root: str) -> None:
    for name in ("python3.13", "python3"):
        machine.add_program(machine.bin / name, "exit 127")
    versions = tmp_path / root / "versions"
    if root == "elsewhere":
        machine.environment["PYENV_ROOT"] = str(tmp_path / root)
    for version in ("3.14.2", "3.13.9", "3.12.1"):
        machine.add_python(versions / version / "bin" / "python")
    machine.add_program(versions / "3.13.11" / "bin" / "python", "exit 1")  # a build that is broken
    expected = machine.add_python(versions / "3.13.10" / "bin" / "python")
    assert machine.found() == expected


def test_one_that_uv_knows(machine: Machine, tmp_path: Path) -> None:
    expected = machine.add_python(tmp_path / "managed" / "python3.13")
    machine.add_program(machine.bin / "uv", f'case "$*" in "python find "*) echo {expected};; *) exit 2;; esac; exit 0')
    assert machine.found() == expected


def test_root_on_debian_gets_the_package(machine: Machine) -> None:
    lists, python = machine.home / "lists", machine.bin / "python3.13"
    machine.add_program(machine.bin / "uv", "exit 2")
    machine.add_program(
        machine.bin / "apt-cache", f'[ -e {lists} ] && [ "$2" = python3.13-venv ] && echo "Package: $2"'
    )
    machine.add_program(
        machine.bin / "apt-get",
        f'if [ "$1" = update ]; then : > {lists}; else\n'
        f'  [ "$*" = "install -y python3.13-venv" ] && /bin/ln -s {NEW_PYTHON} {python}\nfi',
    )
    assert machine.search().returncode == 1, "who is not root cannot install it"
    assert machine.found(as_root=True) == python


def test_one_that_uv_downloads(machine: Machine) -> None:
    expected = machine.checkout / ".python" / "cpython-3.13.5-linux-x86_64-gnu" / "bin" / "python"
    machine.add_program(
        machine.bin / "uv",
        '[ "$1 $2" = "python install" ] || exit 2\n'
        f"/bin/mkdir -p {expected.parent} && /bin/ln -s {NEW_PYTHON} {expected}",
    )
    assert machine.found() == expected
    machine.add_program(machine.bin / "uv", "exit 2")
    assert machine.found() == expected, "the next time it is there"


@pytest.mark.parametrize(
    "pretended",
    [
        pytest.param('sys.version_info = Version((3, 12, 9, "final", 0))', id="too old"),
        pytest.param(
            "Version.releaselevel = 'beta'; sys.version_info = Version((3, 15, 0))".replace("'", '"'), id="beta"
        ),
        pytest.param('sys.abiflags = "t"', id="free-threaded"),
        pytest.param('sys.implementation.name = "pypy"', id="pypy"),
    ],
)
def test_what_the_packages_are_not_made_for_is_passed_over(machine: Machine, tmp_path: Path, pretended: str) -> None:
    machine.add_program(machine.bin / "python3", PRETEND.format(python=NEW_PYTHON, pretended=pretended))
    expected = machine.add_python(tmp_path / "usr" / "python3")
    machine.environment["PATH"] += f":{expected.parent}"
    assert machine.found() == expected


def test_without_any_and_without_downloads_one_line_says_what_to_do(machine: Machine) -> None:
    machine.add_program(machine.bin / "python3.13", "exit 127")
    old = PRETEND.format(python=NEW_PYTHON, pretended='sys.version_info = Version((3, 11, 7, "final", 0))')
    machine.add_program(machine.bin / "python3", old)
    machine.add_program(machine.bin / "uv", "echo no network >&2; exit 2")
    machine.add_program(machine.bin / "apt-get", "exit 100")
    machine.add_program(machine.bin / "apt-cache", "exit 100")
    finished = machine.search("local", "tools.local_stack.dev", "--once", as_root=True)
    assert finished.returncode == 1
    assert finished.stdout == ""
    (line,) = finished.stderr.splitlines()
    for part in (
        *("3.13", f"{machine.bin / 'python3'} is 3.11.7", f"{machine.bin / 'python3.13'} failed with exit code 127"),
        *("apt-get install", "brew install", "uv python install", "pyenv install"),
    ):
        assert part in line


def test_without_uv_one_is_installed_to_download_with(machine: Machine) -> None:
    package_settings = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HTTP"))}
    machine.environment |= package_settings | {"UV_PYTHON_INSTALL_MIRROR": "file:///nonexistent"}
    finished = machine.search()
    assert finished.returncode == 1
    assert (machine.checkout / ".python" / "uv" / "bin" / "uv").exists()
    assert len(finished.stderr.splitlines()) == 1
