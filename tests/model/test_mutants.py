"""The walks and the tests are worth something: each of these faults, made on purpose, is noticed.

`-v` ends with a list of what noticed each one, and how soon.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.model.code_mutants import CODE_MUTANTS
from tests.model.mutation import broken_function, broken_statement, found_by_check, found_by_walks
from tests.model.sql_mutants import SQL_MUTANTS
from tests.model.store import Store

Note = Callable[[str], None]

#: What a mutant lets wait for ever has shown it after this, and twenty times what its check takes without it.
PATIENCE = timedelta(seconds=2)

_SQL = [(statement, fault) for statement, faults in SQL_MUTANTS.items() for fault in faults]


def test_without_a_mutant_the_same_walks_find_nothing(store: Store) -> None:
    assert found_by_walks(store) is None


@pytest.mark.parametrize(("statement", "fault"), _SQL, ids=[f"{name} {fault}" for name, fault in _SQL])
def test_a_broken_statement_is_noticed(store: Store, statement: str, fault: str, note_catch: Note) -> None:
    with broken_statement(store, statement, *SQL_MUTANTS[statement][fault]):
        started = time.monotonic()
        found = found_by_walks(store)
    assert found is not None, "nobody noticed"
    note_catch(f"{time.monotonic() - started:.2f} s, {found}")


@pytest.mark.parametrize("fault", CODE_MUTANTS)
def test_broken_code_is_noticed(store: Store, fault: str, note_catch: Note) -> None:
    mutant = CODE_MUTANTS[fault]
    if mutant.check is not None:
        started = time.monotonic()
        assert asyncio.run(found_by_check(mutant.check)) is None, "the check fails without the mutant"
        within = PATIENCE + 20 * timedelta(seconds=time.monotonic() - started)
    with broken_function(mutant.module, mutant.function, mutant.old, mutant.new):
        started = time.monotonic()
        if mutant.check is None:
            found = found_by_walks(store)
        else:
            found = asyncio.run(found_by_check(mutant.check, within=within))
    assert found is not None, "nobody noticed"
    note_catch(f"{time.monotonic() - started:.2f} s, {found}")
