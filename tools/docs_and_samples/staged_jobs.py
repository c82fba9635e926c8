"""Jobs in any state, inserted into the database of a local run of the test app and pushed through its hub.

No worker touches them: they hold a lease of a day, or wait for a message that is not sent.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import jwt
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from uuid_utils import uuid7

from queued_jobs.model import JobStatus, QueuedJob
from queued_jobs.push.signalr import ConnectionString
from queued_jobs.push.view import JobView
from queued_jobs.registry import JobRegistry

_FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
_FAR = timedelta(days=1)
ZIP_RESULT = {
    "container": "results",
    "blob": "nowhere/1.zip",
    "fileName": "reports.zip",
    "files": 12,
    "bytes": 48_200_000,
    "zipBytes": 31_900_000,
    "skipped": [],
    "skippedCount": 0,
}


class Stage:
    """Inserts and changes jobs; each change has a new version and is pushed to the job's owner."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._database_url = settings["DATABASE_URL"]
        self._connection = self._connected()
        self._hub = ConnectionString.parse(settings["SIGNALR_CONNECTION"])
        self._http = httpx.Client(trust_env=False, timeout=60)
        if str(_FUNCTIONS) not in sys.path:
            sys.path.insert(0, str(_FUNCTIONS))  # as the host does
        from tools.test_app import jobs

        self._registry = JobRegistry.from_package(jobs)

    def connect(self) -> None:
        """Reconnect after the database was unavailable."""
        self._connection.close()
        self._connection = self._connected()

    def _connected(self) -> psycopg.Connection[dict[str, Any]]:
        return psycopg.connect(self._database_url, autocommit=True, row_factory=dict_row)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()
        self._http.close()

    def put(self, user_id: str, status: str = "pending", **columns: Any) -> UUID:
        """Store a job of this status, created now, and push it. Columns of the table may be given by name."""
        return self.put_many(user_id, 1, status, **columns)[0]

    def put_many(self, user_id: str, count: int, status: str = "pending", **columns: Any) -> list[UUID]:
        """Store several similar jobs, a second apart, the newest last; a push is sent only for a single job."""
        now = datetime.now(UTC)
        rows = []
        for number in range(count):
            created = now - timedelta(seconds=count - 1 - number)
            row = {
                "id": UUID(str(uuid7())),
                "kind": "packer",
                "queue": columns.get("kind", "packer"),
                "user_id": user_id,
                "request": {"prefix": "", "name": "reports"},
                "sent_gen": 1,
                "next_send_at": now + _FAR,
                "created_at": created,
                "available_at": created,
                "max_attempts": 3,
            }
            rows.append(row | _of_status(status, created) | columns)
        names = list(rows[0])
        statement = sql.SQL("insert into queued_jobs.job ({}) values ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(map(sql.Placeholder, names))
        )
        with self._connection.cursor() as cursor:
            cursor.executemany(statement, [_adapted(row) for row in rows])
        keys: list[UUID] = [row["id"] for row in rows]
        if count == 1:
            self.push(self.view(keys[0]), user_id)
        return keys

    def change(self, key: UUID, status: str | None = None, **columns: Any) -> None:
        """Change a job as its worker would, and push it."""
        values = ({} if status is None else _of_status(status, datetime.now(UTC), started=False)) | columns
        assignments = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values]
        statement = sql.SQL("update queued_jobs.job set {}, version = version + 1 where id = %(key)s").format(
            sql.SQL(", ").join(assignments)
        )
        self._connection.execute(statement, _adapted(values) | {"key": key})
        self.push(self.view(key), self._row(key)["user_id"])

    def view(self, key: UUID) -> dict[str, Any]:
        """Return the job as in pushes and lists."""
        return JobView.of(QueuedJob.from_row(self._row(key)), self._registry).to_json()

    def push(self, view: Mapping[str, Any], user_id: str) -> None:
        """Push any job to a user, without storing it."""
        self.send("job", view, user_id)

    def emit(self, key: UUID, *texts: str, topic: str = "log", skipped: int = 0) -> dict[str, Any]:
        """Store texts as output of the job; returns what is pushed then, for `send` as `chunks`."""
        self._connection.execute(
            "insert into queued_jobs.stream (job_id, gen, written, last_seq, ends_at) values (%s, 1, 0, 0, 0) "
            "on conflict do nothing",
            [key],
        )
        chunks = []
        for text in texts:
            row = self._connection.execute(
                "with head as (update queued_jobs.stream set last_seq = last_seq + 1, ends_at = ends_at + %(size)s "
                "where job_id = %(key)s returning last_seq, ends_at) "
                "insert into queued_jobs.chunk (job_id, seq, topic, text, skipped, starts_at) "
                "select %(key)s, last_seq, %(topic)s, %(text)s, %(skipped)s, ends_at - %(size)s from head "
                "returning seq, emitted_at",
                {"key": key, "topic": topic, "text": text, "skipped": skipped, "size": len(text.encode()) + 64},
            ).fetchone()
            if row is None:
                raise LookupError(f"The output of job {key} does not exist.")
            chunks.append(
                {
                    "seq": row["seq"],
                    "topic": topic,
                    "text": text,
                    "skipped": skipped,
                    "emittedAt": row["emitted_at"].isoformat(),
                }
            )
        return {"id": str(key), "after": chunks[0]["seq"] - 1, "last": chunks[-1]["seq"], "chunks": chunks}

    def send(self, target: str, argument: Mapping[str, Any], user_id: str) -> None:
        """Push anything to a user."""
        url = f"{self._hub.endpoint}/api/hubs/jobs/users/{quote(user_id, safe='')}/:send"
        token = jwt.encode({"aud": url, "exp": int(time.time()) + 60}, self._hub.access_key, algorithm="HS256")
        headers = {"Authorization": f"Bearer {token}"}
        body = {"target": target, "arguments": [argument]}
        self._http.post(url, params={"api-version": "2022-06-01"}, json=body, headers=headers).raise_for_status()

    def _row(self, key: UUID) -> dict[str, Any]:
        row = self._connection.execute("select * from queued_jobs.job where id = %s", [key]).fetchone()
        if row is None:
            raise LookupError(f"Job {key} does not exist.")
        return row


def _of_status(status: str, now: datetime, *, started: bool = True) -> dict[str, Any]:
    """The columns that go with a status."""
    values: dict[str, Any] = {"status": status, "lease_token": None, "lease_until": None, "deadline_at": None}
    if status == "running":
        values |= {"lease_token": uuid4(), "lease_until": now + _FAR, "deadline_at": now + _FAR}
    if status != "pending" and started:
        values |= {"started_at": now, "attempt": 1}
    if status == "retrying":
        values |= {"available_at": now + timedelta(minutes=2)}
    if JobStatus(status).is_final:
        values |= {"finished_at": now}
    if status == "succeeded":
        values |= {"result": ZIP_RESULT}
    if status in ("failed", "retrying"):
        values |= {"error": {"type": "FileNotFoundError", "message": "The blob uploads/q3/part-7.csv is not there."}}
    return values


def _adapted(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
