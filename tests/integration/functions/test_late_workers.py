"""A worker that was frozen or given up comes back after another attempt has won, and never touches its file."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from archive import BlockWriter
from storage import RESULTS, blob_service
from tests.integration.functions.conftest import Site
from tests.support.waiting import PATIENCE_SECONDS


class Freezer:
    """Stops the first commit of a blob, right before or right after it, until it is thawed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
        self.frozen = threading.Event()
        self._thawed = threading.Event()
        commit = BlockWriter.commit

        def frozen_once(writer: BlockWriter, **options: Any) -> None:
            if self.frozen.is_set():
                commit(writer, **options)
                return
            if after:
                commit(writer, **options)
            self.frozen.set()
            assert self._thawed.wait(PATIENCE_SECONDS)
            if not after:
                commit(writer, **options)

        monkeypatch.setattr(BlockWriter, "commit", frozen_once)

    @asynccontextmanager
    async def within(self, site: Site, kind: str) -> AsyncIterator[asyncio.Task[None]]:
        """Deliver the message of a job to a worker, which is frozen inside of this block and comes back after it."""
        worker = asyncio.create_task(run_one(site, kind))
        try:
            assert await asyncio.to_thread(self.frozen.wait, PATIENCE_SECONDS)
            yield worker
        finally:
            self._thawed.set()
        await worker


async def start(site: Site, kind: str, files: dict[str, bytes]) -> str:
    body = {"prefix": await site.upload("ann", files)}
    answer = await site.call("ann", "POST", f"/api/jobs/{kind}", json=body)
    assert answer.status_code == 202, answer.text
    key: str = answer.json()["id"]
    return key


async def run_one(site: Site, kind: str) -> None:
    """Do what a worker does with one message."""
    message = await site.services.queues[kind].receive_message()
    assert message is not None
    await site.services.queues[kind].delete_message(message)
    await site.services.manager.runner(kind).receive(base64.b64decode(message.content))


async def end_lease(site: Site) -> None:
    async with site.services.database.connection() as conn:
        await conn.execute(
            "update queued_jobs.job set lease_until = now() - interval '1 minute' where status = 'running'"
        )
    await site.services.manager.sweeper.run_once()


async def cancelled_and_retried(site: Site, key: str, worker: asyncio.Task[None]) -> None:
    """The owner gives up on a worker that says nothing more, and tries again."""
    assert (await site.call("ann", "POST", f"/api/jobs/{key}/cancel")).status_code == 202
    await end_lease(site)
    assert (await site.job("ann", key))["status"] == "cancelled"
    assert (await site.call("ann", "POST", f"/api/jobs/{key}/retry")).status_code == 202


async def rescued(site: Site, key: str, worker: asyncio.Task[None]) -> None:
    await end_lease(site)


async def released(site: Site, key: str, worker: asyncio.Task[None]) -> None:
    """The host of the first worker shuts down, while the thread of its body goes on."""
    worker.cancel()
    await worker


async def aborted_and_retried(site: Site, key: str, worker: asyncio.Task[None]) -> None:
    """It was the last worker that the job might lose, and an admin tries again."""
    async with site.services.database.connection() as conn:
        await conn.execute("update queued_jobs.job set lost_count = 2")
    await end_lease(site)
    assert (await site.job("ann", key))["status"] == "aborted"
    assert (await site.call("admin", "POST", f"/api/jobs/{key}/retry")).status_code == 202


async def content(site: Site, key: str, result: dict[str, Any]) -> bytes:
    """Return the file of the job, as its owner gets it where the kind has a download."""
    if "fileName" in result:
        answer = await site.call("ann", "GET", f"/api/jobs/{key}/download")
        assert answer.status_code == 200, answer.text
        async with httpx.AsyncClient(trust_env=False) as browser:
            return (await browser.get(answer.json()["url"])).raise_for_status().content
    return blob_service().get_blob_client(result["container"], result["blob"]).download_blob().readall()


type TakesOver = Callable[[Site, str, asyncio.Task[None]], Awaitable[None]]

AFTER = pytest.mark.parametrize("after", [True, False], ids=["after its commit", "before its commit"])


@AFTER
@pytest.mark.parametrize("takes_over", [cancelled_and_retried, aborted_and_retried, rescued, released])
async def test_the_winners_file_is_as_the_winner_left_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, after: bool, takes_over: TakesOver
) -> None:
    await keep_the_winners_file(site, monkeypatch, "packer", {"a.txt": b"hello"}, after=after, takes_over=takes_over)


async def keep_the_winners_file(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    files: dict[str, bytes],
    *,
    after: bool,
    takes_over: TakesOver = rescued,
) -> None:
    """Freeze the first worker of a job of this kind at its commit, let another one win, and thaw the first."""
    key = await start(site, kind, files)
    # no heartbeat comes between the end of its lease and the sweep
    monkeypatch.setattr(type(site.services.manager.runner(kind)), "lease", timedelta(hours=1))
    freezer = Freezer(monkeypatch, after=after)
    async with freezer.within(site, kind) as worker:
        await takes_over(site, key, worker)
        await run_one(site, kind)
        won = await site.job("ann", key)
        assert won["status"] == "succeeded"
        properties = blob_service().get_blob_client(RESULTS, won["result"]["blob"]).get_blob_properties()
    await asyncio.to_thread(site.services.manager.runner(kind).body_threads.shutdown)
    assert (await site.job("ann", key))["result"] == won["result"]
    assert await content(site, key, won["result"]), "the file is there"
    now = blob_service().get_blob_client(RESULTS, won["result"]["blob"]).get_blob_properties()
    assert (now.etag, now.last_modified) == (properties.etag, properties.last_modified), "nobody wrote it again"
    left = [blob.name for blob in blob_service().get_container_client(RESULTS).list_blobs(key)]
    assert left == [won["result"]["blob"]], "what the late worker left is removed"
