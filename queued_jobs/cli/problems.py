"""Converts errors to one line with the reason and the remedy, and never a secret."""

from __future__ import annotations

import os
import sysconfig
import traceback

import psycopg
import typer
from psycopg import errors

from queued_jobs.errors import InvalidRequest, JobNotFound, JobsError
from queued_jobs.redact import text_of, to_storable_text

_MAX_LENGTH = 500
#: Where the code lies that is not the application's: this library, what it depends on, and Python.
_OTHERS_CODE = (
    os.path.dirname(os.path.dirname(__file__)) + os.sep,
    *{sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    "<",  # such as <frozen importlib._bootstrap>
)
FAILURE, WRONG_USAGE = 1, 2


class WrongUsage(typer.TyperException):
    """The command was called with invalid or dangerous arguments."""

    exit_code = WRONG_USAGE


def explain(error: Exception) -> tuple[str, int]:
    """Return the line to print for an error, and the exit code."""
    message, code = _explain(error)
    return to_storable_text(" ".join(message.split()), _MAX_LENGTH), code


def _explain(error: Exception) -> tuple[str, int]:
    if isinstance(error, typer.TyperException):
        return _with_help(error), error.exit_code
    if isinstance(error, InvalidRequest):
        return str(error), WRONG_USAGE
    if isinstance(error, JobNotFound):
        return "there is no such job in this database", FAILURE
    if isinstance(error, JobsError):
        return str(error), FAILURE
    place = application_place(error)
    if place:
        return f"the application raised {type(error).__name__}: {text_of(error)} ({place})", FAILURE
    if isinstance(
        error, (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn, errors.UndefinedFunction)
    ):
        return f"{_first_line(error)}; bring the database up to date: queued-jobs migrate", FAILURE
    if isinstance(error, errors.InsufficientPrivilege):
        return f"{_first_line(error)}; use a role with this privilege in --database-url", FAILURE
    if isinstance(error, psycopg.OperationalError):
        return f"no connection to Postgres: {error}; check --database-url and whether the server runs", FAILURE
    if isinstance(error, psycopg.Error):
        return f"Postgres refused: {_first_line(error)}", FAILURE
    if isinstance(error, OSError) and error.strerror:
        return error.strerror, FAILURE
    return f"{type(error).__name__}: {text_of(error)}; this is a bug in queued-jobs, please report it", FAILURE


def application_place(error: BaseException) -> str | None:
    """Return FILE:LINE of the application's code that raised the error or its cause, or called what did; or None."""
    link: BaseException | None = error
    while link is not None:
        for place in reversed(traceback.extract_tb(link.__traceback__)):
            if not place.filename.startswith(_OTHERS_CODE):
                return f"{os.path.basename(place.filename)}:{place.lineno}"
        link = link.__cause__
    return None


def _with_help(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)  # typer's own errors know their command
    message = error.format_message()
    return f"{message.rstrip('.')}; see: {context.command_path} --help" if context and message else message


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
