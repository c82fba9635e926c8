"""What Postgres does for a statement, as EXPLAIN tells it, and the searches of the dashboard."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from psycopg import Connection

from queued_jobs import JobStatus
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.database import Row
from queued_jobs.schema import statement


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


class Plan:
    """What a statement did, by EXPLAIN ANALYZE."""

    def __init__(self, conn: Connection[Row], name: str, params: Mapping[str, Any]) -> None:
        rows = conn.execute(
            b"explain (analyze, buffers, timing off, format json) " + statement(name), params, prepare=False
        ).fetchone()
        assert rows is not None
        self.top = rows["QUERY PLAN"][0]["Plan"]
        self.pages = self.top["Shared Hit Blocks"] + self.top["Shared Read Blocks"]

    @property
    def scanned(self) -> set[str]:
        """Tables that were read from end to end."""
        return {node["Relation Name"] for node in nodes(self.top) if node["Node Type"].endswith("Seq Scan")}

    @property
    def looked_at(self) -> int:
        """The most rows that one of its steps looked at."""
        return max(
            int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
            for node in nodes(self.top)
        )

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in nodes(self.top) if "Index Name" in node}


def queries(sample: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    job, half = sample["job"], sample["half"]
    return {
        "kind": {"kind": job["kind"]},
        "rare kind": {"kind": "ledger-close"},
        "unknown kind": {"kind": "nothing"},
        "failed": {"statuses": frozenset({JobStatus.FAILED})},
        "ended badly": {"statuses": frozenset({JobStatus.FAILED, JobStatus.ABORTED, JobStatus.CANCELLED})},
        "running": {"statuses": frozenset({JobStatus.RUNNING})},
        "active": {"statuses": frozenset({JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RETRYING})},
        "user": {"user_id": job["user_id"]},
        "user with most": {"user_id": sample["top"]},
        "unknown user": {"user_id": "nobody"},
        "from": {"created_from": half},
        "through": {"created_before": half},
        "error": {"error_type": job["error"]["type"]},
        "unknown error": {"error_type": "Nothing"},
        "retried": {"attempts_over": 1},
        "much retried": {"attempts_over": 4},
        "never so often": {"attempts_over": 40},
        "id": {"id_prefix": str(job["id"])},
        "id prefix": {"id_prefix": job["id"].hex[:10]},
    }


def combined(sample: Mapping[str, Any]) -> Iterator[tuple[str, JobQuery]]:
    alone = queries(sample)
    yield "nothing", JobQuery()
    for name, filters in alone.items():
        yield name, JobQuery(**filters)
    for (one, filters), (other, more) in itertools.combinations(alone.items(), 2):
        if filters.keys().isdisjoint(more):
            yield f"{one} + {other}", JobQuery(**filters, **more)
