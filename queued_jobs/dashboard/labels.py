"""The labels of the jobs in a list, which their kinds make from the requests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final

from queued_jobs._arguments import check_type
from queued_jobs.dashboard.search import JobSummary
from queued_jobs.database import Database, Row
from queued_jobs.model import JobKey
from queued_jobs.offload import offload
from queued_jobs.registry import JobRegistry

#: Bytes of a request, as stored, that are read for a label.
MAX_REQUEST: Final = 1024 * 1024
#: Jobs whose requests are in memory at once.
_BATCH: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Labelled:
    """The part of a job that its label is made from."""

    id: JobKey
    kind: str
    schema_version: int
    request: Mapping[str, Any]


async def read_labels(database: Database, registry: JobRegistry, jobs: Sequence[JobSummary]) -> dict[JobKey, str]:
    """Return the label of each job, as its owner sees it; the kind if the job is gone, or its request is too large."""
    check_type("jobs", jobs, Sequence)
    for job in jobs:
        check_type("jobs", job, JobSummary)
    labels = {job.id: job.kind for job in jobs}
    kinds = dict(labels)
    for some in batched(labels, _BATCH, strict=False):
        rows = await database.rows("labels", {"ids": list(some), "most": MAX_REQUEST})
        labels |= await offload(_labels_of, rows, kinds, registry)
    return labels


def _labels_of(rows: Iterable[Row], kinds: Mapping[JobKey, str], registry: JobRegistry) -> dict[JobKey, str]:
    """Run code of the kinds, and parse requests: slow for many jobs."""
    return {
        row["id"]: registry.label(
            _Labelled(
                id=row["id"],
                kind=kinds[row["id"]],
                schema_version=row["schema_version"],
                request=json.loads(row["request"]),
            )
        )
        for row in rows
        if row["request"] is not None
    }
