"""L1-L4 over a real Postgres, and proof that the walks notice a line that is forgotten."""

from __future__ import annotations

import os
import random

import pytest

from tests.model import lines
from tests.model.drivers import WalkFailed
from tests.model.mutation import broken_statement
from tests.model.store import Store

WALKS = 80
#: Enough for every fault below; without one, none of these walks finds anything.
SEEDS = range(1, 61)


def test_random_walks(store: Store) -> None:
    first = int(os.environ.get("MODEL_SEED") or random.SystemRandom().randrange(1, 10**9))
    lines.walks(store, range(first, first + WALKS))


LINE_MUTANTS = {
    "the sweeper wakes nobody": (
        "wake_lines",
        "set next_send_at = clock_timestamp()",
        "set next_send_at = j.next_send_at",
    ),
    "the sweeper knows of one place a line": ("wake_lines", "coalesce(allowed.at_once, 1)", "1"),
    "the sweeper counts ended jobs as running": (
        "wake_lines",
        "and other.status = 'running')",
        "and other.status in ('running','succeeded'))",
    ),
    "more run than may": ("claim", "and (concurrency_key is null or exists", "and (true or exists"),
    "the newest goes first": (
        "claim",
        "(older.created_at, older.id) < (j.created_at, j.id)",
        "(older.created_at, older.id) > (j.created_at, j.id)",
    ),
    "a late mark hides a job in line": ("mark_sent", " and j.parked_at is null", ""),
    "who waits in line is not parked": ("wait_in_line", "parked_at = clock_timestamp(),", "parked_at = null,"),
}


@pytest.mark.parametrize("fault", LINE_MUTANTS)
def test_a_line_that_is_forgotten_is_noticed(store: Store, fault: str) -> None:
    with broken_statement(store, *LINE_MUTANTS[fault]), pytest.raises(WalkFailed, match=r"L[1-4]:"):
        lines.walks(store, SEEDS)
