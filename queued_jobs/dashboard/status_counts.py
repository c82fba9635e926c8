"""How many jobs that match the other filters have each status."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from queued_jobs._arguments import check_type
from queued_jobs.dashboard.search import COUNTED, JobQuery, find_rows
from queued_jobs.database import Database
from queued_jobs.model import JobStatus

#: Of each status, the newest of this many are counted: these numbers are read as often as the list.
COUNTED_OF_EACH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCount:
    """The number of matching jobs with one status; if not `exact`, there are or may be more."""

    number: int
    exact: bool


async def count_statuses(
    database: Database, query: JobQuery, *, traces: bool = True
) -> Mapping[JobStatus, StatusCount]:
    """Count each status up to 1,000, whatever statuses the query asks for.

    If a filter has no index, only the newest 1,000 of each status are looked at; for a text, as many as a search reads.
    """
    check_type("query", query, JobQuery)
    others = dataclasses.replace(query, statuses=None)
    if others.text is None:
        return {status: await _count(database, others, status) for status in JobStatus}
    rows, stopped_at = await find_rows(database, others, None, COUNTED + 1, traces)
    numbers = Counter(row["status"] for row in rows)
    is_all = stopped_at is None and len(rows) <= COUNTED
    return {status: _capped(numbers[status], is_all=is_all) for status in JobStatus}


async def _count(database: Database, others: JobQuery, status: JobStatus) -> StatusCount:
    # one statement for each, since only for a constant status do partial indexes apply
    query = dataclasses.replace(others, statuses=frozenset({status}))
    examined = COUNTED_OF_EACH + 1
    (row,) = await database.planned_rows("count", query.to_params(None, database.tables) | {"examined": examined})
    return _capped(row["found"], is_all=row["examined"] < examined)


def _capped(number: int, *, is_all: bool) -> StatusCount:
    return StatusCount(number=min(number, COUNTED_OF_EACH), exact=is_all and number <= COUNTED_OF_EACH)
