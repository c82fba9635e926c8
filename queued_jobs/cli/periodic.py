"""The commands for kinds with a schedule: list them, and start one now."""

from __future__ import annotations

import sys
from dataclasses import asdict
from uuid import uuid4

from queued_jobs.cli.act import Kind, report_unsent
from queued_jobs.cli.look import print_json
from queued_jobs.cli.options import Account, AsJson, Store, command
from queued_jobs.cli.problems import WrongUsage
from queued_jobs.cli.system import connected
from queued_jobs.cli.tables import make_console, print_schedules
from queued_jobs.cli.work import App, find_manager


@command
async def schedules(store: Store, app: App, as_json: AsJson = False) -> None:
    """List the kinds that start automatically, with their last and their next run."""
    registry = find_manager(app).registry
    async with connected(store) as system:
        found = await system.schedules(registry).all()
    if as_json:
        print_json({"schedules": [asdict(one) for one in found]})
    elif found:
        print_schedules(make_console(), found)
    else:
        sys.stderr.write("No kind has a schedule.\n")


@command
async def run_now(store: Store, account: Account, kind: Kind, app: App) -> None:
    """Start the job of a schedule's latest occurrence once more. The schedule does not move."""
    registry = find_manager(app).registry
    async with connected(store, account) as system, system.acting("run-now", kind=kind) as acting:
        runner = registry.get(kind)
        if runner is None or runner.schedule is None:
            raise WrongUsage(f"the kind {kind!r} has no schedule")
        handle = await system.schedules(registry).run_now(kind, key=uuid4().hex)
        acting.changed = 1
    sys.stdout.write(f"{handle.id} is {handle.job.status}.\n")
    report_unsent(system.queues)
