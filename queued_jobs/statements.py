"""The SQL of the store, one statement a file; the folder listing is the list of what can happen to a job."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> bytes:
    """Return the text of `sql/statements/<name>.sql`."""
    return files("queued_jobs").joinpath("sql", "statements", f"{name}.sql").read_bytes()


@cache
def migrations() -> tuple[tuple[int, str, bytes], ...]:
    """Return (number, name, text) of every migration, in order."""
    found = [
        path for path in files("queued_jobs").joinpath("sql", "migrations").iterdir() if path.name.endswith(".sql")
    ]
    return tuple(
        (int(path.name.split("_")[0]), path.name.removesuffix(".sql"), path.read_bytes())
        for path in sorted(found, key=lambda path: path.name)
    )
