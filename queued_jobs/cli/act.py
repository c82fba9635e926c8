"""The commands that change something: retry, cancel, redrive, pause, resume, prune, migrate."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import timedelta
from typing import Annotated, Literal

import typer

from queued_jobs.cli.options import Account, Filters, Store, Yes, command
from queued_jobs.cli.problems import WrongUsage
from queued_jobs.cli.system import CountingQueues, System, check_connection_string, connect_queues, connected
from queued_jobs.cli.values import in_one_line, parse_duration, parse_id
from queued_jobs.dashboard.search import Cursor, JobQuery
from queued_jobs.model import JobStatus
from queued_jobs.schema import migrate as apply_migrations
from queued_jobs.tracker import ANY_USER

Verb = Literal["retry", "cancel"]
_DONE = {"retry": "retried", "cancel": "cancelled or asked to stop"}
_BATCH = 500

Kind = Annotated[str, typer.Argument(metavar="KIND", help="The kind of the jobs.")]
FromStart = Annotated[bool, typer.Option("--from-start", help="Delete what the job has saved, so it starts over.")]
JobId = Annotated[str | None, typer.Argument(metavar="[ID]", show_default=False, help="One job, or use filters.")]


@command
async def retry(
    filters: Filters,
    store: Store,
    account: Account,
    job_id: JobId = None,
    yes: Yes = False,
    from_start: FromStart = False,
) -> None:
    """Run a failed, aborted or cancelled job again, or all that match the filters.

    Jobs that have saved a cursor resume there.
    """
    if from_start and job_id is None:
        raise WrongUsage("--from-start applies to one job; pass its id")
    await _act("retry", store, account, filters, job_id, yes, from_start=from_start)


@command
async def cancel(filters: Filters, store: Store, account: Account, job_id: JobId = None, yes: Yes = False) -> None:
    """Cancel a waiting job and ask a running one to stop, or all that match the filters."""
    await _act("cancel", store, account, filters, job_id, yes)


@command
async def redrive(
    store: Store,
    account: Account,
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="Without -poison.")],
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of messages.")] = 1_000,
) -> None:
    """Move messages from a poison queue back to its queue. The jobs' rows decide what happens; safe to repeat."""
    queue = queue.removesuffix("-poison")
    async with connect_queues(account) as queues, connected(store) as system:
        async with system.acting("redrive", queue=queue, limit=limit) as acting:
            moved = acting.changed = await queues.redrive(queue, limit=limit)
        (depth,) = await queues.depths(queue)
    _say(f"{moved} of {moved + depth.poison} messages moved from {queue}-poison to {queue}.")


@command
async def pause(store: Store, kind: Kind) -> None:
    """Start no further job of a kind until it is resumed. Running jobs continue; waiting jobs keep their order."""
    async with connected(store) as system:
        async with system.acting("pause", kind=kind):
            paused = await system.pauses.pause(kind, subject=system.subject)
        count = await system.tracker.count(JobQuery(kind=kind).cancellable())
    at_least = "" if count.exact else "at least "
    _say(f"{kind} is paused since {paused.since:%Y-%m-%d %H:%M} UTC; {at_least}{count_jobs(count.number)} unfinished.")


@command
async def resume(store: Store, account: Account, kind: Kind) -> None:
    """Start the jobs of a paused kind again, the oldest first."""
    async with connected(store, account) as system, system.acting("resume", kind=kind):
        paused = await system.pauses.resume(kind)
    _say(f"{kind} was not paused." if paused is None else f"{kind} is resumed.")
    report_unsent(system.queues)


@command
async def prune(
    store: Store,
    older_than: Annotated[str, typer.Option(metavar="LENGTH", help="Minimum time since the jobs ended: 30d.")],
    with_results: Annotated[
        bool,
        typer.Option(
            "--with-results", help="Also delete jobs that still have a result. Its data, such as a blob, stays."
        ),
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete jobs that ended long ago. The statistics stay. The sweeper does this automatically."""
    age = parse_duration(older_than)
    async with connected(store) as system:
        which = "every job" if with_results else "every job without a result"
        confirm(f"Delete {which} that ended more than {older_than} ago?", yes)
        async with system.acting("prune", older_than=older_than, with_results=with_results) as acting:
            acting.changed = await _prune(system, age, with_results=with_results)
    _say(f"{count_jobs(acting.changed or 0)} deleted.")


async def _prune(system: System, age: timedelta, *, with_results: bool) -> int:
    while with_results and (batch := await system.repository.expiring(older_than=age, limit=_BATCH)):
        await system.repository.expire([job.id for job in batch])
    deleted = 0
    while True:
        # jobs that are not in the statistics are not deleted
        tallied = await system.repository.tally(limit=_BATCH)
        number = await system.repository.prune(older_than=age, limit=_BATCH)
        noted = await system.repository.prune_notes(older_than=age, limit=_BATCH)
        deleted += number
        if not tallied.attempts and not tallied.more and not number and not noted:
            return deleted


@command
async def migrate(store: Store) -> None:
    """Apply missing migrations. Needs a role that may create tables; safe to repeat."""
    applied = await apply_migrations(check_connection_string(store), store.tables())
    for name in applied:
        _say(f"applied {name}")
    if not applied:
        _say("The database is up to date.")


async def _act(
    verb: Verb,
    store: Store,
    account: Account,
    filters: Filters,
    job_id: str | None,
    yes: bool,
    *,
    from_start: bool = False,
) -> None:
    if (job_id is None) is not filters.given:
        raise WrongUsage(f"pass the id of a job, or filters; see: queued-jobs {verb} --help")
    if job_id is None:
        await _act_on_all(verb, store, account, filters, yes)
        return
    key = parse_id(job_id, store.tables().key_type)
    async with connected(store, account) as system, system.acting(verb, id=key) as acting:
        if verb == "retry":
            job = await system.tracker.retry(key, user_id=ANY_USER, from_start=from_start)
        else:
            job = await system.tracker.cancel(key, user_id=ANY_USER)
        acting.changed = 1
    if verb == "cancel" and job.status is JobStatus.RUNNING:
        _say(f"{key} was asked to stop at its next checkpoint.")
    else:
        _say(f"{key} is {job.status}.")
    report_unsent(system.queues)


async def _act_on_all(verb: Verb, store: Store, account: Account, filters: Filters, yes: bool) -> None:
    query = filters.query()
    query = query.retryable() if verb == "retry" else query.cancellable()
    async with connected(store, account) as system:
        count = await system.tracker.count(query)
        if count.number == 0 and count.exact:
            _say(f"No matching job can be {_DONE[verb]}.")
            return
        confirm(f"{verb.capitalize()} {'' if count.exact else 'at least '}{count_jobs(count.number)}?", yes)
        act = system.tracker.retry_all if verb == "retry" else system.tracker.cancel_all
        changed, refused = 0, Counter[str]()
        place: Cursor | None = None
        async with system.acting(f"{verb}-all", **filters.as_given()) as acting:
            while True:
                # nothing newer than the count, so that only confirmed jobs are changed
                report = await act(query, as_of=count.as_of, before=place)
                changed += report.changed
                acting.changed = changed
                refused.update(report.refused)
                place = report.next
                if place is None:
                    break
    _say(f"{count_jobs(changed)} {_DONE[verb]}.")
    for reason, number in refused.most_common():
        _say(f"{count_jobs(number)} skipped: {reason}")
    report_unsent(system.queues)


def confirm(question: str, yes: bool) -> None:
    """Ask on the terminal. Raises `WrongUsage` without one, and `Abort` for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise WrongUsage(f"{question} This needs a confirmation, but there is no terminal; pass --yes")
    typer.confirm(in_one_line(question), abort=True, err=True)


def report_unsent(queues: CountingQueues) -> None:
    """Say how many messages are left for the sweeper, if any."""
    if queues.unsent:
        number = "1 message was" if queues.unsent == 1 else f"{queues.unsent:,} messages were"
        reason = sorted(queues.reasons)[0].splitlines()[0].rstrip(".")
        _say(f"{number} not sent and will be sent by the sweeper: {in_one_line(reason, 200)}.")


def count_jobs(number: int) -> str:
    """Return a number of jobs in words."""
    return "1 job" if number == 1 else f"{number:,} jobs"


def _say(text: str) -> None:
    sys.stdout.write(f"{in_one_line(text)}\n")
