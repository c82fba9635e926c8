"""The list of everything that can happen to the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.model.world import World

Act = Callable[..., Awaitable[None]]

#: A number that picks from whatever list a move looks at.
AT = range(10_000)
#: Who acts on a job: its owner, another user, or an admin.
WHO = ("owner", "owner", "stranger", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Something that happens, the values that each of its parameters can have, and how often it is chosen."""

    act: Act
    choices: Mapping[str, Sequence[Any]]
    weight: int

    async def __call__(self, world: World, **chosen: Any) -> None:
        """Do it and compare the store with what is expected."""
        await self.act(world, **chosen)
        world.check()


async def refuses(error: type[Exception], call: Awaitable[object]) -> None:
    """Await a call that has to raise this error."""
    try:
        answer = await call
    except error:
        return
    raise AssertionError(f"{error.__name__} was expected, not the answer {type(answer).__name__}")


MOVES: dict[str, Move] = {}


def move(weight: int = 1, **choices: Sequence[Any]) -> Callable[[Act], Act]:
    """Register a coroutine function `(world, **chosen)` as a move."""

    def register(act: Act) -> Act:
        MOVES[act.__name__] = Move(act=act, choices=choices, weight=weight)
        return act

    return register
