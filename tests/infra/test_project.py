"""The project may have another name, and says once which Pulumi it needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from infra.project import OLDEST_PULUMI, PROJECT, name_in
from tests.infra.program import ROOT
from tests.infra.test_bootstrap import use_azure

ANSWERS = ["--location", "swedencentral", "--email", "ops@jobs.example", "--deployer-ip", "203.0.113.9", "--yes"]
REHEARSE = """import sys
from pathlib import Path
from tools.rehearsal.project import Project
project = Project(Path(sys.argv[1]))
print(project.database_admin)
project.configure(scm_url="http://127.0.0.1:1", postgres_port=1, settings={"authMode": "invite"})
print((project.folder / "Pulumi.dev.yaml").read_text())
"""


@pytest.fixture
def fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that calls its project acme-jobs, and the keys of its stacks after it; with `az`, `gh`, `pulumi`."""
    use_azure(tmp_path, monkeypatch)
    pulumi = tmp_path / "bin" / "pulumi"
    pulumi.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {ROOT}/tests/infra/fake_pulumi.py "$@"\n')
    pulumi.chmod(0o755)
    monkeypatch.setenv("FAKE_PULUMI", str(tmp_path / "pulumi.json"))
    folder = tmp_path / "fork"
    left_out = shutil.ignore_patterns("node_modules", "__pycache__")
    for name in ("infra", "functions", "queued_jobs", "web", "scripts", "tools", "locks"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml", "pyproject.toml"):
        text = (ROOT / name).read_text()
        renamed = text.replace(f"name: {PROJECT}", "name: 'acme-jobs' # ours").replace(f"{PROJECT}:", "acme-jobs:")
        (folder / name).write_text(renamed)
    return folder


def run(fork: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(fork)}
    ran = subprocess.run(
        [sys.executable, *command], cwd=fork, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_bootstrap_takes_the_projects_own_name(fork: Path) -> None:
    told = run(
        fork, "-m", "scripts.azure.bootstrap", "--location", "westeurope", "--repository", "ann/jobs", "--dry-run"
    )
    config = yaml.safe_load(told.partition("For Pulumi.prod.yaml:\n")[2].partition("\n\n")[0])["config"]
    assert {name.partition(":")[0] for name in config} == {"azure-native", "acme-jobs"}
    assert "acme-jobs-prod-deploy" in told
    assert PROJECT not in told


def test_deploy_takes_the_projects_own_name(fork: Path) -> None:
    sample = yaml.safe_load((fork / "Pulumi.dev.yaml").read_text())["config"]
    state = {"version": "v3.300.0", "logged_in": True, "by_invite": True, "up": 0, "config": sample, "log": []}
    file = fork.parent / "pulumi.json"
    file.write_text(json.dumps(state))
    (fork / "scripts" / "smoke").write_text("#!/bin/sh\n")
    run(fork, "-m", "scripts.azure.deploy", *ANSWERS)
    config = json.loads(file.read_text())["config"]
    assert config["acme-jobs:databaseAdminName"] == "ann@example.com"
    assert config["acme-jobs:deployerIp"] == "203.0.113.9"
    assert {name.partition(":")[0] for name in config} == {"azure-native", "acme-jobs"}


def test_a_rehearsal_takes_the_projects_own_name(fork: Path) -> None:
    admin, _, text = run(fork, "-c", REHEARSE, str(fork.parent / "copy")).partition("\n")
    assert admin
    config = yaml.safe_load(text)["config"]
    assert {"acme-jobs:rehearsal", "acme-jobs:authMode"} <= config.keys()
    assert {name.partition(":")[0] for name in config} == {"azure-native", "acme-jobs"}


def test_no_program_writes_the_name_down() -> None:
    paths = [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "infra").rglob("*.py")]
    found = [str(path) for path in paths if "node_modules" not in path.parts and f'"{PROJECT}:' in path.read_text()]
    assert found == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("name: jobs\n", "jobs"),
        ("# a comment\ndescription: name of jobs\nname:   'a.b_C-1'  # ours\n", "a.b_C-1"),
        ('name: "jobs"', "jobs"),
        ("runtime: python\n  name: nested\n", None),
        ("name: \n", None),
    ],
)
def test_the_name_is_read_as_yaml_has_it(text: str, name: str | None) -> None:
    assert name_in(text) == name


def test_the_project_says_once_which_pulumi_it_needs() -> None:
    assert yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["name"] == PROJECT
    oldest = ".".join(map(str, OLDEST_PULUMI))
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert f"pulumi>={oldest}" in groups["infra"]
    locked = re.search(r"^pulumi==(\d+)\.(\d+)", (ROOT / "locks" / "infra.txt").read_text(), re.MULTILINE)
    engine = re.search(r"pulumi/sdk/v3 v(\d+)\.(\d+)", (ROOT / "tools/rehearsal/engine/go.mod").read_text())
    for pinned in (locked, engine):
        assert pinned is not None
        assert (int(pinned[1]), int(pinned[2])) >= OLDEST_PULUMI
    for page in (ROOT / "docs").rglob("*.md"):
        for told in re.findall(r"\b(3\.\d{3}) or newer", page.read_text()):
            assert told == oldest, page
