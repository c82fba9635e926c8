"""The installer at work, in a small checkout of its own with one package in its lock."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import install

PACKAGE = "idna"


class Checkout:
    """A folder with the installer, locks that name one small package, and a Node.js that only pretends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tools" / "local_stack").mkdir(parents=True)
        (folder / "scripts").mkdir()
        (folder / "locks").mkdir()
        (folder / "bin").mkdir()
        shutil.copy(install.__file__, folder / "scripts" / "install.py")
        lock = re.search(rf"^{PACKAGE}==.*(?:\n .*)+", (install.LOCKS / "local.txt").read_text(), re.MULTILINE)
        assert lock is not None
        for name in ("local", "test", "node"):
            (folder / "locks" / f"{name}.txt").write_text(lock[0] + "\n")
        (folder / "tools" / "local_stack" / "package-lock.json").write_text("{}")
        self.write_program("node", "echo v22.0.0")
        self.write_program("npm", "mkdir -p node_modules && echo ran >> npm-runs")

    @property
    def python(self) -> Path:
        return self.folder / ".venv" / "bin" / "python"

    def write_program(self, name: str, line: str) -> None:
        (self.folder / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (self.folder / "bin" / name).chmod(0o755)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            [sys.executable, self.folder / "scripts" / "install.py", *arguments],
            cwd="/",
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def install(self, *arguments: str) -> str:
        with self.start(*arguments) as process:
            output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        return output

    def has_package(self) -> bool:
        command = [str(self.python), "-c", f"import {PACKAGE}.core"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Shared by the tests of this module, which follow each other: each install takes seconds."""
    return Checkout(tmp_path_factory.mktemp("checkout") / "project")


def test_of_two_runs_at_once_one_installs_and_the_other_waits(checkout: Checkout) -> None:
    with checkout.start("local") as first, checkout.start("local") as second:
        outputs = [run.communicate(timeout=120)[0] for run in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert sum("makes .venv" in output for output in outputs) == 1
    assert sum("waiting for another install" in output for output in outputs) == 1
    assert (checkout.folder / "tools" / "local_stack" / "npm-runs").read_text() == "ran\n"
    assert checkout.has_package()


def test_what_is_in_place_is_not_installed_again(checkout: Checkout) -> None:
    assert checkout.install("local") == ""


def test_it_becomes_the_module_that_is_named(checkout: Checkout) -> None:
    output = checkout.install("local", "json.tool", "--help")
    assert "usage: python -m json.tool" in output


def test_the_wider_profile_is_kept(checkout: Checkout) -> None:
    assert "locks/test.txt" in checkout.install("test")
    with (checkout.folder / "locks" / "local.txt").open("a") as lock:
        lock.write("# changed\n")
    assert "locks/test.txt" in checkout.install("local")
    assert checkout.install("test") == ""


def test_without_a_working_uv_it_goes_on_with_pip(checkout: Checkout) -> None:
    uv = checkout.folder / ".venv" / "bin" / "uv"
    uv.unlink()
    uv.write_text("#!/bin/sh\necho uv is broken\nexit 1\n")
    uv.chmod(0o755)
    subprocess.run([checkout.python, "-m", "pip", "uninstall", "-y", "-q", PACKAGE], check=True)
    (checkout.folder / ".venv" / install.STAMP).unlink()
    assert "pip because uv cannot be used: uv is broken" in checkout.install("local")
    assert checkout.has_package()


def test_an_install_that_was_interrupted_in_a_folder_that_was_moved_is_repaired(checkout: Checkout) -> None:
    moved = checkout.folder.with_name("moved")
    checkout.folder.rename(moved)
    checkout.folder = moved
    (moved / ".venv" / install.STAMP).unlink()
    (moved / ".venv" / install.UNFINISHED).touch()
    (package_file,) = (moved / ".venv").glob(f"lib/python*/site-packages/{PACKAGE}/core.py")
    package_file.unlink()
    assert "makes .venv" in checkout.install("local")
    assert checkout.has_package()
    assert checkout.install("local") == ""


def test_a_venv_of_an_older_python_is_made_again(checkout: Checkout) -> None:
    pretend = "import sys; sys.version_info = (3, 12, 9); exec(sys.argv[1])"
    checkout.python.unlink()
    checkout.python.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{pretend}' \"$2\"\n")
    checkout.python.chmod(0o755)
    assert "makes .venv" in checkout.install("local")
    assert checkout.has_package()


def test_a_lock_with_a_wrong_hash_is_refused(checkout: Checkout) -> None:
    lock = checkout.folder / "locks" / "local.txt"
    lock.write_text(re.sub(r"sha256:\w+", "sha256:" + "0" * 64, lock.read_text()))
    shutil.copy(lock, checkout.folder / "locks" / "test.txt")
    subprocess.run([checkout.python, "-m", "pip", "uninstall", "-y", "-q", PACKAGE], check=True)
    with checkout.start("local") as process:
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "hash" in output.lower()
    assert not checkout.has_package()
