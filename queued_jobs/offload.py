"""Keeps work on long texts off the event loop, which also serves heartbeats and requests."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, time, timedelta
from typing import Final, ParamSpec
from uuid import UUID

from pydantic import BaseModel

from queued_jobs._own_code import call_contained

P = ParamSpec("P")

#: Values, or hundreds of characters, with which work takes less time than the way to a thread and back.
MAX_SMALL: Final = 50
_MAX_SMALL_INT = 2**63
_SCALARS = (bool, float, UUID, date, time, timedelta)

#: Separate from the threads that wait for other servers, which may all be busy.
_threads = ThreadPoolExecutor(4, thread_name_prefix="offload")


def _renew_threads() -> None:
    """After a fork: replace the pool, whose threads exist in the parent process only."""
    global _threads
    _threads = ThreadPoolExecutor(4, thread_name_prefix="offload")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_threads)


async def offload[**P, T](function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the function in a thread and return its result. It must only compute, and wait for nothing."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(
        _threads, lambda: context.run(lambda: call_contained(function, *args, **kwargs))
    )


async def offload_unless_small[**P, T](data: object, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the function, in a thread unless the data that it works on is small."""
    if is_small(data):
        return call_contained(function, *args, **kwargs)
    return await offload(function, *args, **kwargs)


def is_small(data: object) -> bool:
    """Whether this is a model, or read from JSON, with few values and short texts. Looks at no more than that."""
    left = MAX_SMALL
    waiting = [data]
    while waiting:
        value = waiting.pop()
        left -= 1
        if isinstance(value, str):
            left -= len(value) // 100
        elif isinstance(value, Mapping):
            left -= len(value)
            if left >= 0:
                waiting += [*value, *value.values()]
        elif isinstance(value, BaseModel):
            waiting += [vars(value), value.__pydantic_extra__]
        elif isinstance(value, (list, tuple)):
            left -= len(value)
            if left >= 0:
                waiting += value
        elif isinstance(value, int):
            if abs(value) >= _MAX_SMALL_INT:
                return False
        elif value is not None and not isinstance(value, _SCALARS):
            return False
        if left < 0:
            return False
    return True
