"""The SQL of the store, one statement a file; the folder listing is the list of what can happen to a job.

The files are written for the schema `queued_jobs`, and `job_key` stands for the type of a job's key.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from queued_jobs.tables import TABLES, Tables


@cache
def statement(name: str, tables: Tables = TABLES) -> bytes:
    """Return the text of `sql/statements/<name>.sql` for these tables."""
    return tables.rendered(files("queued_jobs").joinpath("sql", "statements", f"{name}.sql").read_bytes())


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
