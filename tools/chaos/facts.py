"""The facts known after a run: the rows, the attempts, and what the bodies recorded themselves."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import dict_row

from tools.chaos.world import World

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A line that a body wrote."""

    at: float
    event: Literal["start", "end"]
    gen: int
    pid: int
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that is audited, by the job's id."""

    jobs: dict[str, Row]
    attempts: dict[str, list[Row]]
    executions: dict[str, list[Execution]]
    effects: dict[str, list[str]]
    violations: list[tuple[str, str, str]]

    @classmethod
    def of(cls, world: World) -> Facts:
        with world.database() as conn, conn.cursor(row_factory=dict_row) as cursor:
            jobs = {str(row["id"]): row for row in cursor.execute("select * from queued_jobs.job").fetchall()}
            attempts: defaultdict[str, list[Row]] = defaultdict(list)
            for row in cursor.execute("select * from queued_jobs.attempt order by job_id, gen").fetchall():
                attempts[str(row["job_id"])].append(row)
            effects: defaultdict[str, list[str]] = defaultdict(list)
            for row in cursor.execute("select job_id, nonce from chaos.effect").fetchall():
                effects[str(row["job_id"])].append(row["nonce"])
            violations = [
                (str(row["rule"]), str(row["job_id"]), str(row["detail"]))
                for row in cursor.execute("select rule, job_id, detail from chaos.violation").fetchall()
            ]
        return cls(jobs=jobs, attempts=attempts, executions=_executions(world), effects=effects, violations=violations)

    def winner(self, key: str) -> Row | None:
        """Return the attempt whose result was stored."""
        return next((attempt for attempt in self.attempts[key] if attempt["outcome"] == "succeeded"), None)


def process_of(attempt: Row) -> int:
    """Return the id of the process that made the attempt."""
    return int(str(attempt["worker_id"]).rpartition(":")[2])


def _executions(world: World) -> dict[str, list[Execution]]:
    found: defaultdict[str, list[Execution]] = defaultdict(list)
    for line in world.executions.read_text().splitlines():
        at, event, key, gen, pid, nonce = line.split()
        kind: Literal["start", "end"] = "start" if event == "start" else "end"
        found[str(UUID(key))].append(Execution(at=float(at), event=kind, gen=int(gen), pid=int(pid), nonce=nonce))
    return found
