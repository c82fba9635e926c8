"""Everything that can happen to the store, by actor."""

from __future__ import annotations

from tests.model.moves import people, producers, runners, stories, timer, workers
from tests.model.moves.registry import MOVES, Move

__all__ = ["MOVES", "Move", "people", "producers", "runners", "stories", "timer", "workers"]
