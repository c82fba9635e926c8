"""Waits until an app answers with the code that was just deployed, and not with what it ran before."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta

import httpx

from infra.publish.scm_site import POLL, PublishFailed, brief, pause_after

logger = logging.getLogger(__name__)

#: Instances with the older code answer until the platform has replaced them.
RUNS_WITHIN = timedelta(minutes=10)


def wait_until_it_runs(
    version: str,
    url: str,
    *,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Ask the app's health until it is well and tells this version. Raises `PublishFailed` after `RUNS_WITHIN`."""
    deadline = clock() + RUNS_WITHIN.total_seconds()
    with httpx.Client(timeout=60, transport=transport) as client:
        while True:
            last: httpx.Response | httpx.TransportError
            try:
                last = client.get(url)
            except httpx.TransportError as error:
                last = error
            if isinstance(last, httpx.Response) and last.is_success:
                found = _version_of(last)
                if found == version:
                    return
                state = f"answers with other code ({found or 'of no version'})"
                remedy = "Restart the app in the portal"
            else:
                state = f"is not well: {brief(last)}"
                remedy = "Look at the app's log stream and mend the cause"
            if clock() > deadline:
                minutes = RUNS_WITHIN.total_seconds() / 60
                raise PublishFailed(
                    f"Version {version} is deployed, but after {minutes:.0f} minutes {url} {state}. "
                    f"{remedy}, then run `pulumi up` again."
                )
            logger.warning("%s %s", url, state)
            sleep(pause_after(last, POLL))


def _version_of(answer: httpx.Response) -> str | None:
    try:
        told = answer.json()
    except ValueError:
        return None
    version = told.get("version") if isinstance(told, dict) else None
    return version if isinstance(version, str) else None
