"""The read-only commands: list, show, stats, workers, audit."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter

from queued_jobs.audit import NEWEST
from queued_jobs.cli.options import AsJson, Filters, Store, command
from queued_jobs.cli.problems import WrongUsage
from queued_jobs.cli.system import connected
from queued_jobs.cli.tables import make_console, print_audit, print_job, print_jobs, print_stats, print_workers
from queued_jobs.cli.values import parse_duration, parse_id
from queued_jobs.dashboard.search import Cursor
from queued_jobs.redact import redact_json
from queued_jobs.tracker import ANY_USER

_MAX_GROUPS = 10
_SHORTEST, _MAX_LENGTH = timedelta(minutes=1), timedelta(days=400)
_ANY: TypeAdapter[Any] = TypeAdapter(Any)


@command
async def list_jobs(
    filters: Filters,
    store: Store,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Maximum number of jobs.")] = 20,
    before: Annotated[
        str | None,
        typer.Option(metavar="ID", show_default=False, help="Show the page that follows this job."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    query = filters.query()
    async with connected(store) as system:
        cursor = None
        if before is not None:
            cursor = Cursor.after(await system.tracker.get(parse_id(before, store.tables().key_type), user_id=ANY_USER))
        page = await system.tracker.search(query, before=cursor, limit=limit)
        now = await system.repository.now()
    following = None if page.next is None else str(page.next.id)
    if as_json:
        print_json({"jobs": [asdict(job) for job in page.jobs], "next": following})
        return
    if page.jobs:
        print_jobs(make_console(), page.jobs, now)
    elif following is None:
        sys.stderr.write("No job matches.\n")
    if following is not None:
        sys.stderr.write(f"There may be more; run the command again with --before {following}\n")


@command
async def show(
    store: Store,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The full id, from `queued-jobs list`.")],
    as_json: AsJson = False,
) -> None:
    """Show one job: its request, its result, its attempts and their errors."""
    key = parse_id(job_id, store.tables().key_type)
    async with connected(store) as system:
        job = await system.tracker.get(key, user_id=ANY_USER)
        attempts = await system.tracker.attempts(key, user_id=ANY_USER)
    if as_json:
        print_json(asdict(job) | {"attempts": [asdict(attempt) for attempt in attempts]})
    else:
        print_job(make_console(), job, attempts)


@command
async def stats(
    store: Store,
    window: Annotated[str, typer.Option(metavar="LENGTH", help="How far back: 90m, 24h, 7d, up to 400d.")] = "24h",
    as_json: AsJson = False,
) -> None:
    """Count created and ended jobs, measure waits and run times, and group failures."""
    length = parse_duration(window)
    if not _SHORTEST <= length <= _MAX_LENGTH:
        raise WrongUsage(f"--window is {window}; use 1m to 400d")
    async with connected(store) as system:
        figures = await system.tracker.stats(window=length, bucket=_bucket(length))
        failures = await system.tracker.failures(window=length)
    if as_json:
        print_json({"stats": asdict(figures), "failures": asdict(failures)})
    else:
        print_stats(make_console(), figures, failures.groups[:_MAX_GROUPS])


@command
async def audit(
    store: Store,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Maximum number of entries.")] = 20,
    before: Annotated[
        int | None,
        typer.Option(
            min=1, max=NEWEST, metavar="NUMBER", show_default=False, help="Show the page that follows this entry."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what admins and operators did, newest first."""
    async with connected(store) as system:
        entries = await system.audit.entries(before=before, limit=limit)
    if as_json:
        print_json({"entries": [asdict(entry) for entry in entries]})
    elif entries:
        print_audit(make_console(), entries)
    else:
        sys.stderr.write("Nothing was recorded.\n")


@command
async def workers(store: Store, as_json: AsJson = False) -> None:
    """List what workers run now, and until when their leases last. Idle workers are not listed."""
    async with connected(store) as system:
        found = await system.tracker.workers()
        now = await system.repository.now()
    if as_json:
        print_json(asdict(found))
    elif found.running:
        print_workers(make_console(), found.running, now)
    else:
        sys.stderr.write("No worker runs a job.\n")
    if found.more:
        sys.stderr.write(f"There are more; these are {len(found.running)}.\n")


def _bucket(window: timedelta) -> timedelta:
    if window < timedelta(hours=8):
        return timedelta(minutes=1)
    return timedelta(hours=1) if window <= timedelta(days=7) else timedelta(days=1)


def print_json(value: Any) -> None:
    """Print a value as JSON, with secrets masked."""
    plain = redact_json(_ANY.dump_python(value, mode="json"))
    sys.stdout.write(json.dumps(plain, indent=2) + "\n")
