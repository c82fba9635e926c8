"""The `scripts/smoke` command: runs a job on a stack, in Azure or on this machine, and checks its pushes and file."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import httpx
from websockets.exceptions import WebSocketException

from tools.local_stack.hub_client import HubClosed, is_loopback
from tools.local_stack.smoke_job import JobFailed, Outcome, client, run_one_job

TOKEN = "SMOKE_TOKEN"  # noqa: S105 (the name of a variable)
INVITE = "invite="
#: A stack that was just deployed, or was idle for a while, needs time to start.
HEALTHY_WITHIN = timedelta(minutes=2)
JOB_WITHIN = timedelta(minutes=5)
PAUSE = timedelta(seconds=2)


class StackNotReady(Exception):
    """The stack does not accept jobs; the message has the reason and the remedy."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the smoke test and report it: exit code 0 = the stack works, 1 = it does not, 2 = invalid usage."""
    parser = argparse.ArgumentParser(prog="scripts/smoke", description=__doc__)
    parser.add_argument(
        "url",
        metavar="URL",
        help=f"an invite link (https://...#invite=...), or the URL of the site with a bearer token in {TOKEN}",
    )
    url = parser.parse_args(arguments).url
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        place = url.partition("#")[0].rpartition("@")[2]  # without credentials
        parser.error(f"{place!r} is not a valid URL: use https://NAME.azurewebsites.net/")
    invite = parts.fragment.removeprefix(INVITE) if parts.fragment.startswith(INVITE) else ""
    token = os.environ.get(TOKEN, "")
    site = urlunsplit((parts.scheme, parts.netloc, "/", "", ""))
    if parts.username is not None or parts.password is not None:
        parser.error("the URL contains a user name or password; use https://NAME.azurewebsites.net/")
    if parts.scheme not in ("http", "https") or not has_place:
        parser.error(f"{site!r} is not a valid site URL: use https://NAME.azurewebsites.net/")
    if parts.scheme == "http" and not is_loopback(site):
        parser.error(f"{site!r} would receive credentials unencrypted; use https")
    if not invite and not token:
        parser.error(f"this stack requires sign-in; pass an invite link, or a bearer token in {TOKEN}")
    if not re.fullmatch("[!-~]*", token):
        parser.error(
            f"{TOKEN} contains characters that are not valid in a token, such as a space; set it to the token alone"
        )
    try:
        outcome = asyncio.run(try_out(site, invite=invite, token=token))
    except (StackNotReady, JobFailed, HubClosed) as error:
        return _failed(str(error))
    except (httpx.HTTPError, OSError, WebSocketException) as error:
        return _failed(f"{site}, or a service behind it, is not responding: {_describe(error)}")
    for line in outcome.describe():
        _say(line)
    _say("seconds: " + ", ".join(f"{step} {seconds:.2f}" for step, seconds in outcome.seconds.items()))
    _say("ok")
    return 0


async def try_out(
    site: str, *, invite: str = "", token: str = "", healthy_within: timedelta = HEALTHY_WITHIN
) -> Outcome:
    """Wait until the site is healthy, check that it requires sign-in, then run one job on it."""
    async with client(site) as anonymous:
        waited = await _wait_until_healthy(anonymous, healthy_within)
        # a host that reserves paths with `admin` would return 404
        status = (await anonymous.get("/api/admin/stats")).status_code
        if status != httpx.codes.UNAUTHORIZED:
            raise StackNotReady(
                f"GET /api/admin/stats without a token returned {status}, not 401; do not use this stack"
            )
    outcome = await run_one_job(site, invite, token=token, within=JOB_WITHIN)
    return replace(outcome, seconds={"health": waited, **outcome.seconds})


async def _wait_until_healthy(anonymous: httpx.AsyncClient, within: timedelta) -> float:
    started = time.monotonic()
    reported = ""
    while True:
        try:
            response = await anonymous.get("/api/health")
            if response.status_code == httpx.codes.OK and response.json()["status"] == "ok":
                return time.monotonic() - started
            state = f"status {response.status_code}, {response.text[:300]}"
        except (httpx.TransportError, ValueError, LookupError) as error:
            state = _describe(error)
        if time.monotonic() - started > within.total_seconds():
            raise StackNotReady(
                f"{anonymous.base_url}api/health was not ok within {within.total_seconds():g} s: {state}. "
                "Check the URL, and the app's log."
            )
        if state != reported:
            _say(f"waiting up to {within.total_seconds():g} s for the site: {state}")
            reported = state
        await asyncio.sleep(PAUSE.total_seconds())


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _failed(reason: str) -> int:
    print(f"smoke    | FAILED: {reason}", file=sys.stderr)
    return 1


def _say(line: str) -> None:
    print(f"smoke    | {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
