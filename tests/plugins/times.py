"""How long each test file takes: kept in the repository for a new checkout, and measured by each whole run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What a new checkout starts with, in seconds on two cores. To renew it, copy `MEASURED` over it after a whole run.
COMMITTED = ROOT / "tests" / "times.json"
MEASURED = ROOT / ".local" / "test-times.json"


def expected_times() -> dict[str, float]:
    """Return the seconds of each known file: as measured here, else as committed."""
    return _read(COMMITTED) | _read(MEASURED)


def keep(times: Mapping[str, float]) -> None:
    """Write down what was measured, for the next run; files that did not run keep their times."""
    known = {**_read(MEASURED), **{name: round(seconds, 1) for name, seconds in times.items()}}
    existing = {name: seconds for name, seconds in sorted(known.items()) if (ROOT / name).exists()}
    MEASURED.parent.mkdir(exist_ok=True)
    part = MEASURED.with_suffix(".part")
    part.write_text(json.dumps(existing, indent=1) + "\n")
    part.replace(MEASURED)


def _read(path: Path) -> dict[str, float]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): float(seconds) for name, seconds in found.items()} if isinstance(found, dict) else {}
