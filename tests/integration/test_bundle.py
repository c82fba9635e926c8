"""The deployment package: what is in it, for which Python, and that it is the same wherever it is built."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from infra.publish import bundle
from infra.publish.bundle import PLATFORM, SITE_PACKAGES, Bundle, PackageError, build
from tests.support.target_python import TargetPython

SECRETS = ("local.settings.json", ".env", "azure.pem", "tls.key", "Pulumi.dev.yaml")


@pytest.fixture
def checkout(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sources in another folder, made at another time, with what must stay at home lying about."""
    shutil.copytree(sources, tmp_path, dirs_exist_ok=True)
    for copy in tmp_path.rglob("*.*"):
        copy.chmod(0o700)
        os.utime(copy, (1_500_000_000, 1_500_000_000))
    for name in SECRETS[:-1]:
        (tmp_path / "functions" / name).write_text("SECRET")
    (tmp_path / "functions" / "__pycache__").mkdir()
    (tmp_path / "functions" / "__pycache__" / "settings.cpython-313.pyc").write_text("SECRET")
    (tmp_path / "web" / "node_modules").mkdir()
    (tmp_path / "web" / "node_modules" / "a.js").write_text("SECRET")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("SECRET")
    (tmp_path / "Pulumi.dev.yaml").write_text("SECRET")
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    return tmp_path


def names_in(package: Bundle) -> list[str]:
    with zipfile.ZipFile(package.path) as archive:
        return archive.namelist()


def test_another_folder_at_another_time_gives_the_same_bytes(
    package: Bundle, checkout: Path, target_python: TargetPython, tmp_path: Path
) -> None:
    other = build(tmp_path / "elsewhere" / "other.zip", python_version=target_python.version)
    assert (other.sha256, other.version) == (package.sha256, package.version)
    assert hashlib.sha256(package.path.read_bytes()).hexdigest() == package.sha256
    with zipfile.ZipFile(package.path) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {oct(entry.external_attr >> 16) for entry in archive.infolist()} == {"0o100644"}


def test_it_holds_the_version_that_its_build_tells(package: Bundle) -> None:
    with zipfile.ZipFile(package.path) as archive:
        assert archive.read(bundle.VERSION_FILE).decode() == package.version
    assert re.fullmatch(r"[0-9a-f]{64}", package.version)
    assert package.version != package.sha256


def test_the_app_stands_at_the_root_with_all_that_it_imports(package: Bundle) -> None:
    names = set(names_in(package))
    expected = {"host.json", "function_app.py", "settings.py", "jobs/probe.py", "api/app.py", "web/index.html"}
    expected |= {"queued_jobs/runner.py", "queued_jobs/sql/statements/claim.sql", "queued_jobs/py.typed"}
    expected |= {f"{SITE_PACKAGES}/{name}/__init__.py" for name in ("fastapi", "psycopg", "azure/identity", "jwt")}
    assert expected <= names
    roots = {name.split("/")[0] for name in names}
    assert roots >= {".python_packages", "api", "jobs", "queued_jobs", "web"}
    assert not roots & {"tests", "infra", "scripts", "docs", "functions", "locks"}


def test_what_is_the_worker_s_own_is_not_in_it(package: Bundle) -> None:
    """The worker has its own of these, and a second one in the same process has crashed apps in Azure."""
    packages = {name.removeprefix(f"{SITE_PACKAGES}/") for name in names_in(package)}
    of_the_worker = ("azure_functions_runtime", "azure_functions_worker", "azurefunctions", "grpc", "google/protobuf")
    assert not [name for name in packages if name.startswith(of_the_worker)]


def test_nothing_of_the_developer_is_in_it(package: Bundle) -> None:
    own = [name for name in names_in(package) if not name.startswith(SITE_PACKAGES)]
    assert not [name for name in names_in(package) if name.endswith(".pyc") or "__pycache__" in name]
    assert not [name for name in own if Path(name).name in SECRETS or "/." in name or name.startswith(".")]
    assert not [
        name for name in own if re.search(r"(^|/)(tests?|node_modules)/|test_[^/]*\.py$|package(-lock)?\.json$", name)
    ]
    assert not [name for name in names_in(package) if name.startswith(f"{SITE_PACKAGES}/bin/")]


def test_every_shared_object_fits_the_target(package: Bundle, target_python: TargetPython) -> None:
    tag = f"cpython-{target_python.version.replace('.', '')}-x86_64-linux-gnu"
    modules = [name for name in names_in(package) if re.search(r"\.so(\.|$)", name) and not re.search(r"\.libs/", name)]
    assert len(modules) > 10
    assert not [name for name in modules if not name.endswith((f".{tag}.so", ".abi3.so"))]
    with zipfile.ZipFile(package.path) as archive:
        wheels = [name for name in archive.namelist() if name.endswith(".dist-info/WHEEL")]
        tags = {tag for name in wheels for tag in re.findall(r"^Tag: (\S+)$", archive.read(name).decode(), re.M)}
    assert PLATFORM.endswith("manylinux_2_28")
    for platform in {tag.split("-")[2] for tag in tags} - {"any", "manylinux1_x86_64", "manylinux2014_x86_64"}:
        match = re.fullmatch(r"manylinux_2_(\d+)_x86_64", platform)
        assert match is not None, platform
        assert int(match[1]) <= 28, platform


def test_only_a_change_of_the_sources_or_a_damaged_zip_is_built_again(
    package: Bundle, checkout: Path, target_python: TargetPython, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Built(Exception):
        pass

    def note(*_: object) -> None:
        raise Built

    monkeypatch.setattr(bundle, "_install", note)
    assert build(package.path, python_version=target_python.version) == package
    (checkout / "functions" / "jobs" / "another_kind.py").write_text('"""A new kind of job."""\n')
    with pytest.raises(Built):
        build(package.path, python_version=target_python.version)
    (checkout / "functions" / "jobs" / "another_kind.py").unlink()
    intact = package.path.read_bytes()
    package.path.write_bytes(intact[:-1])
    try:
        with pytest.raises(Built):
            build(package.path, python_version=target_python.version)
    finally:
        package.path.write_bytes(intact)


def test_a_registry_that_does_not_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(PackageError, match="package registry"):
        build(tmp_path / "app.zip")
    assert list(tmp_path.glob("*.zip")) == []
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(PackageError, match="pip install uv"):
        build(tmp_path / "app.zip")


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("app", "ends in .zip"),
        ("app.json", "ends in .zip"),
        ("file/app.zip", "file: File exists"),
        ("", "ends in .zip"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_in_one_line(
    tmp_path: Path, output: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert bundle.main([str(tmp_path / output) if output else ""]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("package  | ")
    assert says in line


def test_an_incomplete_checkout_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bundle, "_LOCK", tmp_path / "functions.txt")
    assert bundle.main([str(tmp_path / "app.zip")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "functions.txt: No such file or directory" in line
