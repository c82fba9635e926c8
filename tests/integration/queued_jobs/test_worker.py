"""The worker of the library, on a real Azurite and a real Postgres."""

from __future__ import annotations

import asyncio
import base64
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar
from uuid import uuid4

import psycopg
import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobHandle, JobRunner, JobStatus, QueueManager, Worker, _listener
from queued_jobs.database import Database
from queued_jobs.errors import StoreUnavailable
from queued_jobs.postgres import PostgresRepository
from queued_jobs.queues import StorageQueues
from queued_jobs.testing import FakeQueues
from tests.support.waiting import eventually
from tools.local_stack.azurite import AzuriteServer
from tools.local_stack.proxy import Proxy

PATIENCE = timedelta(minutes=3)
SOON = timedelta(milliseconds=200)


class Ask(BaseModel):
    n: int = 1


@dataclass
class Site:
    """An application without the Functions host: a kind with a queue of its own, and workers."""

    manager: QueueManager
    queues: StorageQueues
    kind: type[JobRunner[Ask, None]]
    url: str
    #: Called by the body.
    body: Callable[[Ask], Awaitable[None]] | None = None
    bodies: list[int] = field(default_factory=list)

    async def queue(self, n: int = 1) -> JobHandle[None]:
        return await self.manager.queue_job(self.kind, Ask(n=n), user_id="ann")

    @asynccontextmanager
    async def worker(self, **options: Any) -> AsyncIterator[Worker]:
        defaults: dict[str, Any] = {"sweep_every": SOON, "signals": (), "grace": timedelta()}
        worker = Worker(self.manager, **defaults | options)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
            assert not running.done()
        finally:
            worker.stop()
            await running

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as conn:
            return conn.execute(statement).fetchall()

    async def is_empty(self) -> bool:
        (depth,) = await self.queues.depths(self.kind.queue)
        return (depth.messages, depth.poison) == (0, 0)


@pytest.fixture
async def site(jobs_url: str, azurite: AzuriteServer) -> AsyncIterator[Site]:
    async with _site(jobs_url, azurite.connection_string) as site:
        yield site


@asynccontextmanager
async def _site(url: str, account: str) -> AsyncIterator[Site]:
    name = f"worker-{uuid4().hex[:16]}"

    class Demo(JobRunner[Ask, None]):
        kind = queue = name
        lease = timedelta(seconds=8)
        site: ClassVar[Site]

        async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
            self.site.bodies.append(request.n)
            if self.site.body is not None:
                await self.site.body(request)

    async with StorageQueues(account) as queues:
        database = Database(url)
        manager = QueueManager([Demo], repository=PostgresRepository(database), queues=queues)
        Demo.site = Site(manager=manager, queues=queues, kind=Demo, url=url)
        yield Demo.site
        await database.close()


async def test_a_message_stays_hidden_while_its_job_runs(site: Site) -> None:
    visible: list[object] = []

    async def body(request: Ask) -> None:
        await asyncio.sleep(8)
        visible.extend([message async for message in site.queues[site.kind.queue].receive_messages()])

    site.body = body
    async with site.worker(visibility=timedelta(seconds=6)):  # renewed each two: a busy machine may stall in between
        handle = await site.queue()
        await handle.result(timeout=PATIENCE)
        await eventually(site.is_empty, "the message is acknowledged")
    assert visible == []
    assert site.bodies == [1]


async def test_missing_queues_are_created(site: Site) -> None:
    async with site.worker():
        await (await site.queue()).result(timeout=PATIENCE)
        await site.queues[site.kind.queue].delete_queue()
        await site.queues[f"{site.kind.queue}-poison"].delete_queue()
        await (await site.queue()).result(timeout=PATIENCE)


@pytest.mark.parametrize("content", ["abcde", "", "%%%", "ÄÖÜ", base64.b64encode(b"\xff\x00").decode(), "e30="])
async def test_a_malformed_message_is_rejected_and_the_loop_goes_on(site: Site, content: str) -> None:
    await site.queues.ensure(site.kind.queue)
    await site.queues.put(site.kind.queue, content)
    async with site.worker():
        await (await site.queue()).result(timeout=PATIENCE)
        await eventually(site.is_empty, "the message is settled")
    (rejected,) = site.rows("select queue, body_start from queued_jobs.rejected_message")
    assert rejected[0].removesuffix("-poison") == site.kind.queue


async def test_the_queue_service_is_away_for_a_while(jobs_url: str, azurite: AzuriteServer) -> None:
    with Proxy(azurite.ports[1]) as network:
        account = azurite.connection_string.replace(f":{azurite.ports[1]}/", f":{network.port}/")
        async with _site(jobs_url, account) as site, site.worker():
            await (await site.queue(1)).result(timeout=PATIENCE)
            network.refuse()
            network.cut(reset=True)
            handle = await site.queue(2)
            assert not handle.sent
            network.refuse(False)
            await handle.result(timeout=PATIENCE)
            assert site.bodies == [1, 2]


async def test_what_fails_each_time_is_poisoned_after_five_deliveries(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_listener, "RETRY_AFTER", timedelta())
    runner = site.manager.runner(site.kind.kind)
    delivered: list[bytes] = []
    poisoned: list[bytes] = []

    async def fail(body: bytes, *, queue: str) -> None:
        delivered.append(body)
        raise StoreUnavailable

    async def take(body: bytes, *, queue: str) -> None:
        assert queue == site.kind.queue
        poisoned.append(body)

    monkeypatch.setattr(runner, "receive", fail)
    monkeypatch.setattr(runner, "receive_poison", take)
    # a long pause, so that the sweeper sends nothing again
    async with site.worker(sweep_every=PATIENCE):
        await site.queue()

        async def is_poisoned() -> bool:
            return bool(poisoned)

        await eventually(is_poisoned, "the message reaches the poison queue")
        await eventually(site.is_empty, "it is acknowledged there")
    assert len(delivered) == _listener.MAX_DELIVERIES
    assert set(delivered) == set(poisoned)


async def test_no_more_jobs_run_concurrently_than_allowed(site: Site) -> None:
    running, most = 0, 0
    both_run = asyncio.Event()

    async def body(request: Ask) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            both_run.set()
        await both_run.wait()  # however slowly they come
        await asyncio.sleep(0.05)
        running -= 1

    site.body = body
    handles = [await site.queue(n) for n in range(8)]
    async with site.worker(concurrency=2):
        for handle in handles:
            await handle.result(timeout=PATIENCE)
    assert most == 2


async def test_an_unexpected_error_ends_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = iter([RuntimeError("unexpected"), ZeroDivisionError()])
    sweep = site.manager.sweeper.run_once

    async def fail_at_first() -> object:
        if (error := next(errors, None)) is not None:
            raise error
        return await sweep()

    monkeypatch.setattr(site.manager.sweeper, "run_once", fail_at_first)
    async with site.worker():
        # only the sweeper sends it
        unsent = QueueManager([site.kind], repository=site.manager.backend.repository, queues=_no_queues())
        handle = await unsent.queue_job(site.kind, Ask(), user_id="ann")
        assert not handle.sent
        await handle.result(timeout=PATIENCE)


def _no_queues() -> FakeQueues:
    queues = FakeQueues()
    queues.unavailable = True
    return queues


async def test_a_loop_that_ends_ends_the_worker(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def end() -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(site.manager.sweeper, "run_once", end)
    with pytest.raises(RuntimeError, match="sweeper"):
        await Worker(site.manager, signals=()).run()


async def test_a_stop_waits_for_running_jobs_and_gives_back_the_rest(site: Site) -> None:
    let_go = asyncio.Event()
    begun = asyncio.Semaphore(0)

    async def body(request: Ask) -> None:
        begun.release()
        await (let_go.wait() if request.n == 1 else asyncio.Event().wait())

    site.body = body
    worker = Worker(site.manager, signals=(), grace=PATIENCE)
    running = asyncio.create_task(worker.run())
    first, second = await site.queue(1), await site.queue(2)
    await begun.acquire()
    await begun.acquire()
    worker.stop()
    late = await site.queue(3)
    let_go.set()
    await first.result(timeout=PATIENCE)
    assert not running.done(), "the second one still runs"
    worker.stop()
    await running
    given_back = site.rows(
        "select id, status, attempt - uncounted from queued_jobs.job where attempt > 0 and result is null"
    )
    assert (second.id, JobStatus.PENDING, 0) in given_back
    assert sorted(site.bodies) == [1, 2], "nothing was taken after the stop"
    assert (late.job.status, late.sent) == (JobStatus.PENDING, True)


async def test_a_cancelled_worker_gives_its_jobs_back(site: Site) -> None:
    begun = asyncio.Event()

    async def body(request: Ask) -> None:
        begun.set()
        await asyncio.Event().wait()

    site.body = body
    running = asyncio.create_task(Worker(site.manager, signals=()).run())
    await site.queue()
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert site.rows("select status from queued_jobs.job") == [(JobStatus.PENDING,)]


async def test_jobs_with_a_schedule_start(jobs_url: str, azurite: AzuriteServer) -> None:
    name = f"worker-{uuid4().hex[:16]}"

    class Ticking(JobRunner[Ask, None]):
        kind = queue = name
        schedule = "* * * * * *"

        async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
            return None

    async with StorageQueues(azurite.connection_string) as queues:
        database = Database(jobs_url)
        manager = QueueManager([Ticking], repository=PostgresRepository(database), queues=queues)
        site = Site(manager=manager, queues=queues, kind=Ticking, url=jobs_url)
        async with site.worker(sweep_every=PATIENCE):

            async def have_run() -> bool:
                done = site.rows("select idempotency_key from queued_jobs.job where status = 'succeeded'")
                return len(set(done)) >= 2

            await eventually(have_run, "two occurrences")
        await database.close()


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"visibility": timedelta(seconds=1)}])
def test_wrong_options_are_refused(jobs_url: str, azurite: AzuriteServer, wrong: dict[str, Any]) -> None:
    class Never(JobRunner[Ask, None]):
        kind = queue = "never"

        async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
            return None

    repository = PostgresRepository(Database(jobs_url))
    queues = StorageQueues(azurite.connection_string)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Worker(QueueManager([Never], repository=repository, queues=queues), **wrong)
    for name, parameter in inspect.signature(Worker).parameters.items():
        kinds = {timedelta: (None, 30, 0.5, "30s", timedelta(-1), timedelta.max), int: (None, 2.5, "3", True, 0, 2**63)}
        for value in kinds.get(type(parameter.default), ()):
            odd: dict[str, Any] = {name: value}
            with pytest.raises((TypeError, ValueError), match=name):
                Worker(QueueManager([Never], repository=repository, queues=queues), **odd)
    with pytest.raises(ValueError, match="kinds"):
        Worker(QueueManager([], repository=repository, queues=queues))
    with pytest.raises(TypeError, match="FakeQueues"):
        Worker(QueueManager([Never], repository=repository, queues=FakeQueues()))
