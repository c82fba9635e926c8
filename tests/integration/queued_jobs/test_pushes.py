"""Receivers that never answer, or answer nonsense: no job, no request and no sweep waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from queued_jobs import JobContext, JobStatus, QueuedJob, QueueManager
from queued_jobs.message import JobMessage
from queued_jobs.model import Changed
from queued_jobs.notifier import Notifier
from queued_jobs.push import signalr
from queued_jobs.push.signalr import ConnectionString, PushFailed, SignalRNotifier
from queued_jobs.push.webhook import Webhook, WebhookFailed
from queued_jobs.registry import JobRegistry
from queued_jobs.tracker import ANY_USER
from tests.integration.queued_jobs.conftest import Answer as Done
from tests.integration.queued_jobs.conftest import Ask, Demo, Shop

JOBS = 60
SLOTS = 8
#: Far longer than a test may take: a wait for one of these never succeeds.
NEVER = 3600.0

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[int]:
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await answer(reader, writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.close()


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        continue


def saying(text: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        with suppress(ConnectionError):
            writer.write(text)
            await writer.drain()
        writer.close()

    return answer


def hub_at(port: int) -> SignalRNotifier:
    connection = ConnectionString(endpoint=f"http://127.0.0.1:{port}", access_key="k" * 44)
    return SignalRNotifier(connection, JobRegistry([Demo]))


class NeverReturns:
    """A notifier as a fork may write it."""

    async def job_changed(self, *jobs: QueuedJob) -> None:
        await asyncio.Event().wait()

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        await asyncio.Event().wait()


class Flooding(Demo):
    """Emits as fast as it can, if its request says so."""

    async def on_execute(self, request: Ask, ctx: JobContext[Done]) -> Done:
        for number in range(request.n if request.n > 1 else 0):
            await ctx.emit("story", f"{number} ")
        return Done(text="done")


class Unanswered(Demo):
    """Posts to a webhook that never answers."""

    kind = "demo"
    hook: Webhook

    async def on_status_updated(self, job: QueuedJob) -> None:
        await self.hook.post(job)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No push fails or ends during a test, however slow the machine is."""
    monkeypatch.setattr("queued_jobs.push.signalr._PUSH_TIMEOUT", NEVER)
    monkeypatch.setattr("queued_jobs.push.webhook._TIMEOUT", NEVER)
    monkeypatch.setattr("queued_jobs.outbox.DEADLINE", timedelta(seconds=NEVER))
    monkeypatch.setattr("queued_jobs.outbox.LAST_CALL", timedelta(milliseconds=50))


async def everything(shop: Shop, notifier: Notifier, kind: type[Demo] = Demo) -> None:
    """Queue jobs, run all of them in a few slots, rescue, cancel, clear: each of it tells somebody something."""
    manager = QueueManager([kind], repository=shop.repository, queues=shop.queues, notifier=notifier)
    runner = manager.runner(kind.kind)
    handles = [await manager.queue_job(Demo, Ask(), user_id="ann") for _ in range(JOBS // 2)]
    handles += (await manager.queue_jobs(Demo, [Ask()] * (JOBS // 2), user_id="ann")).handles
    slots = asyncio.Semaphore(SLOTS)

    async def run(message: JobMessage) -> None:
        async with slots:
            await runner.execute(message)

    await asyncio.gather(*(run(due.message) for due in shop.queues.take()))
    tracker = manager.tracker
    jobs = [await tracker.get(handle.id, user_id="ann") for handle in handles]
    assert [job.status for job in jobs] == [JobStatus.SUCCEEDED] * JOBS
    lost, waiting = await shop.running(), await shop.queue()
    over = "update queued_jobs.job set lease_until = now() - interval '1 hour' where id = %s"
    async with shop.database.connection() as conn:
        await conn.execute(over, (lost.id,))
    assert (await manager.sweeper.run_once()).rescued == 1
    await tracker.cancel(waiting.id, user_id=ANY_USER)
    await tracker.retry(waiting.id, user_id=ANY_USER)
    cleared, since = await tracker.clear_finished("ann")
    assert len(cleared) == JOBS
    assert len(await tracker.undo_clear("ann", [change.id for change in cleared], since=since)) == JOBS


@pytest.mark.usefixtures("patient")
class TestNobodyWaits:
    async def test_for_a_hub_that_takes_pushes_and_never_answers(self, shop: Shop) -> None:
        async with listening(swallow) as port, asyncio.timeout(120):
            hub = hub_at(port)
            await everything(shop, hub)
            await hub.close()

    @pytest.mark.parametrize("hub", ["hangs", "refuses"])
    async def test_for_a_hub_while_a_job_emits_a_hundred_thousand_times(self, shop: Shop, hub: str) -> None:
        emits, others = 100_000, 20
        answer = swallow if hub == "hangs" else saying(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
        async with listening(answer) as port, asyncio.timeout(120):
            notifier = hub_at(port)
            manager = QueueManager([Flooding], repository=shop.repository, queues=shop.queues, notifier=notifier)
            handles = [
                await manager.queue_job(Flooding, Ask(n=emits if number == 0 else 1), user_id=f"user-{number}")
                for number in range(1 + others)
            ]
            runner = manager.runner("demo")
            await asyncio.gather(*(runner.execute(JobMessage.of(handle.job)) for handle in handles))
            jobs = [await manager.tracker.get(handle.id, user_id=ANY_USER) for handle in handles]
            await notifier.close()
        assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}
        page = await manager.tracker.stream(handles[0].id, user_id="user-0", after=emits - 1)
        assert [one.text for one in page.chunks] == [f"{emits - 1} "]

    async def test_for_a_notifier_of_a_fork_that_never_returns(self, shop: Shop) -> None:
        async with asyncio.timeout(120):
            await everything(shop, NeverReturns())

    async def test_for_a_webhook_that_never_answers(self, shop: Shop) -> None:
        async with listening(swallow) as port, asyncio.timeout(120):
            Unanswered.hook = Webhook(f"http://127.0.0.1:{port}/", b"s" * 32, JobRegistry([Demo]))
            await everything(shop, shop.notifier, Unanswered)
            await Unanswered.hook.close()


NONSENSE = {
    "nothing": b"",
    "zeros": b"\0" * 64,
    "Postgres": b"E\0\0\0\x30SFATAL\0",
    "SSH": b"SSH-2.0-OpenSSH_9\r\n",
    "mail": b"220 mail ESMTP\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x16",
    "text": b"hello",
    "version": b"HTTP/9.9 200 OK\r\n\r\n",
    "status": b"HTTP/1.1 abc OK\r\n\r\n",
    "header": b"HTTP/1.1 200 OK\r\nfoo\r\n\r\n",
    "length": b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
    "long header": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n",
    "no UTF-8": b"HTTP/1.1 200 \xff\xfe\r\nx: \xff\r\ncontent-length: 0\r\n\r\n",
    "cut off": b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nabc",
    "chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "gzip": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
    "redirect": b"HTTP/1.1 302 Found\r\nlocation: http://[::bad/\r\ncontent-length: 0\r\n\r\n",
    "another place": b"HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n",
    "upgrade": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "go on": b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
}


class TestNonsense:
    @pytest.mark.parametrize("what", NONSENSE)
    async def test_an_answer_that_is_no_hub_s_is_one_of_our_errors(self, what: str) -> None:
        async with listening(saying(NONSENSE[what])) as port:
            hub = hub_at(port)
            for call in (hub.add_admin("ann"), hub._send("users/ann", "job", b"{}")):
                with pytest.raises(PushFailed) as raised:
                    await call
                assert "\n" not in str(raised.value)
            await hub.close()

    @pytest.mark.parametrize("what", NONSENSE)
    async def test_a_webhook_raises_nothing_else_either(self, shop: Shop, what: str) -> None:
        async with listening(saying(NONSENSE[what])) as port:
            hook = Webhook(f"http://127.0.0.1:{port}/", b"s" * 32, JobRegistry([Demo]), tries=1)
            with suppress(WebhookFailed):  # it may take some of it for an answer
                await hook.post((await shop.queue()).job)
            await hook.close()

    async def test_an_answer_that_never_ends_is_cut_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(signalr, "_PUSH_TIMEOUT", 0.2)

        async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.01)

        async with listening(trickle) as port, asyncio.timeout(30):
            hub = hub_at(port)
            with pytest.raises(PushFailed):
                await hub.add_admin("ann")
            await hub.close()
