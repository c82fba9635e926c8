"""Jobs of any kind and state, put straight into the table."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ERROR = {"type": "ValueError", "message": "line 3 is bad", "traceback": "Traceback (most recent call last):\n  ..."}
_WAITING = ("pending", "retrying")


def store(url: str, count: int = 1, *, since: datetime = NOON, **columns: Any) -> list[str]:
    """Store jobs a minute apart, the first created at `since`: failed ones, unless the columns say otherwise.

    They waited two seconds and ran for three. Returns their ids, oldest first.
    """
    status = columns.get("status", "failed")
    values: dict[str, Any] = {
        "kind": "packer",
        "queue": "packer",
        "user_id": "ann",
        "request": {"prefix": "a"},
        "status": status,
        "attempt": 3,
        "dispatch_gen": 3,
        "sent_gen": 3,
        "error": ERROR if status in ("failed", "aborted") else None,
        "finished_at": None if status in (*_WAITING, "running") else since + timedelta(seconds=5),
        **columns,
    }
    if status == "running":
        later = datetime.now(UTC) + timedelta(hours=1)
        values |= {"lease_token": "5ce2fd99-9aaa-4027-842a-01a20f7190cb", "lease_until": later, "deadline_at": later}
    for name in ("request", "result", "error"):
        if values.get(name) is not None:
            values[name] = json.dumps(values[name])
    statement = sql.SQL(
        "insert into queued_jobs.job (id, created_at, available_at, started_at, {names})"
        " select gen_random_uuid(), at, at, at + interval '2 s', {values}"
        " from (select {since} + n * interval '1 minute' from generate_series(0, {last}) n) due (at) returning id"
    ).format(
        names=sql.SQL(", ").join(map(sql.Identifier, values)),
        values=sql.SQL(", ").join(map(sql.Literal, values.values())),
        since=sql.Literal(since),
        last=sql.Literal(count - 1),
    )
    with psycopg.connect(url, autocommit=True) as connection:
        return [str(key) for (key,) in connection.execute(statement).fetchall()]
