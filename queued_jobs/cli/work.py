"""The command that runs jobs: a worker with a sweeper, until it is stopped."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from typing import Annotated

import typer

from queued_jobs._own_code import call_contained
from queued_jobs.cli.options import command
from queued_jobs.cli.problems import WrongUsage, application_place
from queued_jobs.cli.values import parse_duration
from queued_jobs.manager import QueueManager
from queued_jobs.redact import text_of
from queued_jobs.worker import Worker

_LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
#: Log each request at INFO.
_CHATTY = ("azure", "httpx")
#: Seconds that the threads of ended jobs get to end.
_THREADS_END_WITHIN = 1.0

App = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:NAME",
        show_default=False,
        help="Import path of your QueueManager, from the current folder: `word_count:manager`. It may also name an "
        "object with an attribute `manager`, or a function without arguments that returns either.",
    ),
]


@command
async def worker(
    app: App,
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum concurrent jobs per queue.")] = 6,
    sweep_every: Annotated[
        str, typer.Option(metavar="LENGTH", help="Pause between two runs of the sweeper: 15s, 1m.")
    ] = "15s",
    grace: Annotated[
        str,
        typer.Option(
            metavar="LENGTH",
            help="How long to wait for running jobs when stopping, before other workers may take them.",
        ),
    ] = "25s",
) -> None:
    """Run the jobs of your application in this process, until SIGTERM or Ctrl-C.

    Receives from all queues of the manager's kinds, starts jobs with a schedule, and sweeps. Start as many as you need.
    """
    pause, patience = parse_duration(sweep_every), parse_duration(grace)
    manager = find_manager(app)
    try:
        running = Worker(manager, concurrency=concurrency, sweep_every=pause, grace=patience)
    except (TypeError, ValueError) as exc:
        raise WrongUsage(f"{app} cannot be run: {exc}") from exc
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    await running.run()
    _leave_threads_behind(manager)


def find_manager(path: str) -> QueueManager:
    """Import the manager. Raises `WrongUsage` if there is none at this path."""
    module, _, name = path.partition(":")
    if not module or not name:
        raise WrongUsage(f"{path!r} is not an import path; use MODULE:NAME, such as word_count:manager")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = call_contained(_load, module, name)
    except Exception as exc:
        place = application_place(exc)
        reason = f"{type(exc).__name__}: {text_of(exc)}" + (f" ({place})" if place else "")
        raise WrongUsage(f"{path} cannot be loaded: {reason}") from exc
    found = getattr(found, "manager", found)
    if not isinstance(found, QueueManager):
        raise WrongUsage(
            f"the type of {path} is {type(found).__name__}; name a QueueManager, such as word_count:manager"
        )
    return found


def _load(module: str, name: str) -> object:
    found: object = getattr(importlib.import_module(module), name, None)
    return found() if callable(found) and not isinstance(found, type) else found


def _leave_threads_behind(manager: QueueManager) -> None:
    """End the process if bodies ignore that their jobs were given back: Python would wait for their threads."""
    prefixes = []
    for kind in manager.registry:
        runner = manager.runner(kind.kind)
        runner.body_threads.shutdown(wait=False)
        prefixes.append(f"job-{kind.kind}_")
    threads = [thread for thread in threading.enumerate() if thread.name.startswith(tuple(prefixes))]
    for thread in threads:
        thread.join(_THREADS_END_WITHIN / len(threads))
    busy = sum(thread.is_alive() for thread in threads)
    if busy:
        logging.getLogger(__name__).warning("%d bodies have not reached a checkpoint; the process ends anyway", busy)
        logging.shutdown()
        os._exit(0)
