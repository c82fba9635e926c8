"""What each SQLSTATE means: try again, never try these values again, or a mistake of our own."""

from __future__ import annotations

import inspect

import psycopg
import pytest
from psycopg import errors

from queued_jobs._store_errors import as_store_errors
from queued_jobs.errors import StoreRefused, StoreUnavailable

AGAIN, NEVER, OURS = "again", "never", "ours"
#: By class, the first two characters: https://www.postgresql.org/docs/current/errcodes-appendix.html
CLASSES = {
    "08": AGAIN,  # connection
    "22": NEVER,  # data
    "28": AGAIN,  # who may connect: a password or token that is being replaced
    "40": AGAIN,  # rolled back
    "53": AGAIN,  # resources
    "54": NEVER,  # limits of the program
    "55": AGAIN,  # locks and prerequisites
    "57": AGAIN,  # an operator, a crash, a timeout
    "58": AGAIN,  # the system around it
    "F0": AGAIN,  # configuration files
    # of somebody's own functions, triggers and foreign tables: what these need may come back
    **dict.fromkeys(("27", "2F", "38", "39", "3B", "HV"), AGAIN),
}
#: Of the other classes nothing is known that would get better, or that a value is to blame for.
OTHERS = {
    *("02", "03", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "23", "24", "25", "26", "2B", "2D"),
    *("34", "3D", "3F", "42", "44", "72", "P0", "XX"),
}
#: Those that mean something else than their class.
STATES = {
    "23502": NEVER,  # null
    "23514": NEVER,  # a check
    "25006": AGAIN,  # a standby, until the failover is over
    "25P03": AGAIN,  # the session is gone
    "25P04": AGAIN,
}
ERRORS = [
    cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, psycopg.Error) and cls.sqlstate
]


def verdict(error: psycopg.Error) -> str:
    try:
        with as_store_errors():
            raise error
    except StoreUnavailable:
        return AGAIN
    except StoreRefused:
        return NEVER
    except psycopg.Error:
        return OURS


def test_every_state_is_sorted() -> None:
    assert len(ERRORS) > 200
    for cls in ERRORS:
        state = str(cls.sqlstate)
        wanted = STATES.get(state) or CLASSES.get(state[:2]) or (OURS if state[:2] in OTHERS else "unsorted")
        assert verdict(cls("x")) == wanted, (cls.__name__, state)


@pytest.mark.parametrize("cls", [psycopg.OperationalError, psycopg.InterfaceError])
def test_without_a_state_the_connection_is_gone(cls: type[psycopg.Error]) -> None:
    assert verdict(cls("x")) == AGAIN
