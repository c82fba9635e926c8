"""actionlint, which checks the workflows: the one on PATH, or one built once from its Go modules, like the engine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tools.rehearsal.pulumi_engine import EngineMissing, Say, find_go, folder_of, only_one, run_go

MODULE: Final = Path(__file__).resolve().parent / "linter"
PROGRAM: Final = "github.com/rhysd/actionlint/cmd/actionlint"


def find_or_build(say: Say, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the program. Building takes half a minute of processor time, once. Raises `EngineMissing`."""
    installed = shutil.which("actionlint", path=environment.get("PATH"))
    if installed is not None:
        return Path(installed)
    program = folder_of(MODULE, "actionlint", environment) / "actionlint"
    with only_one(program.parent, say, "actionlint"):
        if not program.exists():
            say("building actionlint, once: about half a minute ...")
            part = program.with_suffix(".part")
            flags = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-p", "2")
            command = ("build", *flags, "-o", str(part), PROGRAM)
            run_go(find_go(environment), environment, *command, module=MODULE, what="actionlint")
            # renamed at the end: an interrupted build leaves no broken program
            part.replace(program)
    return program


def _print(line: str) -> None:
    print(f"linter   | {line}", flush=True)


if __name__ == "__main__":
    try:
        find_or_build(_print)
    except EngineMissing as missing:
        _print(str(missing))
        sys.exit(2)
