"""Who did what to jobs of others: a record of the actions of operators, in the log and in the database."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from queued_jobs._arguments import check_page, check_whole
from queued_jobs.database import Database
from queued_jobs.errors import JobsError
from queued_jobs.redact import redact_json, to_storable_text

logger = logging.getLogger(__name__)

DONE: Final = "done"
#: After all entries: where a list begins.
NEWEST: Final = 2**63 - 1
_MAX_TEXT = 200
_MAX_ITEMS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One action of an operator.

    Attributes
    ----------
    subject
        The id of the user, or `command:` and the name of the account that ran the command.
    filter
        What it was asked to change, without secrets.
    outcome
        `done`, or the class of the error.
    changed
        How many jobs or messages; None if unknown.
    """

    id: int
    at: datetime
    subject: str
    role: str
    action: str
    filter: Mapping[str, Any]
    outcome: str
    changed: int | None


@dataclass(slots=True)
class Action:
    """An action that is in progress; set `changed` when it is known."""

    changed: int | None = None


class AuditLog:
    """Records actions, and reads the records. The sweeper deletes them after 400 days."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def acting(self, subject: str, role: str, action: str, filters: Mapping[str, Any]) -> AsyncIterator[Action]:
        """Record the action of this block when it ends, even with an error.

        The log has a record in any case. If the database cannot store it, the action is not affected.
        """
        acting, outcome = Action(), "interrupted"
        try:
            yield acting
            outcome = DONE
        except Exception as exc:
            outcome = type(exc).__name__
            raise
        finally:
            await self._record(
                {
                    "subject": to_storable_text(subject, _MAX_TEXT) or "unknown",
                    "role": role,
                    "action": action,
                    "filter": _safe(filters),
                    "outcome": to_storable_text(outcome, _MAX_TEXT),
                    "changed": acting.changed,
                }
            )

    async def entries(self, *, before: int | None = None, limit: int = 50) -> list[AuditEntry]:
        """Return the newest entries, newest first, or those before an id: from 1, else it raises ValueError."""
        check_page(limit)
        if before is not None:
            check_whole("before", before, most=NEWEST)
        params = {"before": NEWEST if before is None else before, "limit": limit}
        return [AuditEntry(**row) for row in await self._database.rows("audited", params)]

    async def _record(self, entry: dict[str, Any]) -> None:
        logger.info(
            "audit: %s (%s) %s %s: %s, changed %s",
            *(entry[name] for name in ("subject", "role", "action", "filter", "outcome", "changed")),
        )
        try:
            await self._database.rows("audit", entry | {"filter": Jsonb(entry["filter"])})
        except (JobsError, psycopg.Error):
            logger.exception("could not store the audit record; it is in the log only")


def _safe(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters without secrets, and short."""
    safe: dict[str, Any] = redact_json({name: _short(value) for name, value in filters.items() if value is not None})
    return safe


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return to_storable_text(value, _MAX_TEXT)
    if isinstance(value, (list, tuple)):
        return [_short(item) for item in value[:_MAX_ITEMS]]
    return value if isinstance(value, (bool, int, float)) else to_storable_text(str(value), _MAX_TEXT)
