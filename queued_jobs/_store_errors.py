"""What psycopg's errors mean for a store: try again, or never try these values again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from queued_jobs._pool import PoolerFound
from queued_jobs.errors import StoreRefused, StoreUnavailable

_UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # a standby, until the failover has completed
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
)
#: Errors that the same values would always cause. Some of them are subclasses of OperationalError.
_REFUSED_VALUES = (
    psycopg.DataError,
    psycopg.errors.CheckViolation,
    psycopg.errors.NotNullViolation,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    psycopg.errors.TooManyArguments,
    psycopg.errors.TooManyColumns,
)
#: The server has rolled back, so running the statement again is safe.
TRY_AGAIN = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
#: Errors for a prepared statement that no longer fits its tables, or that the server has forgotten.
REFUSED = (psycopg.errors.FeatureNotSupported, psycopg.errors.InvalidSqlStatementName)
#: Errors that may follow when a table, type or function was replaced.
MAY_BE_REFUSED = (psycopg.ProgrammingError, psycopg.NotSupportedError, psycopg.InternalError)


@contextmanager
def as_store_errors() -> Iterator[None]:
    """Raise psycopg's errors as `StoreUnavailable` or `StoreRefused`; mistakes in SQL remain as they are."""
    try:
        yield
    except _REFUSED_VALUES as exc:
        raise StoreRefused(f"Postgres refused a value: {exc}") from exc
    except PoolerFound as exc:
        raise StoreUnavailable(str(exc)) from exc
    except (*_UNAVAILABLE, *TRY_AGAIN) as exc:
        raise StoreUnavailable(f"Postgres did not respond: {exc}") from exc
