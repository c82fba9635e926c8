"""Prints jobs, attempts and statistics in a terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from queued_jobs.audit import AuditEntry
from queued_jobs.cli.values import brief, exact, in_one_line, safe
from queued_jobs.dashboard.failures import FailureGroup
from queued_jobs.dashboard.histogram import Percentiles
from queued_jobs.dashboard.search import JobSummary
from queued_jobs.dashboard.stats import KindStats, Stats
from queued_jobs.dashboard.workers import RunningJob
from queued_jobs.model import Attempt, JobError, JobStatus, QueuedJob
from queued_jobs.redact import redact_json
from queued_jobs.schedules import Schedule

#: Minimum width for a column with the error.
_WIDE = 110
_NARROWEST = 80
#: Width of a pipe, whose readers need complete lines.
_PIPE_WIDTH = 1_000

_COLOURS = {
    JobStatus.PENDING: "cyan",
    JobStatus.RUNNING: "blue",
    JobStatus.RETRYING: "yellow",
    JobStatus.SUCCEEDED: "green",
    JobStatus.FAILED: "red",
    JobStatus.CANCELLED: "magenta",
    JobStatus.ABORTED: "red",
}


def make_console() -> Console:
    """Return a console of the terminal's width, at least that of an id; lines to a pipe are not truncated."""
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = max(console.width, _NARROWEST)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    return console


def print_jobs(console: Console, jobs: Sequence[JobSummary], now: datetime) -> None:
    """Print one line per job. The id is never truncated, since other commands need it."""
    wide, endless = console.width >= _WIDE, console.width >= _PIPE_WIDTH
    id_width = max(len(str(job.id)) for job in jobs)
    kind_width = max(4, *(len(job.kind) for job in jobs))
    user_width = max(4, *(len(in_one_line(job.user_id)) for job in jobs))
    if not endless:
        kind_width = min(kind_width, 24 if wide else 15)
        left = console.width - sum((id_width, 9, kind_width, 6, 4))  # the widths of the others, and the gaps
        user_width = min(user_width, 24 if wide else left)
    happening_width = console.width - sum((id_width, 9, kind_width, user_width, 6, 5, 6))
    table = _table()
    for name, width in (("ID", id_width), ("STATUS", 9), ("KIND", kind_width), ("USER", user_width)):
        table.add_column(name, no_wrap=True, min_width=width)
    table.add_column("AGE", no_wrap=True, justify="right", min_width=6)
    if wide:
        table.add_column("TRIES", no_wrap=True, min_width=5)
        table.add_column("ERROR OR PROGRESS", no_wrap=True)
    for job in jobs:
        row: list[str | Text] = [
            str(job.id),
            _status(job.status),
            _beginning(job.kind, kind_width),
            # if all names have the same issuer as prefix, their ends differ
            _ending(in_one_line(job.user_id), user_width),
            brief(now - job.created_at),
        ]
        if wide:
            row += [f"{job.attempt}/{job.max_attempts}", _beginning(_happening(job), happening_width)]
        table.add_row(*row)
    console.print(table)


def print_job(console: Console, job: QueuedJob, attempts: Sequence[Attempt]) -> None:
    """Print all data of one job."""
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(job):
        facts.add_row(name, value)
    console.print(facts)
    for title, body in (("Request", job.request), ("Result", job.result)):
        if body is not None:
            _heading(console, title)
            console.print(Text(safe(json.dumps(redact_json(body), indent=2, ensure_ascii=False), 20_000)))
    if attempts:
        _heading(console, "Attempts")
        table = _table()
        for name in ("TRY", "OUTCOME", "STARTED", "WAITED", "RAN"):
            table.add_column(name, no_wrap=True)
        table.add_column("ERROR", overflow="fold")
        for one in attempts:
            table.add_row(
                str(one.attempt),
                one.outcome or "running",
                exact(one.started_at).removesuffix(" UTC"),
                brief(one.started_at - one.due_at),
                brief(one.ended_at - one.started_at if one.ended_at else None),
                _error(one.error),
            )
        console.print(table)
    if job.error is not None and job.error.traceback:
        _heading(console, "Traceback")
        console.print(Text(safe(job.error.traceback, 20_000)))


def print_stats(console: Console, stats: Stats, groups: Sequence[FailureGroup]) -> None:
    """Print counts, durations and failures."""
    console.print(Text(f"{exact(stats.since)} to {exact(stats.until)}"))
    rows = [*stats.kinds.items(), *([("all kinds", stats.total)] if len(stats.kinds) != 1 else [])]
    _heading(console, "Jobs")
    table = _table("KIND", overflow="ellipsis")
    for name in ("CREATED", "DONE", "FAILED", "RETRIED", "RUNNING", "WAITING", "OLDEST", "LATER"):
        table.add_column(name, no_wrap=True, justify="right")
    for kind, one in rows:
        table.add_row(in_one_line(kind), *_counts(one, stats.until))
    console.print(table)
    _heading(console, "How long attempts waited and ran" + ("" if stats.exact else " (estimates, within 28%)"))
    table = _table("KIND", overflow="ellipsis")
    for name in ("WAIT P50", "P95", "P99", "RUN P50", "P95", "P99"):
        table.add_column(name, no_wrap=True, justify="right")
    for kind, one in rows:
        table.add_row(in_one_line(kind), *_percentiles(one.durations.wait), *_percentiles(one.durations.run))
    console.print(table)
    if groups:
        _heading(console, "Failures")
        table = _table("TIMES", overflow="fold")
        table.add_column("LAST", no_wrap=True, justify="right")
        table.add_column("ERROR", overflow="fold", ratio=1)
        table.add_column("EXAMPLE", no_wrap=True, min_width=36)
        for group in groups:
            error = JobError(type=group.type, message=group.message)
            table.add_row(str(group.failures), brief(stats.until - group.last_at), _error(error), str(group.example))
        console.print(table)


def print_audit(console: Console, entries: Sequence[AuditEntry]) -> None:
    """Print one line per action."""
    table = _table("NUMBER")
    for name in ("WHEN", "WHO", "ROLE", "ACTION", "CHANGED", "OUTCOME"):
        table.add_column(name, no_wrap=True)
    table.add_column("FILTER", overflow="fold")
    for entry in entries:
        facts = (entry.subject, entry.role, entry.action, "-" if entry.changed is None else str(entry.changed))
        filters = json.dumps(redact_json(entry.filter), ensure_ascii=False)
        table.add_row(str(entry.id), exact(entry.at), *map(in_one_line, (*facts, entry.outcome, filters)))
    console.print(table)


def print_schedules(console: Console, schedules: Sequence[Schedule]) -> None:
    """Print one line per kind. Its name is never truncated, since the other command needs it."""
    table = _table("KIND")
    for name in ("LAST RUN", "NEXT RUN", "SCHEDULE (UTC)"):
        table.add_column(name, no_wrap=True)
    for one in schedules:
        last = "-" if one.last_at is None else exact(one.last_at)
        table.add_row(one.kind, last, exact(one.next_at), one.expression)
    console.print(table)


def print_workers(console: Console, running: Sequence[RunningJob], now: datetime) -> None:
    """Print one line per attempt. The id is never truncated, since other commands need it."""
    table = _table("ID", min_width=max(len(str(job.id)) for job in running))
    for name, width in (("KIND", 4), ("SINCE", 6), ("LEASE", 7)):
        table.add_column(name, no_wrap=True, min_width=width)
    table.add_column("WORKER", no_wrap=True)
    for job in running:
        lease = "overdue" if job.is_overdue else brief(job.lease_until - now)
        table.add_row(str(job.id), job.kind, brief(now - job.started_at), lease, in_one_line(job.worker_id or "-"))
    console.print(table)


def _table(first: str | None = None, **options: Any) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    if first is not None:
        table.add_column(first, no_wrap=True, **options)
    return table


def _beginning(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _ending(text: str, width: int) -> str:
    return text if len(text) <= width else f"…{text[1 - width :]}"


def _heading(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, style="bold underline"))


def _status(status: JobStatus) -> Text:
    return Text(str(status), style=_COLOURS.get(status, ""))


def _error(error: JobError | None) -> str:
    return "" if error is None else in_one_line(f"{error.type}: {error.message}", 300)


def _happening(job: JobSummary) -> str:
    if job.status is JobStatus.RUNNING:
        stopping = "asked to stop" if job.cancel_requested else ""
        share = "" if job.progress is None else f"{job.progress:.0%}"
        return " ".join(part for part in (stopping, share, in_one_line(job.progress_message or "")) if part)
    return _error(job.error)


def _facts(job: QueuedJob) -> Iterable[tuple[str, Text]]:
    yield "id", Text(str(job.id))
    status = _status(job.status)
    if job.cancel_requested and job.status is JobStatus.RUNNING:
        status.append(", asked to stop")
    yield "status", status
    yield "kind", Text(in_one_line(f"{job.kind} (version {job.schema_version})"))
    yield "queue", Text(in_one_line(job.queue))
    yield "user", Text(in_one_line(job.user_id if job.user_name is None else f"{job.user_name} ({job.user_id})"))
    yield "tries", Text(f"{job.attempt} of {job.max_attempts}")
    if job.lost_count:
        yield "lost", Text(f"{job.lost_count} lost workers")
    if job.progress is not None and job.status is JobStatus.RUNNING:
        yield "progress", Text(f"{job.progress:.0%} {in_one_line(job.progress_message or '')}".strip())
    if job.error is not None:
        yield "error", Text(_error(job.error))
    for name in ("parent_id", "idempotency_key", "unique_key", "traceparent"):
        if getattr(job, name) is not None:
            yield name.replace("_", " "), Text(in_one_line(getattr(job, name)))
    yield "created", Text(exact(job.created_at))
    if not job.status.is_final:
        yield "due", Text(exact(job.available_at))
    if job.started_at is not None:
        yield "started", Text(f"{exact(job.started_at)}, after {brief(job.waited)} of waiting")
    if job.finished_at is not None:
        ran = "" if job.ran_for is None else f", after {brief(job.ran_for)}"
        yield "finished", Text(exact(job.finished_at) + ran)
    if job.status is JobStatus.RUNNING:
        yield "worker", Text(in_one_line(f"{job.worker_id}, its lease ends {exact(job.lease_until)}"))
    elif job.sent_gen < job.dispatch_gen and not job.status.is_final:
        yield "message", Text("not sent yet, the sweeper will send it")


def _counts(one: KindStats, now: datetime) -> list[str]:
    counts, backlog = one.counts, one.backlog
    oldest = brief(None if backlog.waiting_since is None else now - backlog.waiting_since)
    numbers = (counts.created, counts.succeeded, counts.failed, counts.retried, backlog.running, backlog.waiting)
    return [*map(str, numbers), oldest, str(backlog.delayed)]


def _percentiles(values: Percentiles | None) -> list[str]:
    return ["-"] * 3 if values is None else [brief(values.p50), brief(values.p95), brief(values.p99)]
