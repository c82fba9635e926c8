"""The HTTP API over real Postgres and real Azurite; the hub is the emulator."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

import services as composition
import storage
from api.app import create_api
from services import Services
from tests.support.hub import ControlledHub
from tools.local_stack.azurite import AzuriteServer
from tools.local_stack.prepare import prepare_blobs
from tools.test_app import jobs as kinds_of_tests

#: Processes of Azurite whose containers and queues of these kinds are there: they outlive a test, but not the process.
_prepared: set[tuple[int | None, str]] = set()

WEB = Path(__file__).resolve().parents[3] / "web"


@pytest.fixture
def kinds() -> ModuleType:
    """The package of the kinds of jobs. Tests of the app's own kinds replace it by `jobs`."""
    return kinds_of_tests


@pytest.fixture
def settings(
    monkeypatch: pytest.MonkeyPatch, kinds: ModuleType, jobs_url: str, azurite: AzuriteServer, hub: ControlledHub
) -> Iterator[dict[str, str]]:
    """The environment of the function app, with secrets of this test's own."""
    values = {
        "AUTH_MODE": "invite",
        "ENVIRONMENT": "local",
        "INVITE_SECRET": secrets.token_urlsafe(32),
        "ADMIN_INVITE_SECRET": secrets.token_urlsafe(32),
        "SESSION_SECRET": secrets.token_urlsafe(32),
        "DATABASE_URL": jobs_url,
        "QueuesConn": azurite.connection_string,
        "BlobsConn": azurite.connection_string,
        "SIGNALR_CONNECTION": hub.connection_string,
        "SWEEP_SCHEDULE": "0 0 0 1 1 *",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(composition, "jobs", kinds)
    composition.services.cache_clear()
    storage.blob_service.cache_clear()
    yield values
    composition.services.cache_clear()
    storage.blob_service.cache_clear()


@dataclass
class Site:
    """The API, as browsers of several people see it."""

    services: Services
    settings: dict[str, str]
    http: httpx.AsyncClient
    #: Talks to storage directly, as browsers do with the links that they are given.
    web: httpx.AsyncClient
    tokens: dict[str, str] = field(default_factory=dict)

    async def token(self, who: str) -> str:
        """Everyone named here is a guest of their own; `admin` is an admin."""
        if who not in self.tokens:
            invite = self.settings["ADMIN_INVITE_SECRET" if who == "admin" else "INVITE_SECRET"]
            answer = await self.http.post("/api/session", json={"invite": invite})
            self.tokens[who] = answer.json()["token"]
        return self.tokens[who]

    async def call(self, who: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        headers = options.pop("headers", {})
        if who is not None:
            headers = {"Authorization": f"Bearer {await self.token(who)}", **headers}
        return await self.http.request(method, path, headers=headers, **options)

    async def user_id(self, who: str) -> str:
        return (await self.services.authenticator.authenticate(await self.token(who))).user_id

    async def upload(self, who: str, files: dict[str, bytes]) -> str:
        """Upload files as the page does, and return their prefix."""
        listed = [{"name": name, "size": len(content)} for name, content in files.items()]
        answer = await self.call(who, "POST", "/api/uploads", json={"files": listed})
        assert answer.status_code == 201, answer.text
        for target in answer.json()["files"]:
            put = await self.web.put(target["url"], content=files[target["name"]], headers=target["headers"])
            assert put.status_code == 201, put.text
        prefix: str = answer.json()["prefix"]
        return prefix

    async def start(self, who: str, prefix: str = "", **options: Any) -> dict[str, Any]:
        answer = await self.call(who, "POST", "/api/jobs/packer", json={"prefix": prefix}, **options)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    async def deliver(self, queue: str = "packer") -> int:
        """Do what the host does with the messages that lie on the queue; returns how many there were."""
        count = 0
        async for message in self.services.queues[queue].receive_messages():
            await self.services.queues[queue].delete_message(message)
            await self.services.manager.runner(queue).receive(base64.b64decode(message.content))
            count += 1
        return count

    async def job(self, who: str, job_id: str) -> dict[str, Any]:
        answer = await self.call(who, "GET", f"/api/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job


@pytest.fixture
async def site(
    settings: dict[str, str], kinds: ModuleType, azurite: AzuriteServer, hub: ControlledHub
) -> AsyncIterator[Site]:
    services = composition.services()
    if (azurite.pid, kinds.__name__) not in _prepared:
        await services.queues.ensure(*services.manager.registry.queues)
        prepare_blobs()
        _prepared.add((azurite.pid, kinds.__name__))
    for queue in services.manager.registry.queues:
        await services.queues[queue].clear_messages()
    hub.control("reset")
    api = create_api(services, web=WEB)
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as http, httpx.AsyncClient() as web:
        yield Site(services=services, settings=settings, http=http, web=web)
    await services.queues.close()
    await services.notifier.close()
    await services.database.close()
