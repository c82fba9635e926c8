"""A statement that is broken on purpose, and the contract test that notices it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.contract.conftest import Helpers


class Mutant(NamedTuple):
    name: str
    old: str
    new: str
    check: Callable[[Helpers], Awaitable[None]]
