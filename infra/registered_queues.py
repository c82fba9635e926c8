"""The queues of the function app's kinds of jobs: a new file in functions/jobs/ adds its queues."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pulumi

from queued_jobs.registry import JobRegistry

_FUNCTIONS = Path(__file__).resolve().parent.parent / "functions"


def registered_queues() -> tuple[str, ...]:
    """Return the names of all queues, each followed by its poison queue.

    Raises `pulumi.RunError` with the file and line of an invalid kind.
    """
    if str(_FUNCTIONS) not in sys.path:
        # first on the path, since this folder has modules with the same names
        sys.path.insert(0, str(_FUNCTIONS))
    try:
        import jobs

        registry = JobRegistry.from_package(jobs)
    except Exception as error:  # a job file may raise anything while it is imported
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise pulumi.RunError(
            f"{_place(error)}: {reason.rstrip('.')}. Fix the file and check that ./scripts/dev starts."
        ) from error
    return tuple(name for queue in registry.queues for name in (queue, f"{queue}-poison"))


def _place(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_FUNCTIONS)]
    return f"{ours[-1].filename}, line {ours[-1].lineno}" if ours else str(_FUNCTIONS / "jobs")
