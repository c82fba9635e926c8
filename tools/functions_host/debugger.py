"""The debugger in the host: editors attach to it while the app runs."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
import sys
from datetime import timedelta
from types import FrameType
from typing import Any

from tools.functions_host.waiting import is_set_within

log = logging.getLogger("host.debugger")

#: The time that each attempt has under the debugger, and its lease: no heartbeat is sent while the process is paused.
PAUSE = timedelta(hours=1)
#: Also of the host's limit, see `load_host_settings`.
ENVIRONMENT = {"AzureFunctionsJobHost__functionTimeout": "-1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}

_LOOK_EVERY = timedelta(seconds=0.1)


def ignore_breakpoints() -> None:
    """Let `breakpoint()` be logged: there is no terminal, so that the default would end the attempt."""

    def ignore(*_: object, **__: object) -> None:
        frame = sys._getframe(1)
        while frame.f_globals.get("__name__") == __name__ and frame.f_back is not None:
            frame = frame.f_back
        log.warning(
            "%s, line %d: breakpoint() is ignored, because no debugger is attached; see scripts/dev --debug",
            os.path.basename(frame.f_code.co_filename),
            frame.f_lineno,
        )

    sys.breakpointhook = ignore


def hold_leases() -> None:
    """Give the attempts of all kinds that are declared from now on the time for a pause."""
    from queued_jobs import JobRunner  # scripts/dev imports this module before that is installed

    declare = JobRunner.__init_subclass__.__func__  # type: ignore[attr-defined]

    def declare_patiently(cls: type[JobRunner[Any, Any]], /, **kwargs: Any) -> None:
        declare(cls, **kwargs)
        cls.lease = cls.timeout = PAUSE

    JobRunner.__init_subclass__ = classmethod(declare_patiently)  # type: ignore[assignment]


async def listen(address: str, port: int, stopping: asyncio.Event) -> None:
    """Let editors attach, until the host stops; before that wait for the end of the debugger of the previous host.

    `breakpoint()` then pauses, and is ignored while no editor is attached. Call it with the handlers of the signals in
    place: one that ends the process ends a pause, too.
    """
    while not _is_free(address, port):
        if await is_set_within(stopping, _LOOK_EVERY):
            return
    ignore = sys.breakpointhook
    debugpy = importlib.import_module("debugpy")
    debugpy.listen((address, port))
    pydevd = importlib.import_module("pydevd")  # comes with debugpy, and is found once that listens

    def pause(*args: object, **options: object) -> None:
        if debugpy.is_client_connected():
            here = sys._getframe(1)
            pydevd.settrace(
                suspend=True, trace_only_current_thread=True, patch_multiprocessing=False, stop_at_frame=here
            )
        else:
            ignore(*args, **options)

    sys.breakpointhook = pause
    for number in (signal.SIGTERM, signal.SIGINT):
        # the loop is notified in addition, but can only act when it continues
        signal.signal(number, _resume)
    await stopping.wait()


def _is_free(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_server((address, port)):
        return True
    return False


def _resume(_number: int, _frame: FrameType | None) -> None:
    """End a pause, so that the jobs can be released."""
    debugger = importlib.import_module("pydevd").get_global_debugger()
    if debugger is not None:
        api = importlib.import_module("_pydevd_bundle.pydevd_api").PyDevdAPI()
        api.request_disconnect(debugger, resume_threads=True)
