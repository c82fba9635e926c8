"""Where the engine comes from, and what somebody without one is told."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from pulumi.runtime.proto import language_pb2

from infra.project import PROJECT
from tools.rehearsal import __main__ as command
from tools.rehearsal import project, pulumi_engine
from tools.rehearsal.language_host import LanguageHost
from tools.rehearsal.pulumi_engine import Engine, EngineMissing, cache_folder, find_or_build


def program(path: Path, prints: str) -> None:
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine with neither pulumi nor Go, and an empty cache."""
    monkeypatch.setattr(pulumi_engine, "_USUAL_GO", tmp_path / "no-go")
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}


def test_an_installed_engine_is_taken(tmp_path: Path, environment: dict[str, str]) -> None:
    program(tmp_path / "bin" / "pulumi", "v3.275.0")
    engine = find_or_build(pytest.fail, environment)
    assert engine.program == tmp_path / "bin" / "pulumi"
    assert engine.path[0] == tmp_path / "bin"  # whose own language host goes before ours


def test_our_language_host_names_the_plugin_that_the_program_needs() -> None:
    (needed,) = LanguageHost("").GetRequiredPackages(language_pb2.GetRequiredPackagesRequest(), None).packages
    assert (needed.name, needed.version) == ("azure-native", f"v{version('pulumi-azure-native')}")
    assert needed.kind == "resource"


def test_an_old_engine_is_passed_over_and_the_reason_told(tmp_path: Path, environment: dict[str, str]) -> None:
    program(tmp_path / "bin" / "pulumi", "v3.200.0")
    said: list[str] = []
    with pytest.raises(EngineMissing, match=r"no go on PATH.*Install pulumi, or Go 1\.21"):
        find_or_build(said.append, environment)
    assert "v3.200.0, and 3.270 is needed" in said[0]


def test_an_old_go_is_named(tmp_path: Path, environment: dict[str, str]) -> None:
    program(tmp_path / "bin" / "go", "go1.19.8")
    with pytest.raises(EngineMissing, match=r"go is go1\.19\.8"):
        find_or_build(lambda _line: None, environment)


def test_a_build_that_fails_shows_why_and_leaves_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    go = tmp_path / "bin" / "go"
    go.write_text("#!/bin/sh\n[ $1 = env ] && echo go1.26.6 && exit\necho 'no route to the proxy' >&2\nexit 1\n")
    go.chmod(0o755)
    with pytest.raises(EngineMissing, match="no route to the proxy"):
        find_or_build(lambda _line: None, environment)
    assert [path.name for path in (tmp_path / "cache" / "queued-jobs").iterdir()] == ["engine.lock"]


def test_a_built_engine_is_kept_for_the_next_time(environment: dict[str, str]) -> None:
    folder = cache_folder(environment)
    folder.mkdir(parents=True)
    program(folder / "pulumi", "v3.274.1")
    engine = find_or_build(pytest.fail, environment)
    assert (engine.program, engine.version) == (folder / "pulumi", "v3.274.1")


def test_another_release_is_kept_elsewhere(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cache_folder(environment)
    for name in ("go.mod", "go.sum"):
        (tmp_path / name).write_bytes((pulumi_engine.MODULE / name).read_bytes() + b"\n// another\n")
    monkeypatch.setattr(pulumi_engine, "MODULE", tmp_path)
    assert cache_folder(environment) != before


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineMissing, match=r"cannot be written.*XDG_CACHE_HOME"):
        find_or_build(pytest.fail, environment | {"XDG_CACHE_HOME": str(tmp_path / "file")})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "Pulumi.dev.yaml is missing; restore it"),
        ("config: [", "Pulumi.dev.yaml"),
        ("", "has no `config:`"),
        ("config:\n  azure-native:location: westeurope\n", f"has no {PROJECT}:databaseAdminName"),
    ],
)
def test_a_stack_that_cannot_be_rehearsed_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str | None, says: str
) -> None:
    root = tmp_path / "checkout"
    for name in project._FOLDERS:
        (root / name).mkdir(parents=True)
    for name in project._FILES:
        (root / name).touch()
    stack = root / "Pulumi.dev.yaml"
    stack.unlink() if content is None else stack.write_text(content)
    monkeypatch.setattr(project, "ROOT", root)
    engine = Engine(program=Path("/bin/false"), version="v3.275.0", path=())
    monkeypatch.setattr(command, "find_or_build", lambda _say: engine)
    assert command.main([]) == 1
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("rehearse | not as expected: ")
    assert says in line
