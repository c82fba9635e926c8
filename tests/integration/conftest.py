"""The deployment package, built once for all tests that look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.publish import bundle
from infra.publish.bundle import Bundle, build
from tests.support.target_python import TargetPython, find_target_python


@pytest.fixture(scope="session")
def target_python() -> TargetPython:
    return find_target_python()


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what goes into the package, which nobody edits meanwhile."""
    root = tmp_path_factory.mktemp("sources")
    for folder in ("functions", "queued_jobs", "web"):
        for path in bundle._files(bundle.ROOT / folder):
            copy = root / path.relative_to(bundle.ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return root


@pytest.fixture(scope="session")
def package(sources: Path, target_python: TargetPython, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The zip for the interpreter that this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "ROOT", sources)
        return build(tmp_path_factory.mktemp("package") / "app.zip", python_version=target_python.version)
