"""Runs one zip job on a running system: upload, start, follow through the hub, download, compare."""

from __future__ import annotations

import asyncio
import io
import itertools
import random
import ssl
import time
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import httpx

from tools.local_stack.hub_client import HubListener, is_loopback, listening

JOB_WITHIN = timedelta(seconds=90)
EXPECTED_STATUSES = ["pending", "running", "succeeded"]


class JobFailed(Exception):
    """The system did not behave as expected; the message says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The observations. `seconds` has the time of each step; `updates` are the job's states in the pushes."""

    files: int
    bytes_in: int
    zip_bytes: int
    updates: list[dict[str, Any]]
    seconds: dict[str, float]

    def describe(self) -> list[str]:
        """Return lines for a report: the pushes, and the result."""
        updates = ", ".join(f"{update['status']} (version {update['version']})" for update in self.updates)
        return [
            f"the hub pushed: {updates}",
            f"{self.files} files of {self.bytes_in:,} bytes came back unchanged in a zip of {self.zip_bytes:,} bytes",
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


def sample_files() -> dict[str, bytes]:
    """Return files of about 3 MB in total, always the same: text, noise, a non-ASCII name, one byte, none."""
    noise = random.Random(2)  # noqa: S311 - sample data
    return {
        "report.txt": b"".join(b"%06d the quick brown fox jumps over the lazy dog\n" % line for line in range(20_000)),
        "noise.bin": noise.randbytes(1_500_000),
        "measurements.csv": b"".join(b"%d,%d\n" % (number, noise.randrange(1000)) for number in range(50_000)),
        "Überblick für São Paulo 東京.md": "# Überblick\n".encode(),
        "one byte.dat": b"\x00",
        "empty.txt": b"",
    }


async def run_one_job(page_url: str, invite: str = "", *, token: str = "", within: timedelta = JOB_WITHIN) -> Outcome:
    """Run the job, signed in with an invite secret or a bearer token, and check the result.

    `check_updates` checks the order of the pushes: several workers may push at once. Raises JobFailed,
    HubClosed, httpx.HTTPError or OSError.
    """
    inputs = sample_files()
    watch = Stopwatch()
    async with client(page_url) as api:
        if invite:
            token = (await _call(api, "POST", "/api/session", json={"invite": invite}))["token"]
        api.headers["Authorization"] = f"Bearer {token}"
        place = await _upload(api, inputs)
        watch.lap("upload")
        async with listening(api) as listener:
            watch.lap("connect")
            job = await _call(api, "POST", "/api/jobs/zip-builder", json=place)
            updates = await _follow(listener, job["id"], within)
            watch.lap("job")
        check_end(updates)
        link = await _call(api, "GET", f"/api/jobs/{job['id']}/download")
    async with client(link["url"]) as anyone:
        archive = (await anyone.get(link["url"])).raise_for_status().content
        watch.lap("download")
    check_archive(archive, inputs)
    return Outcome(
        files=len(inputs),
        bytes_in=sum(map(len, inputs.values())),
        zip_bytes=len(archive),
        updates=updates,
        seconds=watch.seconds,
    )


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


def check_archive(archive: bytes, inputs: dict[str, bytes]) -> None:
    """Raise JobFailed unless the zip contains exactly the inputs."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        names = opened.namelist()
        if sorted(names) != sorted(inputs):
            raise JobFailed(f"the zip contains {sorted(names)}, not {sorted(inputs)}")
        for name, content in inputs.items():
            if opened.read(name) != content:
                raise JobFailed(f"the file {name} in the zip differs from the one uploaded")


async def _upload(api: httpx.AsyncClient, inputs: dict[str, bytes]) -> dict[str, str]:
    wanted = [{"name": name, "size": len(content)} for name, content in inputs.items()]
    place = await _call(api, "POST", "/api/uploads", json={"files": wanted})
    async with client(place["files"][0]["url"]) as storage:
        for file in place["files"]:
            response = await storage.put(file["url"], content=inputs[file["name"]], headers=file["headers"])
            if response.status_code != 201:
                raise JobFailed(f"the upload of {file['name']} returned {response.status_code}: {response.text}")
    return {"container": place["container"], "prefix": place["prefix"]}


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
