"""Calls hooks that may be written as `async def` or as a plain `def`."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

from queued_jobs._own_code import await_contained, call_contained


class HookTooLate(TimeoutError):
    """The hook took longer than allowed."""


class HookCancelled(RuntimeError):
    """The hook raised a cancellation that was not requested."""


def _make_threads() -> ThreadPoolExecutor:
    # more than hooks run at once; separate from the event loop's own threads, which also look up host names
    return ThreadPoolExecutor(64, thread_name_prefix="hook")


_threads = _make_threads()


def _renew_threads() -> None:
    """After a fork: replace the pool, whose threads exist in the parent process only."""
    global _threads
    _threads = _make_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_threads)


async def call_hook(hook: Callable[..., Any], *args: object) -> None:
    """Call a hook and wait for it: `async def` on the event loop, a plain `def`, which may block, in a thread."""
    if inspect.iscoroutinefunction(hook):
        await await_contained(hook(*args))
        return
    call = partial(contextvars.copy_context().run, call_contained, hook, *args)
    returned = await asyncio.get_running_loop().run_in_executor(_threads, call)
    if inspect.isawaitable(returned):  # a decorator hides that it is `async def`
        await await_contained(returned)


async def call_hook_in_time(hook: Callable[..., Any], *args: object, within: timedelta) -> None:
    """Call a hook, and wait for it `within` this time. Raises `HookTooLate`; a hook in a thread then keeps running."""
    # not asyncio.timeout: a hook that suppresses its cancellation must not be waited for
    call = asyncio.create_task(call_hook(hook, *args))
    try:
        await asyncio.wait({call}, timeout=within.total_seconds())
    finally:
        call.cancel()
    if not call.done():
        raise HookTooLate(f"did not end within {within.total_seconds():g} seconds")
    if call.cancelled():
        raise HookCancelled("raised a cancellation that was not requested")
    call.result()
