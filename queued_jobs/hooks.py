"""Calls hooks that may be written as `async def` or as a plain `def`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def call_hook(hook: Callable[..., Any], *args: object) -> None:
    """Call a hook and wait for it: `async def` on the event loop, a plain `def`, which may block, in a thread."""
    if inspect.iscoroutinefunction(hook):
        await hook(*args)
        return
    returned = await asyncio.to_thread(hook, *args)
    if inspect.isawaitable(returned):  # a decorator hides that it is `async def`
        await returned
