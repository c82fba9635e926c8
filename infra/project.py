"""The Pulumi project: its name, which is also the namespace of its configuration, and its Pulumi version."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_NAME: Final = re.compile(r"""^name:\s*(?P<quote>["']?)(?P<name>[A-Za-z0-9_.-]+)(?P=quote)\s*(?:#.*)?$""", re.MULTILINE)


def name_in(text: str) -> str | None:
    """Return the name in the text of a Pulumi.yaml, or None. Does not need a YAML package."""
    found = _NAME.search(text)
    return found["name"] if found else None


def _own_name() -> str:
    try:
        name = name_in((ROOT / "Pulumi.yaml").read_text())
    except OSError as error:
        sys.exit(f"{error.filename} cannot be read; restore it with git")
    return name or sys.exit(
        f"{ROOT / 'Pulumi.yaml'} has no `name:` of letters, digits, dots, dashes; restore it with git"
    )


PROJECT: Final = _own_name()
#: Minimum version of the engine: that of the SDK in pyproject.toml, which may use newer features.
OLDEST_PULUMI: Final = (3, 270)


def key(name: str) -> str:
    """Return the full name of a key of the project's configuration."""
    return f"{PROJECT}:{name}"
