"""When the installer does nothing, when it installs, and when it needs another Python."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import find_python, install

SOURCE = Path(install.__file__)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which the profile local has been installed, with the Node.js from PyPI."""
    interpreter = tmp_path / "python3.13"
    interpreter.touch(mode=0o755)
    for name, folder in {
        "VENV": ".venv",
        "LOCKS": "locks",
        "NODE_PACKAGES": "npm",
        "NODE_MODULES": "npm/node_modules",
    }.items():
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(install, name, tmp_path / folder)
    monkeypatch.setattr(install, "PYTHON", tmp_path / ".venv" / "python")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / ".venv" / "python").symlink_to(interpreter)
    for lock in ("locks/local.txt", "locks/test.txt", "locks/node.txt", "npm/package-lock.json"):
        (tmp_path / lock).write_text(lock)
    write_stamps("local")
    return tmp_path


def write_stamps(profile: str, *, node: bool = True) -> None:
    install._write_stamp(install.VENV, install._python_stamp(profile, node=node))
    install._write_stamp(install.NODE_MODULES, install._node_stamp(profile))


def put_on_path(checkout: Path, program: str, output: str = "") -> None:
    (checkout / "bin").mkdir(exist_ok=True)
    (checkout / "bin" / program).write_text(f"#!/bin/sh\necho {output}\n")
    (checkout / "bin" / program).chmod(0o755)


def test_what_is_in_place_is_left_alone(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_run", lambda *_, **__: pytest.fail("something was run"))
    install.ensure_installed("local")


def test_the_profile_test_includes_local(checkout: Path) -> None:
    assert not install.is_installed("test")
    write_stamps("test")
    assert install.is_installed("test")
    assert install.is_installed("local")


@pytest.mark.parametrize("path", [".venv/installed.json", "npm/node_modules/installed.json", ".venv/python"])
def test_what_is_gone_is_noticed(checkout: Path, path: str) -> None:
    assert install.is_installed("local")
    (checkout / path).unlink()
    assert not install.is_installed("local")


@pytest.mark.parametrize(
    "path", ["locks/local.txt", "locks/test.txt", "locks/node.txt", "npm/package-lock.json", "python3.13"]
)
def test_what_has_changed_is_noticed(checkout: Path, path: str) -> None:
    with (checkout / path).open("a") as file:
        file.write("a change")
    assert not install.is_installed("local")


@pytest.mark.parametrize("content", ["", "no JSON", "[]", "{}", '{"profile": ["local"]}', '{"profile": "everything"}'])
def test_a_damaged_stamp_counts_as_none(checkout: Path, content: str) -> None:
    (checkout / ".venv" / "installed.json").write_text(content)
    assert not install.is_installed("local")


def test_a_venv_that_was_moved_is_noticed(checkout: Path) -> None:
    stamp = json.loads((checkout / ".venv" / "installed.json").read_text())
    (checkout / ".venv" / "installed.json").write_text(json.dumps(stamp | {"folder": "/elsewhere/.venv"}))
    assert not install.is_installed("local")


@pytest.mark.parametrize(
    ("version", "with_npm", "expected"),
    [
        (None, False, False),
        ("v22.1.0", True, True),
        ("v22.1.0", False, False),
        ("v20.20.2", True, False),
        ("x", True, False),
    ],
)
def test_node_of_the_user_is_taken_when_it_is_new_enough(
    checkout: Path, version: str | None, with_npm: bool, expected: bool
) -> None:
    write_stamps("local", node=False)
    if version is not None:
        put_on_path(checkout, "node", version)
    if with_npm:
        put_on_path(checkout, "npm")
    assert install.is_installed("local") is expected


def test_a_cache_goes_elsewhere_when_the_home_folder_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    assert list(install._cache("UV_CACHE_DIR", "uv")) == ["UV_CACHE_DIR"]
    monkeypatch.setenv("HOME", str(Path.cwd()))
    assert install._cache("UV_CACHE_DIR", "uv") == {}


def test_a_failed_step_shows_the_end_of_its_output(capsys: pytest.CaptureFixture[str]) -> None:
    program = "import sys; print(*range(100), sep=chr(10)); sys.exit(3)"
    with pytest.raises(install.InstallFailed, match="exit code 3") as failure:
        install._run("a step", [sys.executable, "-c", program])
    assert str(failure.value).splitlines()[-1].strip() == "99"
    assert "    69\n" not in str(failure.value)
    assert "a step ... failed" in capsys.readouterr().out


def test_a_python_without_venv_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(install.InstallFailed, match=r"apt-get install python3\.\d+-venv"):
        install._need_venv_module()


def test_root_on_debian_gets_venv_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(install, "_run", lambda _, command, __: commands.append(command))
    install._need_venv_module()
    package = f"python3.{sys.version_info.minor}-venv"
    assert commands == [["apt-get", "update"], ["apt-get", "install", "-y", package]]


def test_an_unknown_profile_is_refused() -> None:
    finished = subprocess.run([sys.executable, SOURCE, "everything"], capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert "usage: install.py local|test" in finished.stderr


@pytest.mark.parametrize("program", ["install.py", "find_python.py"])
def test_an_old_python_can_read_the_file(program: str) -> None:
    source = SOURCE.with_name(program).read_text()
    ast.parse(source, feature_version=(3, 6))
    assert "from __future__" not in source


def test_an_old_python_starts_the_search_for_a_newer_one(tmp_path: Path) -> None:
    shutil.copy(SOURCE, tmp_path)
    (tmp_path / "find_python.py").write_text("import sys; print(sys.argv[1:])")
    pretend = (
        "import runpy, sys; sys.version_info = (3, 12, 9); del sys.argv[0]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", pretend, str(tmp_path / SOURCE.name), "local", "a.module", "--once"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout == "['local', 'a.module', '--once']\n"


def test_search_and_installer_use_one_version_of_uv() -> None:
    assert find_python.UV == install.UV


def test_help_is_printed_without_an_install(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(profile: str) -> None:
        pytest.fail(f"installs {profile}")

    (checkout / "locks" / "local.txt").write_text("changed since")
    monkeypatch.setattr(install, "ensure_installed", refuse)
    with pytest.raises(SystemExit) as exit_:
        install.main(["local", "tools.local_stack.dev", "--help"])
    assert exit_.value.code == 0
    assert "--print-env" in capsys.readouterr().out
