"""The command that erases a user."""

from __future__ import annotations

import asyncio
import sys
from time import monotonic
from typing import Annotated

import typer

from queued_jobs.cli.act import confirm, count_jobs
from queued_jobs.cli.options import Store, Yes, command
from queued_jobs.cli.system import connected
from queued_jobs.cli.work import App, find_manager
from queued_jobs.errors import JobConflict

User = Annotated[str, typer.Argument(metavar="USER", help="The user's id, as in `list`.")]
#: Seconds between two looks at jobs that were asked to stop.
_PAUSE = 2
#: Seconds without a deleted job after which the command gives up: longer than files that failed wait for the next try.
_PATIENCE = 120


@command
async def erase(
    store: Store,
    user: User,
    app: App,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the jobs.")] = False,
    yes: Yes = False,
) -> None:
    """Delete a user's jobs with the data of their results, and what your application stores for the user.

    Running jobs are asked to stop, and deleted when they have. Safe to interrupt and to repeat. Take away the user's
    right to sign in first: nothing keeps them from starting jobs again.
    """
    manager = find_manager(app)
    async with connected(store) as system:
        erasure = system.erasure(manager)
        count = await erasure.count(user)
        jobs = ("" if count.exact else "at least ") + count_jobs(count.number)
        if dry_run:
            sys.stdout.write(f"{jobs} would be deleted.\n")
            return
        confirm(f"Delete {jobs} of {user}, with their files?", yes)
        async with system.acting("erase", user_id=user) as acting:
            acting.changed = 0
            gives_up_at = monotonic() + _PATIENCE
            while True:
                erased = await erasure.erase(user)
                acting.changed += erased.jobs
                if erased.complete:
                    break
                if erased.jobs:
                    gives_up_at = monotonic() + _PATIENCE
                elif monotonic() > gives_up_at:
                    left = count_jobs(erased.left.number)
                    raise JobConflict(
                        f"{count_jobs(acting.changed)} deleted, {left} left: still running, the latest of a schedule, "
                        "or with files that cannot be removed. Run the command again later."
                    )
                sys.stderr.write(f"{acting.changed:,} deleted, {erased.left.number:,} left\n")
                await asyncio.sleep(_PAUSE)
    sys.stdout.write(f"{count_jobs(acting.changed)} deleted.\n")
