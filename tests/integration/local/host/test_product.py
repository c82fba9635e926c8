"""The product's app under Microsoft's worker: what a body raises, what the API answers, what a message is."""

from __future__ import annotations

import asyncio
import base64
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from azure.storage.queue.aio import QueueServiceClient

from tests.integration.local.host.conftest import StartHost
from tests.integration.local.host.harness import ROOT, Queue, wait_until
from tests.support.client import Person
from tests.support.hub import ControlledHub
from tools.local_stack.azurite import AzuriteServer

#: As a fork would add it. `error` is an expression.
ROGUE = """
from __future__ import annotations

import asyncio
from datetime import timedelta

from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, RetryPolicy


class Unheard(BaseException):
    pass


class Ask(BaseModel):
    error: str


class Rogue(JobRunner[Ask, None]):
    kind = "rogue"
    queue = "rogue"
    retry = RetryPolicy(max_attempts=1)

    async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        raise eval(request.error)


class PlainRogue(JobRunner[Ask, None]):
    kind = "plain-rogue"
    queue = "plain-rogue"
    retry = RetryPolicy(max_attempts=1)

    def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        raise eval(request.error)
"""
QUEUES = ("rogue", "plain-rogue")


@pytest.fixture
def azurite() -> Iterator[AzuriteServer]:
    """One of this test alone, since the queues have the names of the product."""
    server = AzuriteServer(None)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """A copy of the app with one file of jobs."""
    folder = tmp_path / "functions"
    shutil.copytree(ROOT / "functions", folder, ignore=shutil.ignore_patterns("__pycache__", "local.settings.json"))
    for kind in (folder / "jobs").glob("[!_]*.py"):
        kind.unlink()
    (folder / "jobs" / "rogue.py").write_text(ROGUE)
    (tmp_path / "web").symlink_to(ROOT / "web")
    return folder


@pytest.fixture
def settings(azurite: AzuriteServer, hub: ControlledHub, jobs_url: str) -> dict[str, str]:
    keys = {name: secrets.token_urlsafe(32) for name in ("INVITE_SECRET", "ADMIN_INVITE_SECRET", "SESSION_SECRET")}
    return {
        **{"AUTH_MODE": "invite", "ENVIRONMENT": "local", "SWEEP_SCHEDULE": "0 0 0 29 2 *", "DATABASE_URL": jobs_url},
        **{"BlobsConn": azurite.connection_string, "SIGNALR_CONNECTION": hub.connection_string},
        **keys,
    }


async def test_whatever_a_body_raises_ends_its_attempt_and_not_the_worker(
    fork: Path, settings: dict[str, str], service: QueueServiceClient, start_host: StartHost
) -> None:
    queues = [await Queue(service, name).create() for name in QUEUES]
    host = start_host(fork, **settings)
    url = await host.ready()

    def run_all() -> dict[str, str]:
        with Person(url, settings["INVITE_SECRET"]) as ann:
            errors = ("ValueError('x')", "SystemExit(3)", "Unheard('x')", "asyncio.CancelledError()", "TimeoutError()")
            jobs = {
                f"{kind} {error}": ann.call("POST", f"/api/jobs/{kind}", json={"error": error}).json()["id"]
                for kind in ("rogue", "plain-rogue")
                for error in errors
            }
            return {name: ann.wait_for_end(key)["status"] for name, key in jobs.items()}

    ended = await asyncio.to_thread(run_all)
    assert len(ended) == 10
    assert set(ended.values()) == {"failed"}

    async def settled() -> bool:
        return not any([await queue.count() for queue in queues])

    await wait_until(settled, "every message is acknowledged, whatever its body raised")
    assert "Failed 'Functions." not in host.output


async def test_the_answers_of_the_api_arrive_as_problem_documents(
    fork: Path, settings: dict[str, str], service: QueueServiceClient, start_host: StartHost
) -> None:
    url = await start_host(fork, **settings).ready()
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        answers = [
            await client.get("/api/jobs/0190f9b0-0000-7000-8000-000000000000"),
            await client.get("/api/unknown"),
            await client.post("/api/session", content=b"{", headers={"content-type": "application/json"}),
            await client.put("/api/session"),
        ]
    assert [answer.status_code for answer in answers] == [401, 404, 400, 405]
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert [answer.json()["status"] for answer in answers] == [401, 404, 400, 405]


async def test_a_dead_database_fails_the_invocation_and_keeps_the_message(
    fork: Path, settings: dict[str, str], service: QueueServiceClient, start_host: StartHost
) -> None:
    """The claim cannot be stored: this is the only error raised to the host, which counts it as a delivery."""
    queue = await Queue(service, "rogue").create()
    host = start_host(fork, **settings | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"})
    url = await host.ready()
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        assert (await client.get("/api/health")).status_code == 503
    text = base64.b64encode(b'{"v":1,"id":"0190f9b0-0000-7000-8000-000000000000","gen":1}').decode()
    await queue.client.send_message(text, time_to_live=-1)
    await host.printed("StoreUnavailable")
    assert await queue.count() == 1


async def test_a_message_of_the_product_is_text_in_base64(
    fork: Path,
    settings: dict[str, str],
    service: QueueServiceClient,
    start_host: StartHost,
) -> None:
    queue = await Queue(service, "rogue").create()
    await Queue(service, "rogue-poison").create()
    host = start_host(fork, **settings, **{"AzureWebJobs.rogue.Disabled": "true"})
    url = await host.ready()

    def start() -> str:
        with Person(url, settings["INVITE_SECRET"]) as ann:
            return str(ann.call("POST", "/api/jobs/rogue", json={"error": "ValueError()"}).json()["id"])

    key = await asyncio.to_thread(start)
    (stored,) = await queue.bodies()
    assert key in base64.b64decode(stored, validate=True).decode()
