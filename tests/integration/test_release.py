"""The library as it is released: built, installed into an empty environment, and used there as its how-to shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import psycopg
import pytest

from scripts.install import UV
from tests.support.waiting import wait_until
from tools.local_stack.azurite import AzuriteServer

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/how-to/use-the-library-alone.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VERSION = PROJECT["project"]["version"]
WHEEL = f"queued_jobs-{VERSION}-py3-none-any.whl"
SDIST = f"queued_jobs-{VERSION}.tar.gz"

#: Prints the places of all that is imported with the whole library.
IMPORT_ALL = """
import importlib, pkgutil, sys
import queued_jobs
for module in pkgutil.walk_packages(queued_jobs.__path__, "queued_jobs."):
    if module.name != "queued_jobs.cli.__main__":
        importlib.import_module(module.name)
print(*{getattr(module, "__file__", None) or "" for module in sys.modules.values()}, sep="\\n")
"""

#: The last line is a mistake, which mypy finds only if it knows the types.
MISTAKE = """from datetime import timedelta

from word_count import Text, WordCount, manager

async def start() -> None:
    handle = await manager.queue_job(WordCount, Text(text="a"), user_id="ann")
    result = await handle.result(timeout=timedelta(minutes=1))
    words: int = result.words
    wrong: str = result.words
"""


def environment() -> dict[str, str]:
    """This process's variables without those that lead Python to other modules."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return kept | {"UV_PYTHON_DOWNLOADS": "never"}


def uv(*arguments: str | Path) -> None:
    program = Path(sys.executable).parent / "uv"
    done = subprocess.run(
        [program, *arguments], cwd="/", env=environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


def build(source: Path, output: Path, *options: str) -> Path:
    pins = ("--build-constraints", ROOT / "locks/build.txt", "--require-hashes")
    uv("build", source, "--python", sys.executable, "--out-dir", output, *pins, *options)
    return output


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist, and the wheel that is built from it."""
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def programs(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a virtual environment with the wheel and its locked dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("alone") / "venv"
    uv("venv", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    uv("pip", "install", "--python", python, "--no-deps", "--require-hashes", "-r", ROOT / "locks/library.txt")
    uv("pip", "install", "--python", python, "--no-deps", "--no-index", built / WHEEL)
    uv("pip", "check", "--python", python)
    return folder / "bin"


@pytest.fixture
def user_folder(tmp_path: Path) -> Path:
    """A folder with the two programs of the how-to."""
    word_count, start_job, _ = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (tmp_path / "word_count.py").write_text(word_count)
    (tmp_path / "start_job.py").write_text(start_job)
    return tmp_path


def test_the_wheel_has_the_library_and_what_it_reads(built: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "queued_jobs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    with zipfile.ZipFile(built / WHEEL) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        information = {name.partition(".dist-info/")[2]: name for name in wheel.namelist() if name not in names}
        metadata = Parser().parsestr(wheel.read(information["METADATA"]).decode())
        commands = wheel.read(information["entry_points.txt"]).decode()
        licence = wheel.read(information["licenses/LICENSE"])
    assert names == set(tracked.stdout.split()) - {"queued_jobs/README.md"}
    assert {Path(name).suffix for name in names} == {".py", ".sql", ".typed"}
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert "queued-jobs = queued_jobs.cli:main" in commands
    assert (metadata["Name"], metadata["Version"], metadata["License-Expression"]) == ("queued-jobs", VERSION, "MIT")
    assert metadata["Requires-Python"] == PROJECT["project"]["requires-python"]
    assert metadata.get_all("Provides-Extra") == ["cli"]
    text = metadata.get_payload()
    assert text == (ROOT / "queued_jobs/README.md").read_text()
    assert "](" not in text, "a registry cannot resolve relative links"


def test_the_sdist_has_the_library_alone_and_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    with tarfile.open(built / SDIST) as sdist:
        tops = {name.split("/")[1] for name in sdist.getnames()}
    shown = {name for name in tops if not name.startswith(".")}
    assert shown == {"queued_jobs", "LICENSE", "PKG-INFO", "pyproject.toml"}
    wheel = (build(ROOT, tmp_path, "--wheel") / WHEEL).read_bytes()
    assert (built / WHEEL).read_bytes() == wheel


def test_build_backend_and_uv_are_the_pinned_ones() -> None:
    assert PROJECT["dependency-groups"]["build"] == [*PROJECT["build-system"]["requires"], UV]


def test_nothing_outside_of_the_environment_is_imported(programs: Path, tmp_path: Path) -> None:
    command = [str(programs / "python"), "-P", "-W", "error", "-c", IMPORT_ALL]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    own = {Path(name) for name in done.stdout.splitlines() if "queued_jobs" in name}
    assert len(own) > 50
    assert all(path.is_relative_to(programs.parent) for path in own)
    assert str(ROOT) not in done.stdout


def test_users_get_the_types(programs: Path, user_folder: Path) -> None:
    (user_folder / "mistake.py").write_text(MISTAKE)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(programs / "python")]
    done = subprocess.run(
        [*command, "--config-file", os.devnull, "--no-error-summary", "word_count.py", "start_job.py", "mistake.py"],
        cwd=user_folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^(\w+\.py):(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    assert done.returncode == 1
    assert found == [("mistake.py", str(MISTAKE.count("\n")), "assignment")], done.stdout + done.stderr


def test_the_programs_of_the_how_to_run(
    programs: Path, user_folder: Path, database_url: str, azurite: AzuriteServer
) -> None:
    (commands,) = re.findall(r"```\n(pip install.*?)```", DOCUMENT.read_text(), re.DOTALL)
    migrate, worker, start_job = [
        [str(programs / words[0]), *words[1:]]
        for words in (line.split() for line in commands.splitlines())
        if words[0] in ("queued-jobs", "python")
    ]
    connections = {"DATABASE_URL": database_url, "QueuesConn": azurite.connection_string, "PYTHONWARNINGS": "error"}
    variables = environment() | connections

    def run(command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=user_folder, env=variables, capture_output=True, text=True, check=False, timeout=180
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def start_program(command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=user_folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    run(migrate)
    start = start_program(start_job)
    wait_until(lambda: _jobs(database_url) == 1, "the job is stored, before any worker has created its queue")
    running = start_program(worker)
    try:
        assert (*start.communicate(timeout=180), start.returncode) == ("words=4\n", "", 0)
        running.send_signal(signal.SIGTERM)
        _, log = running.communicate(timeout=180)
        assert running.returncode == 0, log
        assert "Traceback" not in log
    finally:
        for process in (start, running):
            process.kill()
            process.communicate()
    assert "succeeded" in run([*migrate[:1], "list"])


def _jobs(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        return len(connection.execute("select id from queued_jobs.job").fetchall())
