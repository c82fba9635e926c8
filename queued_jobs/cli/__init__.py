"""The `queued-jobs` command: shows jobs and acts on them, in any database of the library."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command with the process's arguments. Returns its exit code: 0, 1 for a failure, 2 for a usage error."""
    try:
        from queued_jobs.cli.app import run
    except ModuleNotFoundError as exc:
        missing = (exc.name or "").partition(".")[0]
        if missing not in ("rich", "typer"):
            raise
        sys.stderr.write(f"queued-jobs: {missing} is not installed; run: pip install 'queued-jobs[cli]'\n")
        return 1
    return run()
