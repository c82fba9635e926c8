"""The SQL of the store, one statement a file; the folder listing is the list of what can happen to a job.

The files are written for the schema `queued_jobs`. In them `job_key` stands for the type of a job's key, and
`job_columns` and `attempt_columns` for the columns that a `QueuedJob` or an `Attempt` is read from. A star would stand
for the columns of the table instead, and a server refuses a prepared statement whose columns have changed since.
"""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from importlib.resources import files

from queued_jobs.model import Attempt, QueuedJob
from queued_jobs.tables import TABLES, Tables

_COLUMNS = {
    b"job_columns": tuple(field.name for field in dataclasses.fields(QueuedJob)),
    b"attempt_columns": tuple(field.name for field in dataclasses.fields(Attempt)),
}
_PLACE = re.compile(rb"(?P<table>\b\w+\.)?\b(?P<columns>%s)\b" % b"|".join(_COLUMNS))


def source(name: str) -> bytes:
    """Return the text of `sql/statements/<name>.sql` as it is written."""
    return files("queued_jobs").joinpath("sql", "statements", f"{name}.sql").read_bytes()


def rendered(text: bytes, tables: Tables = TABLES) -> bytes:
    """Return the text of a statement for these tables, with its columns named."""
    return tables.rendered(_PLACE.sub(_named, text))


@cache
def statement(name: str, tables: Tables = TABLES) -> bytes:
    """Return the statement in `sql/statements/<name>.sql` for these tables."""
    return rendered(source(name), tables)


@cache
def migrations(tables: Tables = TABLES) -> tuple[tuple[int, str, bytes], ...]:
    """Return (number, name, text) of every migration, in order."""
    found = [
        path for path in files("queued_jobs").joinpath("sql", "migrations").iterdir() if path.name.endswith(".sql")
    ]
    return tuple(
        (int(path.name.split("_")[0]), path.name.removesuffix(".sql"), tables.rendered(path.read_bytes()))
        for path in sorted(found, key=lambda path: path.name)
    )


def _named(place: re.Match[bytes]) -> bytes:
    table = place["table"] or b""
    return b", ".join(table + name.encode() for name in _COLUMNS[place["columns"]])
