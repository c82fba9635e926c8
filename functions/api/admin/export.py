"""Jobs as a CSV file (RFC 4180) that is safe to open in a spreadsheet: no cell is a formula."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from api.admin.filters import MAX_JOBS, JobFilters
from api.admin.job_models import AdminJobView, admin_views
from queued_jobs.dashboard.search import JobQuery, JobSummary, Page
from queued_jobs.model import JobKey
from queued_jobs.offload import offload
from queued_jobs.tracker import JobTracker

MAX_ROWS = 50_000
_PATIENCE = timedelta(minutes=1)

_COLUMNS = (
    *("id", "kind", "label", "queue", "user_id", "user_name", "status", "attempt", "max_attempts", "created_at"),
    *("started_at", "finished_at", "wait_ms", "duration_ms"),
)
#: Spreadsheets may skip white space before a formula.
_FORMULA = re.compile(r"[\s\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
#: Without it, spreadsheets do not recognise UTF-8.
_BOM = "\ufeff"
_MAX_NAME = 120


def file_name(filters: JobFilters) -> str:
    """Return a name with the day in UTC and the filters, such as `jobs-2026-11-30-status-failed-user-ann.csv`."""
    words = [f"jobs {datetime.now(UTC):%Y-%m-%d}"]
    for name, value in filters.model_dump(mode="json", by_alias=True, exclude_defaults=True).items():
        words += [name, *(value if isinstance(value, list) else [str(value)])]
    return f"{re.sub('[^0-9A-Za-z_]+', '-', ' '.join(words))[:_MAX_NAME].strip('-')}.csv"


async def csv_pieces(tracker: JobTracker, query: JobQuery, first: Page, *, traces: bool) -> AsyncIterator[str]:
    """Yield the file page by page, starting with `first`, newest job first: up to 50,000 rows.

    A slow search with few matches ends after a minute, and the last line says so.
    """
    until = time.monotonic() + _PATIENCE.total_seconds()
    yield _BOM + _lines([[*_COLUMNS, "error_class", "error_message"]])
    page, left = first, MAX_ROWS
    while True:
        shown = page.jobs[:left]
        labels = await tracker.labels(shown)
        yield await offload(_lines_of, shown, labels)
        left -= len(shown)
        if page.next is None or left <= 0:
            return
        if time.monotonic() > until:
            yield _lines([["The search took too long and ends here: narrow the filters."]])
            return
        page = await tracker.search(query, before=page.next, limit=MAX_JOBS, traces=traces)


def _lines_of(jobs: Sequence[JobSummary], labels: Mapping[JobKey, str]) -> str:
    return _lines([_cells(view) for view in admin_views(jobs, labels, can_act=False)])


def _cells(view: AdminJobView) -> list[str]:
    error = ("", "") if view.error is None else (view.error.type, view.error.message)
    return [*(_cell(getattr(view, name)) for name in _COLUMNS), *map(_cell, error)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if _FORMULA.match(text) else text


def _lines(rows: list[list[str]]) -> str:
    # csv keeps a bare CR inside a quoted cell. Every cell is quoted: some programs split at semicolons and tabs as well
    lines = io.StringIO(newline="")
    csv.writer(lines, quoting=csv.QUOTE_ALL).writerows(rows)
    return lines.getvalue()
