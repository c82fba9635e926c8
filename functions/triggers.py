"""The triggers besides HTTP: for each kind of job its queues and poison queues, and the timers."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import azure.functions as func
from azure.core.exceptions import AzureError

from queued_jobs import JobRunner, QueueManager
from queued_jobs.registry import RunnerType
from storage import sweep_uploads

logger = logging.getLogger(__name__)

_SWEEP, _SWEEP_UPLOADS = "sweep", "sweep_uploads"


def register_triggers(app: func.AsgiFunctionApp, manager: QueueManager) -> None:
    """Add the functions of every registered runner, and the timers of the sweeper and of the uploads."""
    for kind in manager.registry:
        if _function_name(kind) in (_SWEEP, _SWEEP_UPLOADS) or kind.kind.endswith(("-poison", "-schedule")):
            raise TypeError(f"The kind {kind.kind!r} has the same name as another function; rename the kind.")
        _register_runner(app, manager.runner(kind.kind))
        if kind.schedule is not None:
            _register_schedule(app, manager, kind, kind.schedule)

    @app.function_name(_SWEEP)
    @app.timer_trigger(arg_name="timer", schedule="%SWEEP_SCHEDULE%", use_monitor=False)
    async def sweep(timer: func.TimerRequest) -> None:
        await manager.sweeper.run_once()

    @app.function_name(_SWEEP_UPLOADS)
    @app.timer_trigger(arg_name="timer", schedule="0 0 * * * *", use_monitor=False)
    async def sweep_files(timer: func.TimerRequest) -> None:
        try:
            deleted = await asyncio.to_thread(sweep_uploads)
        except AzureError as exc:
            logger.warning("could not sweep the uploads, will try again in an hour: %s", exc)
        else:
            if deleted:
                logger.warning("deleted %d blobs from the uploads that are not ordinary files", deleted)


def _register_schedule(app: func.AsgiFunctionApp, manager: QueueManager, runner: RunnerType, schedule: str) -> None:
    @app.function_name(f"{_function_name(runner)}_schedule")
    @app.timer_trigger(arg_name="timer", schedule=schedule)
    async def start(timer: func.TimerRequest) -> None:
        await manager.queue_due(runner)


def _function_name(runner: RunnerType) -> str:
    return runner.kind.replace("-", "_")


def _register_runner(app: func.AsgiFunctionApp, runner: JobRunner[Any, Any]) -> None:
    for queue in runner.queues_of_kind():
        name = _function_name(type(runner)) + queue.removeprefix(runner.queue).replace("-", "_")
        _register_queue(app, runner, queue, name)


def _register_queue(app: func.AsgiFunctionApp, runner: JobRunner[Any, Any], queue: str, name: str) -> None:
    @app.function_name(name)
    @app.queue_trigger(arg_name="message", queue_name=queue, connection="QueuesConn")
    async def run(message: func.QueueMessage) -> None:
        await runner.receive(message.get_body(), queue=queue)

    @app.function_name(f"{name}_poison")
    @app.queue_trigger(arg_name="message", queue_name=f"{queue}-poison", connection="QueuesConn")
    async def poison(message: func.QueueMessage) -> None:
        await runner.receive_poison(message.get_body(), queue=queue)
