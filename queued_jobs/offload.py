"""Keeps work on long texts off the event loop, which also serves heartbeats and requests."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec

P = ParamSpec("P")

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
    return await asyncio.get_running_loop().run_in_executor(_threads, lambda: context.run(function, *args, **kwargs))
