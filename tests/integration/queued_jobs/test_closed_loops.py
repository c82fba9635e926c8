"""Services of a module are used by one event loop after another, and nobody closes them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, JobStatus, QueueManager
from queued_jobs.batch import FollowUp
from queued_jobs.database import Database
from queued_jobs.message import JobMessage
from queued_jobs.postgres import PostgresRepository
from queued_jobs.push.signalr import ConnectionString, SignalRNotifier
from queued_jobs.push.webhook import Webhook, WebhookFailed
from queued_jobs.queues import StorageQueues
from queued_jobs.registry import JobRegistry
from tests.support.hub import ControlledHub
from tests.support.waiting import PATIENCE_SECONDS, eventually, wait_until
from tools.local_stack import ports
from tools.local_stack.azurite import AzuriteServer

CALLS = 200


class Ask(BaseModel):
    n: int = 1


class Child(JobRunner[Ask, None]):
    kind = "loop-child"
    queue = "loop-child"

    async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        return None


class Reader(JobRunner[Ask, None]):
    """Its body is a plain `def`, which reads the jobs of its batch in event loops of its own."""

    kind = "loop-reader"
    queue = "loop-reader"

    def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        for _ in range(request.n):
            assert len(asyncio.run(_batch(ctx))) == 1


async def _batch(ctx: JobContext[None]) -> list[object]:
    return [*await ctx.batch()]


class Services:
    """What an application holds for as long as its process lives."""

    def __init__(self, jobs_url: str, azurite: AzuriteServer, hub: ControlledHub) -> None:
        registry = JobRegistry([Child, Reader])
        self.database = Database(jobs_url)
        self.repository = PostgresRepository(self.database)
        self.queues = StorageQueues(azurite.connection_string)
        self.notifier = SignalRNotifier(ConnectionString.parse(hub.connection_string), registry)
        self.webhook = Webhook(f"{hub.endpoint}/nowhere", b"x" * 32, registry, tries=1)
        self.manager = QueueManager(registry, repository=self.repository, queues=self.queues, notifier=self.notifier)

    async def start(self) -> None:
        await self.manager.queue_job(Child, Ask(), user_id="ann")

    async def close(self) -> None:
        await self.notifier.close()
        await self.queues.close()
        await self.database.close()


@pytest.fixture
def services(jobs_url: str, azurite: AzuriteServer, hub: ControlledHub) -> Services:
    services = Services(jobs_url, azurite, hub)

    async def prepare() -> None:
        await services.queues.ensure(Child.queue, Reader.queue)
        await services.start()
        await services.close()

    asyncio.run(prepare())
    return services


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Neither file descriptors nor warnings of resources that were not closed are left behind."""
    gc.collect()
    before = open_files()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    # a push that still waits when its loop ends is made then, and httpx reads the answer by generators
    left = [message for warning in caught if "shutdown_asyncgens" not in (message := str(warning.message))]
    assert left == []
    assert open_files() <= before


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_one_loop_after_another_starts_a_job(
    services: Services, connections: Callable[[], int], no_leaks: None
) -> None:
    for _ in range(CALLS):
        asyncio.run(services.start())
        wait_until(lambda: connections() <= 2, "the server has noticed the end of the calls before")
    wait_until(lambda: connections() == 0, "nothing is left")


def test_loops_of_other_threads(services: Services, connections: Callable[[], int], no_leaks: None) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: asyncio.run(services.start()), range(CALLS // 4)))
    wait_until(lambda: connections() == 0, "nothing is left")


def test_a_plain_body_reads_its_batch(services: Services, connections: Callable[[], int], no_leaks: None) -> None:

    async def has_its_own() -> bool:
        return connections() <= 4

    async def run() -> None:
        batch = await services.manager.queue_jobs(
            Child,
            [Ask()],
            user_id="ann",
            follow_up=FollowUp(runner=Reader, request=Ask(n=CALLS // 4)),
        )
        await services.manager.runner(Child.kind).execute(JobMessage.of(batch.handles[0].job))
        assert batch.follow_up is not None
        await services.manager.runner(Reader.kind).execute(JobMessage.of(batch.follow_up.job))
        await eventually(has_its_own, "only connections of the worker's own loop are left")
        ended = await services.repository.batch(batch.id)
        assert [job.status for job in ended] == [JobStatus.SUCCEEDED]
        row = await services.database.row("get", {"id": batch.follow_up.id, "any_user": True, "user_id": None})
        assert row is not None
        assert row["status"] == JobStatus.SUCCEEDED

    asyncio.run(run())
    wait_until(lambda: connections() == 0, "nothing is left")


def test_a_loop_that_is_just_closed_leaves_nothing_for_long(services: Services, connections: Callable[[], int]) -> None:
    """`loop.close()` alone gives nothing a chance to be closed in the loop's own time."""
    for _ in range(CALLS // 4):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(services.database.ping())
        loop.close()
        wait_until(lambda: connections() <= 1, "those of the loops before are gone")
    asyncio.run(services.database.ping())
    wait_until(lambda: connections() == 0, "nothing is left")


def test_a_webhook_closes_its_connections_with_the_loop(services: Services, no_leaks: None) -> None:
    async def post() -> None:
        handle = await services.manager.queue_job(Child, Ask(), user_id="ann")
        with pytest.raises(WebhookFailed):  # the hub has no such page, but it is there
            await services.webhook.post(handle.job)

    for _ in range(10):
        asyncio.run(post())


def test_what_a_running_loop_closes_is_opened_again(services: Services) -> None:
    async def use() -> None:
        for _ in range(2):
            await services.start()
            await services.close()

    asyncio.run(use())


def test_a_loop_ends_while_it_connects_to_a_silent_server() -> None:
    """psycopg's pool takes no notice of a cancellation while it connects, and `asyncio.run` waits for all tasks."""

    async def give_up(port: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await Database(f"postgresql://u:p@{ports.LOOPBACK}:{port}/d").ping()

    with socket.create_server((ports.LOOPBACK, 0)) as silent:
        run = threading.Thread(target=lambda: asyncio.run(give_up(silent.getsockname()[1])), daemon=True)
        run.start()
        run.join(PATIENCE_SECONDS)
    assert not run.is_alive()
