"""Which lines of the host a developer sees: what jobs do, and what goes wrong."""

from __future__ import annotations

import re

from tools.local_stack.process import Emit

#: Each request, and each message and timer beside the job's own lines.
_ROUTINE = re.compile(r"^[0-9:]{8} info host\.invoke (\[[0-9a-f-]+\] )?(Executing|Executed) '")
_FAILED = re.compile(r", status [45]\d\d$")
_STEP = re.compile(r"^[0-9:]{8} info queued_jobs\.\S+ .*: executing$")


def quiet(emit: Emit) -> Emit:
    """Return `emit` without routine lines of the host."""

    def emit_news(name: str, line: str) -> None:
        if name == "host" and is_routine(line):
            return
        emit(name, line)

    return emit_news


def is_routine(line: str) -> bool:
    """Return whether the line reports a request that succeeded, a trigger, or the start of a job."""
    return bool(_STEP.search(line) or (_ROUTINE.search(line) and not _FAILED.search(line)))
