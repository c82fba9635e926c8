"""P1-P15 over a real Postgres: 300 random walks and 300 sequences that Hypothesis chose, of 40 moves each.

A walk that finds something names its seed; with `MODEL_SEED=<seed>` the walks start there.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from tests.model.drivers import explore, walks
from tests.model.store import Store

SEQUENCES = 300
#: As many walks again, where chance has left out a rare transition.
MAX_MORE = 2_000
#: A model that never gets somewhere proves nothing about what happens there.
TRANSITIONS = {
    "add": "pending",
    "claim": "running",
    "heartbeat": "running",
    "save": "running",
    "succeed": "succeeded",
    "fail": "retrying failed cancelled",
    "finish_cancelled": "cancelled",
    "release": "pending retrying cancelled",
    "rescue": "retrying failed aborted cancelled",
    "not_due": "pending retrying",
    "hold": "pending retrying",
    "wake_paused": "pending retrying",
    "no_handler": "pending retrying aborted",
    "resend_silent": "pending retrying",
    "poisoned": "pending retrying aborted",
    "poisoned_unmarked": "pending retrying",
    "cancel": "running cancelled",
    "requeue": "pending",
    "mark_seen": "succeeded failed cancelled aborted",
    "clear": "succeeded failed cancelled aborted",
    "undo_clear": "succeeded failed cancelled aborted",
    "prune": "gone",
}


@pytest.fixture(scope="module")
def seen() -> Counter[str]:
    """How often each transition was made and found to be right, in all tests of this module."""
    return Counter()


def test_random_walks(store: Store, seen: Counter[str]) -> None:
    first = int(os.environ.get("MODEL_SEED") or random.SystemRandom().randrange(1, 10**9))
    walks(store, seen, range(first, first + SEQUENCES))


def test_sequences_that_hypothesis_chooses(store: Store, seen: Counter[str]) -> None:
    explore(store, seen, SEQUENCES)


def test_every_transition_was_seen(store: Store, seen: Counter[str]) -> None:
    assert seen, "this test looks at what the others of its module did: run them all"
    wanted = {f"{name} -> {status}" for name, statuses in TRANSITIONS.items() for status in statuses.split()}
    first = random.SystemRandom().randrange(1, 10**9)
    for more in range(first, first + MAX_MORE, 10):  # the rarest are seen in one of about a hundred walks
        if wanted <= set(seen):
            break
        walks(store, seen, range(more, more + 10))
    assert wanted == set(seen), f"never seen: {wanted - set(seen)}; not in the list: {set(seen) - wanted}"
