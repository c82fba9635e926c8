"""`scripts/dev --once`: starts a new system, runs one job on it, reports, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
from threading import Event

from tools.local_stack.console import Console
from tools.local_stack.errors import Interrupted, LocalRunError
from tools.local_stack.hub_client import HubClosed
from tools.local_stack.process import Emit
from tools.local_stack.server import describe_lines
from tools.local_stack.signals import stop_on_signals
from tools.local_stack.smoke_job import JobFailed, Outcome, Stopwatch, check_updates, run_one_job
from tools.local_stack.stack import Stack, StackOptions
from tools.local_stack.state import State, temporary_folder
from tools.local_stack.supervisor import LOOK_EVERY


def run_once(console: Console, *, core_tools: bool) -> int:
    """Run the job on free ports in a temporary folder and return the exit code: 0 = everything was as expected."""
    outcome: Outcome | None = None
    watch = Stopwatch()
    with temporary_folder() as folder:
        database_url = os.environ.get("DATABASE_URL") or None
        options = StackOptions(durable=False, database_url=database_url, core_tools=core_tools)
        stack = Stack(State(folder), options, emit=_only_own(console))
        with stop_on_signals(impatient=stack.supervisor.kill) as stop:
            try:
                stack.start(stop)
                watch.lap("start")
                outcome = asyncio.run(_run_watched(stack, stop))
                watch.lap("job")
            except Exception as error:  # noqa: BLE001 - whatever it is, the report is what helps to find it
                _report_failure(console, stack, error)
            finally:
                stack.stop()
                stack.delete_data()
                watch.lap("stop")
    if outcome is None:
        return 1
    _report(console, outcome, watch.seconds)
    return 0


async def _run_watched(stack: Stack, stop: Event) -> Outcome:
    """Run the job; raise if a server or a signal ends the run early."""
    job = asyncio.create_task(run_one_job(stack.page_url, stack.invite))
    while not job.done():
        await asyncio.wait({job}, timeout=LOOK_EVERY.total_seconds())
        try:
            stack.supervisor.raise_if_one_ended()
            if stop.is_set():
                raise Interrupted
        except (LocalRunError, Interrupted):
            job.cancel()
            raise
    outcome = job.result()
    check_updates(outcome.updates)  # there is one worker, so the pushes arrive in order
    return outcome


def _report(console: Console, outcome: Outcome, seconds: dict[str, float]) -> None:
    for line in outcome.describe():
        console.say(line)
    install = float(os.environ.get("QUEUED_JOBS_INSTALL_SECONDS", "0"))
    steps = {"install": install, "start": seconds["start"], **outcome.seconds, "stop": seconds["stop"]}
    console.say("seconds: " + ", ".join(f"{step} {value:.2f}" for step, value in steps.items()))
    console.say("ok")


def _report_failure(console: Console, stack: Stack, error: Exception) -> None:
    for server in stack.servers:
        console.say(f"last lines of {server.name}:")
        for line in describe_lines(server.last_lines).splitlines():
            console.say(line)
    reason = str(error) if isinstance(error, LocalRunError | JobFailed | HubClosed | Interrupted) else repr(error)
    for line in f"FAILED: {reason}".splitlines():
        console.say(line)


def _only_own(console: Console) -> Emit:
    def emit(name: str, line: str) -> None:
        if name == "dev":
            console.say(line)

    return emit
