"""One version of Python: what the app runs on in Azure is what it is checked on and what everybody is asked for."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from infra.publish.bundle import PYTHON_VERSION
from scripts import find_python

ROOT = Path(__file__).resolve().parents[2]


def test_the_project_asks_for_the_version_of_azure() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == f">={PYTHON_VERSION}"
    assert project["tool"]["mypy"]["python_version"] == PYTHON_VERSION
    assert project["tool"]["ruff"]["target-version"] == f"py{PYTHON_VERSION.replace('.', '')}"
    assert find_python.VERSIONS[0] == PYTHON_VERSION


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_pipelines_run_on_it(path: Path) -> None:
    found = set(re.findall(r"python-version: \"([\d.]+)\"", path.read_text()))
    assert found == {PYTHON_VERSION}


def test_the_development_container_has_it() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert container["image"].rpartition(":")[2] == PYTHON_VERSION
    assert container["postCreateCommand"] == "python3 scripts/install.py test"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "README.md",
            "docs/how-to/deploy.md",
            "scripts/lock",
            "scripts/install.py",
            "scripts/find_python.py",
        ),
        *("scripts/dev", "scripts/test", "scripts/deploy", "scripts/bootstrap", "scripts/package", "scripts/smoke"),
    ],
)
def test_texts_name_no_other(name: str) -> None:
    text = (ROOT / name).read_text()
    found = re.findall(r"(?:Python |python-version |python|\()(3[.,] ?\d+)", text)
    assert {version.replace(", ", ".").replace(",", ".") for version in found} <= {*find_python.VERSIONS, "3.6"}
    assert PYTHON_VERSION in text or f"({PYTHON_VERSION.replace('.', ', ')})" in text
