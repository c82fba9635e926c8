"""An app with all four triggers on one object; it notes what happens in the file EVENTS, one line per event."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import azure.functions as func
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

log = logging.getLogger("sample")
api = FastAPI()
_together: dict[int, asyncio.Barrier] = {}


def note(event: str) -> None:
    with Path(os.environ["EVENTS"]).open("a") as events:
        events.write(f"{event}\n")


async def held() -> None:
    """Wait until the test lets go of what it holds, by a file beside the events."""
    while not os.path.exists(f"{os.environ['EVENTS']}.go"):  # noqa: ASYNC240 (a look takes no time)
        await asyncio.sleep(0.02)


@api.get("/")
async def page() -> HTMLResponse:
    return HTMLResponse("<h1>page</h1>")


@api.get("/api/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@api.get("/api/slow")
async def slow() -> dict[str, str]:
    note("slow")
    await held()
    return {"status": "ok"}


@api.get("/api/together")
async def together(count: int) -> dict[str, str]:
    await _together.setdefault(count, asyncio.Barrier(count)).wait()
    return {"status": "ok"}


@api.get("/api/boom")
async def boom() -> None:
    raise ValueError("on purpose")


@api.get("/api/token")
async def token() -> JSONResponse:
    logging.getLogger().setLevel(logging.DEBUG)
    return JSONResponse({"token": "very-secret"}, headers={"Vary": "Accept, Origin"})


@api.exception_handler(404)
async def not_found(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"status": 404}, status_code=404, media_type="application/problem+json")


async def interrupt() -> None:
    raise KeyboardInterrupt


app = func.AsgiFunctionApp(app=api, http_auth_level=func.AuthLevel.ANONYMOUS, function_name="http")


@app.function_name("run")
@app.queue_trigger(arg_name="msg", queue_name="%SAMPLE_QUEUE%", connection="QueuesConn")
async def run(msg: func.QueueMessage, context: func.Context) -> None:
    job: dict[str, Any] = msg.get_json()
    log.info("job %s of invocation %s", job["n"], context.invocation_id)
    note(f"started {job['n']} try {msg.dequeue_count}")
    if job.get("fail"):
        raise RuntimeError("on purpose")
    if "exit" in job:
        sys.exit(job["exit"])
    if job.get("interrupt"):
        await asyncio.create_task(interrupt())
    if job.get("block"):  # a thread that nobody can stop
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
    try:
        await (held() if job.get("hold") else asyncio.sleep(job.get("sleep", 0)))
    except asyncio.CancelledError:
        note(f"released {job['n']}")
        return
    note(f"ended {job['n']}")


@app.function_name("run_poison")
@app.queue_trigger(arg_name="msg", queue_name="%SAMPLE_QUEUE%-poison", connection="QueuesConn")
def run_poison(msg: func.QueueMessage) -> None:
    note(f"poisoned {msg.get_json()['n']}")


@app.function_name("tick")
@app.timer_trigger(arg_name="timer", schedule="%SAMPLE_SCHEDULE%", use_monitor=False)
async def tick(timer: func.TimerRequest) -> None:
    note(f"tick past due {timer.past_due}")
