"""Checks the services that the application needs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Depends, Response

from api.dependencies import App
from api.models import HealthView
from api.sign_in.identity import public
from queued_jobs import JobsError

logger = logging.getLogger(__name__)

_PATIENCE = 3.0
_VERSION_FILE = Path(__file__).resolve().parents[1] / "code_version.txt"
#: None in a checkout. Read at the start of the process: the file may be newer than the code that runs.
_CODE_VERSION = _VERSION_FILE.read_text().strip() if _VERSION_FILE.exists() else None

routes = APIRouter(prefix="/api", tags=["health"])


@routes.get("/health", dependencies=[Depends(public)], responses={503: {"model": HealthView}})
async def health(response: Response, app: App) -> HealthView:
    """Return 503 only if jobs cannot be accepted. Without queue or hub they are accepted, and run or shown later."""
    database, queues, hub = await asyncio.gather(
        _state("database", app.database.ping()),
        _state("queues", app.queues.ping(*app.manager.registry.queues)),
        _state("hub", app.notifier.ping()),
    )
    status: Literal["ok", "degraded", "down"] = "ok" if queues == hub == "ok" else "degraded"
    if database == "down":
        status = "down"
        response.status_code = 503
    parts = {"database": database, "queues": queues, "hub": hub}
    return HealthView(status=status, parts=parts, version=_CODE_VERSION)


async def _state(name: str, ping: Awaitable[None]) -> Literal["ok", "down"]:
    try:
        async with asyncio.timeout(_PATIENCE):
            await ping
    except (JobsError, TimeoutError) as exc:
        logger.warning("health: %s is down: %s", name, exc)
        return "down"
    return "ok"
