"""The queues that the function app's kinds of jobs ask for: a file in functions/jobs/ is all that a new one takes."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pulumi

from queued_jobs.registry import JobRegistry

_FUNCTIONS = Path(__file__).resolve().parent.parent / "functions"


def registered_queues() -> tuple[str, ...]:
    """Return the names of all queues, each followed by its poison queue.

    Raises `pulumi.RunError` that names the job file, and the line of it, which cannot be used.
    """
    if str(_FUNCTIONS) not in sys.path:
        # first, since this folder has modules with the same names
        sys.path.insert(0, str(_FUNCTIONS))
    try:
        import jobs

        registry = JobRegistry.from_package(jobs)
    except Exception as error:  # a job file may raise anything while it is imported
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise pulumi.RunError(
            f"{_place(error)}: {reason.rstrip('.')}. Mend the file, and see that ./scripts/dev starts with it."
        ) from error
    return tuple(name for queue in registry.queues for name in (queue, f"{queue}-poison"))


def _place(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_FUNCTIONS)]
    return f"{ours[-1].filename}, line {ours[-1].lineno}" if ours else str(_FUNCTIONS / "jobs")
