"""The queues that the function app's kinds of jobs ask for: a file in functions/jobs/ is all that a new one takes."""

from __future__ import annotations

import sys
from pathlib import Path

from queued_jobs import JobRegistry

_FUNCTIONS = Path(__file__).resolve().parent.parent / "functions"


def registered_queues() -> tuple[str, ...]:
    """Return the names of all queues, each followed by its poison queue. Raises what a broken job file raises."""
    if str(_FUNCTIONS) not in sys.path:
        # first, since this folder has modules with the same names
        sys.path.insert(0, str(_FUNCTIONS))
    import jobs

    return tuple(name for queue in JobRegistry.from_package(jobs).queues for name in (queue, f"{queue}-poison"))
