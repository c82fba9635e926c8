"""Which code this is: the build of the package gives it a name, and the app tells it to whoever deploys."""

from __future__ import annotations

from pathlib import Path
from typing import Final


def _read(path: Path) -> str | None:
    return path.read_text().strip() if path.exists() else None


#: None in a checkout. Read at the start of the process: the file may be newer than the code that runs.
CODE_VERSION: Final = _read(Path(__file__).with_name("code_version.txt"))
