"""The command scripts/smoke: a real job on a running stack, in Azure or on this machine, up to its push and its zip."""

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
#: A stack that was just deployed, or that nobody has used for a while, takes its time.
HEALTHY_WITHIN = timedelta(minutes=2)
JOB_WITHIN = timedelta(minutes=5)
PAUSE = timedelta(seconds=2)


class StackNotReady(Exception):
    """What runs there does not take jobs; the message has the reason and the remedy."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trial and say how it went: exit code 0 = the stack works, 1 = it does not, 2 = it cannot be tried."""
    parser = argparse.ArgumentParser(prog="scripts/smoke", description=__doc__)
    parser.add_argument(
        "url",
        metavar="URL",
        help=f"an invite link (https://...#invite=...), or the address of the site with a bearer token in {TOKEN}",
    )
    url = parser.parse_args(arguments).url
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        place = url.partition("#")[0].rpartition("@")[2]  # without what signs in
        parser.error(f"{place!r} is no address: give it as https://NAME.azurewebsites.net/")
    invite = parts.fragment.removeprefix(INVITE) if parts.fragment.startswith(INVITE) else ""
    token = os.environ.get(TOKEN, "")
    site = urlunsplit((parts.scheme, parts.netloc, "/", "", ""))
    if parts.username is not None or parts.password is not None:
        parser.error("the URL has a user's name or password in it: give it as https://NAME.azurewebsites.net/")
    if parts.scheme not in ("http", "https") or not has_place:
        parser.error(f"{site!r} is no address of a site: give it as https://NAME.azurewebsites.net/")
    if parts.scheme == "http" and not is_loopback(site):
        parser.error(f"{site!r} would get what signs in unencrypted: give it with https")
    if not invite and not token:
        parser.error(f"the stack lets nobody in unknown: give an invite link, or a bearer token in {TOKEN}")
    if not re.fullmatch("[!-~]*", token):
        parser.error(f"{TOKEN} holds what no token has, such as a space: set it to the token alone")
    try:
        outcome = asyncio.run(try_out(site, invite=invite, token=token))
    except (StackNotReady, JobFailed, HubClosed) as error:
        return _failed(str(error))
    except (httpx.HTTPError, OSError, WebSocketException) as error:
        return _failed(f"{site} or what it leads to does not answer: {_describe(error)}")
    for line in outcome.describe():
        _say(line)
    _say("seconds: " + ", ".join(f"{step} {seconds:.2f}" for step, seconds in outcome.seconds.items()))
    _say("ok")
    return 0


async def try_out(
    site: str, *, invite: str = "", token: str = "", healthy_within: timedelta = HEALTHY_WITHIN
) -> Outcome:
    """Wait until the site is healthy, see that it keeps strangers out, then run one job through all of it."""
    async with client(site) as stranger:
        waited = await _wait_until_healthy(stranger, healthy_within)
        # a host keeps paths with `admin` in them for itself, and then this would be 404
        status = (await stranger.get("/api/admin/stats")).status_code
        if status != httpx.codes.UNAUTHORIZED:
            raise StackNotReady(f"GET /api/admin/stats of a stranger was answered {status}, not 401: do not use it")
    outcome = await run_one_job(site, invite, token=token, within=JOB_WITHIN)
    return replace(outcome, seconds={"health": waited, **outcome.seconds})


async def _wait_until_healthy(stranger: httpx.AsyncClient, within: timedelta) -> float:
    started = time.monotonic()
    told = ""
    while True:
        try:
            answer = await stranger.get("/api/health")
            if answer.status_code == httpx.codes.OK and answer.json()["status"] == "ok":
                return time.monotonic() - started
            state = f"status {answer.status_code}, {answer.text[:300]}"
        except (httpx.TransportError, ValueError, LookupError) as error:
            state = _describe(error)
        if time.monotonic() - started > within.total_seconds():
            raise StackNotReady(
                f"{stranger.base_url}api/health was not ok within {within.total_seconds():g} s: {state}. "
                "See that this is the right address, and what the app logged."
            )
        if state != told:
            _say(f"waits up to {within.total_seconds():g} s for the site: {state}")
            told = state
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
