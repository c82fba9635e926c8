"""The real Postgres under the model: two connections, statements that can be swapped, and replies that can get lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import psycopg
from psycopg import AsyncConnection, Connection, sql
from psycopg.rows import dict_row

from queued_jobs import QueuedJob
from queued_jobs.database import Database, Row
from queued_jobs.errors import StoreRefused, StoreUnavailable
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.model import JobKey
from queued_jobs.schema import statement

TIMES = (
    "created_at",
    "available_at",
    "next_send_at",
    "lease_until",
    "deadline_at",
    "started_at",
    "finished_at",
    "seen_at",
    "cleared_at",
    "poisoned_until",
    "paused_at",
)
#: One statement for all, since this is asked after every move. Which transaction wrote a row tells whether it is known.
_SNAPSHOT = """
    select clock_timestamp() as now_here, (select count(*) from queued_jobs.rejected_message) as rejected_here,
           (select count(*) from queued_jobs.attempt) as claims_here,
           (select array_agg(id) from queued_jobs.job) as ids_here, job.xmin::text as written_by, history.claims, job.*
    from (select) one left join queued_jobs.job on job.xmin::text <> all(%s) left join lateral (
      select jsonb_agg(jsonb_build_array(gen, attempt, lease_token, outcome, error->>'type') order by gen) as claims
      from queued_jobs.attempt where job_id = job.id) history on true"""


#: What each sweep asks too, and the model says nothing about: statistics and rows of other tables.
_BESIDE_JOBS = {
    "prune_audit",
    "prune_rejected",
    "prune_runs",
    "prune_uses",
    "queue_ages",
}


class DirectDatabase(Database):
    """`Database` over one connection without a pool, several times as fast; each coroutine runs without a pause.

    It answers statements beside the jobs with no rows, without asking the server.

    Attributes
    ----------
    mutants
        Texts to run instead of the library's, by the name of the statement.
    refused, unheard
        Names of statements that fail once: before the server carries them out, or after it did.
    used
        Whether any statement was carried out since the last snapshot.
    """

    def __init__(self, connection: Connection[Row]) -> None:
        super().__init__("")
        self._own = connection
        self.mutants: Mapping[str, bytes] = {}
        self.refused: set[str] = set()
        self.unheard: set[str] = set()
        self.used = False
        self._unmarked: list[Reserved] = []

    def unmarked(self) -> list[Reserved]:
        """Return what senders could not mark since the last call."""
        found, self._unmarked = self._unmarked, []
        return found

    async def rows(
        self,
        name: str,
        params: Mapping[str, Any],
        *,
        conn: AsyncConnection[Any] | None = None,
        within: timedelta | None = None,
    ) -> list[Row]:
        if name in self.refused:
            self.refused.remove(name)
            if name == "mark_sent":
                self._unmarked += [
                    Reserved(message=JobMessage(id=key, gen=gen), queue="demo", delay=timedelta(), until=until)
                    for key, gen, until in zip(params["ids"], params["gens"], params["untils"], strict=True)
                ]
            raise StoreUnavailable(f"{name} did not reach the server")
        if name in _BESIDE_JOBS:
            return []
        self.used = True
        connection = self._own if conn is None else cast("Connection[Row]", conn)
        try:
            cursor = connection.execute(self.mutants.get(name) or statement(name), params)
        except psycopg.DataError as exc:
            raise StoreRefused(f"Postgres refused a value: {exc}") from exc
        # not `cursor.description`, which is built again each time it is read
        rows = cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []
        if name in self.unheard:
            self.unheard.remove(name)
            raise StoreUnavailable(f"the reply to {name} was lost")
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that is stored, and the database's clock."""

    now: datetime
    jobs: Mapping[JobKey, QueuedJob]
    #: [generation, attempt, lease token, outcome, error type] of every claim of a job.
    claims: Mapping[JobKey, Sequence[list[Any]]]
    #: Of all jobs together, deleted ones too.
    claim_count: int
    rejected_count: int


@dataclass(frozen=True, slots=True)
class _Known:
    """A job's row and claims, and the transaction that wrote the row."""

    written_by: str
    row: QueuedJob
    claims: Sequence[list[Any]]


class Store:
    """One migrated database for many sequences."""

    def __init__(self, url: str) -> None:
        self._own = _connect(url)
        self._caller = _connect(url)
        self.database = DirectDatabase(self._own)
        self._known: dict[JobKey, _Known] = {}

    def close(self) -> None:
        self._own.close()
        self._caller.close()

    @property
    def caller(self) -> Connection[Row]:
        """The connection in which producers and bodies have transactions of their own."""
        return self._caller

    def empty(self) -> None:
        self._own.execute("delete from queued_jobs.job")
        self._own.execute("delete from queued_jobs.rejected_message")
        self._own.execute("delete from queued_jobs.pause")
        self.database.refused.clear()
        self.database.unheard.clear()

    def snapshot(self) -> Snapshot:
        """Read what was written since the last snapshot; rows that no transaction wrote are as they were."""
        self.database.used = False
        rows = self._own.execute(_SNAPSHOT, (list({known.written_by for known in self._known.values()}),)).fetchall()
        for row in rows:
            if row["id"] is not None:
                self._known[row["id"]] = _Known(row["written_by"], QueuedJob.from_row(row), row["claims"] or ())
        self._known = {key: self._known[key] for key in rows[0]["ids_here"] or ()}
        return Snapshot(
            now=rows[0]["now_here"],
            jobs={key: known.row for key, known in self._known.items()},
            claims={key: known.claims for key, known in self._known.items()},
            claim_count=rows[0]["claims_here"],
            rejected_count=rows[0]["rejected_here"],
        )

    def let_pass(self, span: timedelta) -> None:
        """Let time pass for every job: subtract it from all stored times."""
        self._own.execute(_EVERYTHING_EARLIER, (span,) * len(TIMES))

    def move(self, key: JobKey, span: timedelta, *columns: str) -> None:
        """Subtract a span from these times of one job; null stays null."""
        changes = sql.SQL(", ").join(sql.SQL("{0} = {0} - %s").format(sql.Identifier(column)) for column in columns)
        update = sql.SQL("update queued_jobs.job set {} where id = %s").format(changes)
        self._own.execute(update, (*[span] * len(columns), key))

    def set_resend_count(self, key: JobKey, count: int) -> None:
        self._own.execute("update queued_jobs.job set resend_count = %s where id = %s", (count, key))


_EVERYTHING_EARLIER = sql.SQL("update queued_jobs.job set {}").format(
    sql.SQL(", ").join(sql.SQL("{0} = {0} - %s").format(sql.Identifier(column)) for column in TIMES)
)


def _connect(url: str) -> Connection[Row]:
    return psycopg.connect(
        url,
        autocommit=True,
        row_factory=dict_row,
        options="-c timezone=UTC -c plan_cache_mode=force_generic_plan",
        prepare_threshold=0,
    )
