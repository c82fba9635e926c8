"""The bell of one user, without a browser: what its pushes and its lists say."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import httpx
from websockets.exceptions import WebSocketException

from tools.local_stack.hub_client import HubClosed, listening

if TYPE_CHECKING:
    from tools.chaos.world import World

_PAUSE = 0.5
_LOST = (httpx.HTTPError, HubClosed, WebSocketException, OSError, TimeoutError)


class Bell:
    """Follows the pushes of a user, connecting again after each loss, and keeps the highest version of each job."""

    def __init__(self, user_id: str, token: str, world: World) -> None:
        self.user_id = user_id
        self.token = token
        self.pushes = 0
        self.connections = 0
        self.shown: dict[str, tuple[int, str]] = {}
        self._world = world

    def start(self) -> None:
        self._task = asyncio.create_task(self._follow(), name=f"bell of {self.user_id}")

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def read(self) -> None:
        """Read the whole list, as a page does after each connect."""
        before: str | None = None
        async with self._api() as api:
            while True:
                query = {"limit": "100"} | ({"before": before} if before else {})
                page = (await api.get("/api/jobs/mine", params=query)).raise_for_status().json()
                self._take(page["items"])
                before = page.get("nextBefore")
                if not before:
                    return

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(*_LOST):
                async with self._api() as api, listening(api) as listener:
                    self.connections += 1
                    async for method, arguments in listener.invocations():
                        if method != "removed":
                            self.pushes += 1
                            self._take(arguments)
            await asyncio.sleep(_PAUSE)

    def _api(self) -> httpx.AsyncClient:
        host = random.choice(self._world.hosts)  # noqa: S311 (as a load balancer does)
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=host.page_url, headers=headers, trust_env=False, timeout=10)

    def _take(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        for job in jobs:
            known = self.shown.get(job["id"])
            if known is None or job["version"] > known[0]:
                self.shown[job["id"]] = (job["version"], job["status"])
