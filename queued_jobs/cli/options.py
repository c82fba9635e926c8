"""Options that several commands share, each group as one dataclass."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, get_type_hints
from uuid import UUID

import typer

from queued_jobs.cli.values import parse_moment
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.model import JobStatus
from queued_jobs.schema import TABLES, Tables


class Keys(StrEnum):
    """The type of job ids."""

    UUID = "uuid"
    BIGINT = "bigint"


class Pooler(StrEnum):
    """What is between this command and Postgres."""

    NONE = "none"
    TRANSACTION = "transaction"


def _connection(help_text: str, **options: Any) -> Any:
    return typer.Option(help=help_text, rich_help_panel="Connections", **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The database and its tables."""

    database_url: Annotated[
        str,
        _connection(
            "The Postgres database with the jobs. Prefer the variable for a password.",
            envvar="DATABASE_URL",
            metavar="URL",
            show_default=False,
        ),
    ] = ""
    schema: Annotated[str, _connection("Schema of the tables.", metavar="NAME")] = TABLES.schema
    prefix: Annotated[str, _connection("Prefix of the tables' names.", metavar="NAME")] = TABLES.prefix
    keys: Annotated[Keys, _connection("Type of the ids.", metavar="uuid|bigint")] = Keys.UUID
    pooler: Annotated[
        Pooler,
        _connection(
            "`transaction` if the URL leads to PgBouncer in transaction mode.",
            envvar="DATABASE_POOLER",
            metavar="none|transaction",
        ),
    ] = Pooler.NONE

    def tables(self) -> Tables:
        try:
            return Tables(schema=self.schema, prefix=self.prefix, key_type=int if self.keys is Keys.BIGINT else UUID)
        except ValueError as exc:
            raise typer.BadParameter(str(exc)) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The storage account."""

    queues: Annotated[
        str,
        _connection(
            "The storage account with the queues: its connection string (prefer the variable), or its https URL "
            "to use your Azure sign-in.",
            envvar=["QueuesConn", "QueuesConn__queueServiceUri"],
            metavar="ACCOUNT",
            show_default=False,
        ),
    ] = ""


def _filter(help_text: str, metavar: str, **options: Any) -> Any:
    return typer.Option(help=help_text, metavar=metavar, rich_help_panel="Filters", show_default=False, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Filters for jobs: all that are passed must match."""

    kind: Annotated[str | None, _filter("Jobs of this kind.", "KIND")] = None
    status: Annotated[
        list[JobStatus] | None, _filter("Jobs in this state; repeat it for several.", "STATUS", case_sensitive=False)
    ] = None
    user: Annotated[str | None, _filter("Jobs of this user.", "USER")] = None
    user_name: Annotated[str | None, _filter("With this text in the owner's name.", "TEXT")] = None
    queue: Annotated[str | None, _filter("Jobs of this queue.", "QUEUE")] = None
    created_from: Annotated[
        datetime | None,
        _filter(
            "Created then or later: 2026-01-31, 2026-01-31T18:00 (UTC), or an age: 24h.", "WHEN", parser=parse_moment
        ),
    ] = None
    created_before: Annotated[datetime | None, _filter("Created before that time.", "WHEN", parser=parse_moment)] = None
    error_type: Annotated[str | None, _filter("With a last error of this class.", "CLASS")] = None
    attempts_over: Annotated[int | None, _filter("Started more often than this.", "NUMBER")] = None
    text: Annotated[str | None, _filter("With this text in the request or the error.", "TEXT")] = None
    id_prefix: Annotated[str | None, _filter("With an id that begins with these digits.", "DIGITS")] = None

    @property
    def given(self) -> bool:
        return bool(self.as_given())

    def as_given(self) -> dict[str, Any]:
        """Return the filters that were passed, by name."""
        passed = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in passed.items() if value not in (None, [])}

    def query(self) -> JobQuery:
        return JobQuery(
            kind=self.kind,
            statuses=frozenset(self.status) if self.status else None,
            user_id=self.user,
            user_name=self.user_name,
            queue=self.queue,
            created_from=self.created_from,
            created_before=self.created_before,
            error_type=self.error_type,
            attempts_over=self.attempts_over,
            text=self.text,
            id_prefix=self.id_prefix,
        )


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

_GROUPS: tuple[type[Any], ...] = (Filters, Store, Account)


def command(body: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Convert a coroutine function to a typer command: each argument that is a group becomes the group's options."""
    hints = get_type_hints(body, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if hint in _GROUPS}
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
        for name, parameter in inspect.signature(body).parameters.items()
        if name not in groups
    ]
    for group in groups.values():
        group_hints = get_type_hints(group, include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=group_hints[field.name]
            )
            for field in dataclasses.fields(group)
        ]

    @functools.wraps(body)
    def run(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in dataclasses.fields(group)})
        asyncio.run(body(**values))  # type: ignore[arg-type]

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
