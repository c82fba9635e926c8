"""The Python that the deployment package is for, where this machine has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from infra.publish.bundle import PYTHON_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPython:
    """An interpreter and its version. `is_the_target` = it is the one that the app runs on in Azure."""

    executable: Path
    version: str

    @property
    def is_the_target(self) -> bool:
        return self.version == PYTHON_VERSION


def find_target_python() -> TargetPython:
    """Return the target's interpreter, from PATH or from pyenv; else the one that runs us."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(f"python{PYTHON_VERSION}")
    for found in ([Path(on_path)] if on_path else []) + sorted(pyenv.glob(f"{PYTHON_VERSION}.*/bin/python")):
        if _version(found) == PYTHON_VERSION:
            return TargetPython(executable=found, version=PYTHON_VERSION)
    return TargetPython(executable=Path(sys.executable), version=_version(Path(sys.executable)))


def _version(executable: Path) -> str:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([executable, "-c", program], capture_output=True, text=True, check=False).stdout.strip()
