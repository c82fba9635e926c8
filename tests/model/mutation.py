"""Breaks one thing for a while, and tells what noticed."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from operator import attrgetter
from types import CodeType, FunctionType

import psycopg
import pytest

from queued_jobs.errors import JobsError, StoreRefused
from queued_jobs.schema import render_sql, source
from tests.model.drivers import WalkFailed, walks
from tests.model.store import Store

#: These walks notice most mutants, so they come first; another order only takes longer.
_BEST = (9, 12, 17, 8, 7, 5)
#: Enough for every mutant; without one, none of these walks finds anything.
SEEDS = (*_BEST, *(seed for seed in range(1, 61) if seed not in _BEST))

#: A mutant that raises these is not wrong but nonsense: its place in the table is.
_NONSENSE = (psycopg.ProgrammingError, StoreRefused, NameError, AttributeError, TypeError, ImportError)


class NotAMutant(Exception):
    """The text is not there, or its replacement is not valid code."""


@contextmanager
def broken_statement(store: Store, name: str, old: str, new: str) -> Iterator[None]:
    """Let the store run another text of a statement, with all places replaced."""
    text = source(name).decode()
    if old not in text:
        raise NotAMutant(f"{name}.sql does not hold {old!r}")
    store.database.mutants = {name: render_sql(text.replace(old, new).encode())}
    try:
        yield
    finally:
        store.database.mutants = {}


@contextmanager
def broken_function(module: str, name: str, old: str, new: str) -> Iterator[None]:
    """Swap the code inside a function or method, so that whoever imported it runs the other code too."""
    function = attrgetter(name)(importlib.import_module(module))
    if not isinstance(function, FunctionType):
        function = function.__func__
    lines, first = inspect.getsourcelines(function)
    text = "".join(lines)
    if text.count(old) != 1:
        raise NotAMutant(f"{module}.{name} holds {old!r} {text.count(old)} times, not once")
    path = function.__code__.co_filename
    with open(path) as file:
        around = file.readlines()
    around[first - 1 : first - 1 + len(lines)] = [text.replace(old, new)]
    try:
        code = next(code for code in _codes(compile("".join(around), path, "exec")) if code.co_qualname == name)
    except SyntaxError as exc:
        raise NotAMutant(f"{new!r} is no code: {exc}") from exc
    original = function.__code__
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = original


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def found_by_walks(store: Store) -> str | None:
    """Return what the walks find, or None. Raises `NotAMutant` for nonsense."""
    try:
        walks(store, Counter(), SEEDS)
    except WalkFailed as exc:
        if isinstance(exc.__cause__, _NONSENSE):
            raise NotAMutant(f"the mutant is nonsense: {exc.__cause__}") from exc
        return str(exc).splitlines()[0]
    return None


async def found_by_check(check: Callable[[], Awaitable[None]], *, within: timedelta | None = None) -> str | None:
    """Return how a check fails, or None; not to have ended within that time is a failure too.

    Raises `NotAMutant` for nonsense.
    """
    try:
        async with asyncio.timeout(None if within is None else within.total_seconds()):
            await check()
    except _NONSENSE as exc:
        raise NotAMutant(f"the mutant is nonsense: {exc!r}") from exc
    except (AssertionError, JobsError, OSError, pytest.fail.Exception) as exc:
        return f"{type(exc).__name__}: {exc}".splitlines()[0]
    return None
