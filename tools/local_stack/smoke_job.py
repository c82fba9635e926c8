"""Runs one job of the kind `probe` on a running system: upload, start, follow through the hub, download, compare."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import ssl
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import httpx

from tools.local_stack.hub_client import HubListener, is_loopback, listening

JOB_WITHIN = timedelta(seconds=90)
EXPECTED_STATUSES = ["pending", "running", "succeeded"]
#: The kind in functions/jobs/probe.py, and the name of the file that it copies.
_KIND = "probe"
_FILE = "probe.bin"
_BYTES = 10_000


class JobFailed(Exception):
    """The system did not behave as expected; the message says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The observations. `seconds` has the time of each step; `updates` are the job's states in the pushes."""

    size: int
    updates: list[dict[str, Any]]
    seconds: dict[str, float]

    def describe(self) -> list[str]:
        """Return lines for a report: the pushes, and the result."""
        updates = ", ".join(f"{update['status']} (version {update['version']})" for update in self.updates)
        return [
            f"the hub pushed: {updates}",
            f"a file of {self.size:,} bytes was uploaded, copied by the job and downloaded unchanged",
        ]


class Stopwatch:
    """Measures consecutive steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def lap(self, step: str) -> None:
        """Record the time since the last call for this step."""
        now = time.monotonic()
        self.seconds[step] = now - self._since
        self._since = now


async def run_one_job(page_url: str, invite: str = "", *, token: str = "", within: timedelta = JOB_WITHIN) -> Outcome:
    """Run the job, signed in with an invite secret or a bearer token, and check the result.

    `check_updates` checks the order of the pushes: several workers may push at once. Raises JobFailed,
    HubClosed, httpx.HTTPError or OSError.
    """
    content = secrets.token_bytes(_BYTES)
    watch = Stopwatch()
    async with client(page_url) as api:
        if invite:
            token = (await _call(api, "POST", "/api/session", json={"invite": invite}))["token"]
        api.headers["Authorization"] = f"Bearer {token}"
        prefix = await _upload(api, content)
        watch.lap("upload")
        async with listening(api) as listener:
            watch.lap("connect")
            job = await _call(api, "POST", f"/api/jobs/{_KIND}", json={"prefix": prefix})
            updates = await _follow(listener, job["id"], within)
            watch.lap("job")
        check_end(updates)
        link = await _call(api, "GET", f"/api/jobs/{job['id']}/download")
    async with client(link["url"]) as anyone:
        copy = (await anyone.get(link["url"])).raise_for_status().content
        watch.lap("download")
    check_copy(copy, content)
    return Outcome(size=len(copy), updates=updates, seconds=watch.seconds)


def client(url: str) -> httpx.AsyncClient:
    """Return a client for a site: through the user's proxy, if there is one, unless the site is on this machine."""
    return httpx.AsyncClient(base_url=url, trust_env=not is_loopback(url), verify=_authorities(), timeout=30)


@cache
def _authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def check_end(updates: list[dict[str, Any]]) -> None:
    """Raise JobFailed unless the job succeeded, according to the pushes."""
    if updates[-1]["status"] != "succeeded":
        raise JobFailed(f"the job ended {updates[-1]['status']}; its error: {updates[-1]['error']}")


def check_updates(updates: list[dict[str, Any]]) -> None:
    """Raise JobFailed unless all states were pushed, in order."""
    statuses = [status for status, _ in itertools.groupby(update["status"] for update in updates)]
    versions = [update["version"] for update in updates]
    if statuses != EXPECTED_STATUSES:
        errors = [update["error"] for update in updates if update["error"]]
        raise JobFailed(f"the hub pushed the statuses {statuses}, not {EXPECTED_STATUSES}; errors: {errors}")
    if versions != sorted(set(versions)):
        raise JobFailed(f"the versions of the pushes do not increase: {versions}")


def check_copy(copy: bytes, content: bytes) -> None:
    """Raise JobFailed unless the downloaded file is the uploaded one."""
    if copy != content:
        raise JobFailed(f"the downloaded file, of {len(copy):,} bytes, differs from the uploaded one")


async def _upload(api: httpx.AsyncClient, content: bytes) -> str:
    """Upload the file and return its prefix."""
    place = await _call(api, "POST", "/api/uploads", json={"files": [{"name": _FILE, "size": len(content)}]})
    (file,) = place["files"]
    async with client(file["url"]) as storage:
        response = await storage.put(file["url"], content=content, headers=file["headers"])
        if response.status_code != 201:
            raise JobFailed(f"the upload of {file['name']} returned {response.status_code}: {response.text}")
    prefix: str = place["prefix"]
    return prefix


async def _follow(listener: HubListener, job_id: str, within: timedelta) -> list[dict[str, Any]]:
    updates: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(within.total_seconds()):
            async for target, arguments in listener.invocations():
                if target == "job" and arguments[0]["id"] == job_id:
                    updates.append(arguments[0])
                    if arguments[0]["finishedAt"] is not None:
                        break
    except TimeoutError:
        pushed = [(update["status"], update["version"]) for update in updates]
        raise JobFailed(f"the job did not end within {within.total_seconds():g} s; the hub pushed {pushed}") from None
    return updates


async def _call(api: httpx.AsyncClient, method: str, path: str, *, json: object = None) -> Any:
    response = await api.request(method, path, json=json)
    if response.is_error:
        raise JobFailed(f"{method} {path} returned {response.status_code}: {response.text}")
    return response.json()
