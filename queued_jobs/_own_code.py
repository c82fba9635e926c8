"""Calls the application's own code, such as bodies and hooks: whatever it raises must not end the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from queued_jobs.redact import text_of


def call_contained[**P, T](function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function and return its result.

    Exceptions that would end an event loop, or be taken for a cancellation, such as `SystemExit`, become an error.
    """
    try:
        return function(*args, **kwargs)
    except StopIteration as exc:
        raise to_error(exc) from exc
    except Exception:
        raise
    except BaseException as exc:
        raise to_error(exc) from exc


async def await_contained(awaitable: Awaitable[Any]) -> Any:
    """Like `call_contained`, except that a cancellation is one."""
    try:
        return await awaitable
    except (Exception, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as exc:
        raise to_error(exc) from exc


def to_error(exc: BaseException) -> RuntimeError:
    """Return the error to report in place of an exception that would end the worker or be lost."""
    return RuntimeError(f"The application's code raised {type(exc).__name__}: {text_of(exc)}")
