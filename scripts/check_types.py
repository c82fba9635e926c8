"""Run mypy. A new checkout starts with the cache of the last one that passed, which saves a minute of analysis."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".mypy_cache"


def main() -> int:
    """Return mypy's exit code. mypy compares contents, so that a cache of other code is slower and never wrong."""
    kept = kept_cache()
    if not CACHE.exists() and kept.exists():
        _copy(kept, CACHE)
    code = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT).returncode
    if code == 0:
        _copy(CACHE, kept)
    return code


def kept_cache() -> Path:
    """Return where the cache is kept for all checkouts of a user: another folder for each version of mypy."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "queued-jobs" / f"mypy-{version('mypy')}"


def _copy(source: Path, target: Path) -> None:
    """Replace a folder by a copy of another one; a concurrent reader finds the earlier one, the new one or none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}-", dir=target.parent) as part:
        shutil.copytree(source, Path(part) / "new")
        if target.exists():
            target.rename(Path(part) / "old")
        (Path(part) / "new").rename(target)


if __name__ == "__main__":
    sys.exit(main())
