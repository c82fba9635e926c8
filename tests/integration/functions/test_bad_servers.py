"""Every client, against servers that answer badly or never in full: each call ends in time, with one of our errors."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from api.sign_in.key_set import KeySet, KeysUnavailable
from queued_jobs import JobContext, JobRunner, QueuedJob, QueueManager
from queued_jobs.blocking_transport import BlockingTransport
from queued_jobs.database import Database
from queued_jobs.errors import SendFailed, StoreUnavailable
from queued_jobs.identity import Identity, NoToken
from queued_jobs.message import JobMessage
from queued_jobs.push.signalr import ConnectionString, PushFailed, SignalRNotifier
from queued_jobs.push.webhook import Webhook, WebhookFailed
from queued_jobs.queues import StorageQueues
from queued_jobs.registry import JobRegistry
from queued_jobs.testing import FakeQueues, FrozenClock, InMemoryRepository
from tests.support.bad_server import ENDLESS, PROMPT, TLS, Answer, answering
from tools.local_stack import ports

#: Seconds, far more than each of the deadlines: a call without one never ends here.
PATIENCE = 90
BLOBS_TIMEOUT = 2
_ACCOUNT = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;"
_MESSAGE = JobMessage(id=uuid7(), gen=1)


#: Of the blob service. Besides properties, only bodies of jobs ask it, where any error is a failed attempt.
_OF_BODIES = (AzureError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    client: str
    raises: type[Exception] | tuple[type[Exception], ...]
    run: Callable[[], Awaitable[Any]]


class Nothing(BaseModel):
    pass


class Quiet(JobRunner[Nothing, None]):
    kind = "quiet"
    queue = "quiet"

    async def on_execute(self, request: Nothing, ctx: JobContext[None]) -> None:
        return None


async def a_job() -> QueuedJob:
    manager = QueueManager([Quiet], repository=InMemoryRepository(FrozenClock()), queues=FakeQueues())
    return (await manager.queue_job(Quiet, Nothing(), user_id="ann")).job


def identity_at(there: str) -> Identity:
    """Return the identity of an app whose tokens come from this address."""
    with mock.patch.dict(os.environ, {"IDENTITY_ENDPOINT": f"{there}/msi/token", "IDENTITY_HEADER": "h"}):
        identity = Identity()
        identity.credential()  # which reads them now
    return identity


#: aiohttp leaves a socket open whose TLS handshake is cancelled.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect sockets that clients left open here, not during another test."""
    yield
    gc.collect()


@asynccontextmanager
async def calls(there: str, job: QueuedJob, database: Database) -> AsyncIterator[list[Call]]:
    """What clients of a server ask it; they are closed afterwards."""
    queues = StorageQueues(f"{_ACCOUNT}QueueEndpoint={there}/a;")
    hub = SignalRNotifier(ConnectionString(endpoint=there, access_key="k" * 44), JobRegistry([Quiet]))
    webhook = Webhook(there, b"s" * 32, JobRegistry([Quiet]), tries=1)
    keys = KeySet(there)
    identity = identity_at(there)
    blobs = BlobServiceClient.from_connection_string(
        f"{_ACCOUNT}BlobEndpoint={there}/a;",
        transport=BlockingTransport(BLOBS_TIMEOUT, BLOBS_TIMEOUT),
        retry_total=0,
    )
    blob = blobs.get_blob_client("c", "b")

    def in_thread(function: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
        return lambda: asyncio.to_thread(function)

    yield [
        Call(client="queues", raises=SendFailed, run=lambda: queues.send("queue", _MESSAGE)),
        Call(client="queues", raises=SendFailed, run=lambda: queues.depths("queue")),
        Call(client="queues", raises=SendFailed, run=lambda: queues.redrive("queue")),
        Call(client="hub", raises=PushFailed, run=hub.ping),
        Call(client="hub", raises=PushFailed, run=lambda: hub.job_changed(job)),
        Call(client="webhook", raises=WebhookFailed, run=lambda: webhook.post(job)),
        Call(client="keys", raises=KeysUnavailable, run=lambda: keys.find("k", "RS256")),
        Call(client="tokens", raises=NoToken, run=lambda: identity.token("https://a.example/.default")),
        Call(client="blobs", raises=AzureError, run=in_thread(blob.get_blob_properties)),
        Call(client="blobs", raises=_OF_BODIES, run=in_thread(lambda: blob.download_blob().readall())),
        Call(client="blobs", raises=_OF_BODIES, run=in_thread(lambda: blob.upload_blob(b"x", overwrite=True))),
        Call(client="database", raises=StoreUnavailable, run=database.ping),
    ]
    for client in (queues, hub, webhook, identity):
        await client.close()
    blobs.close()


@asynccontextmanager
async def database_at(port: int, *, tls: bool) -> AsyncIterator[Database]:
    """A database that is closed before its server, since its pool keeps on connecting."""
    mode = "require" if tls else "disable"
    database = Database(f"postgresql://u:p@{ports.LOOPBACK}:{port}/d?sslmode={mode}", max_size=1)
    yield database
    await database.close()


async def outcome(call: Call) -> tuple[str, str]:
    """Return how a call ends, or "too late"."""
    try:
        async with asyncio.timeout(PATIENCE):
            await call.run()
    except call.raises:
        return call.client, "ours"
    except TimeoutError:
        return call.client, "too late"
    except Exception as exc:  # noqa: BLE001 (that is what the test is about)
        return call.client, f"{type(exc).__name__}: {exc}"
    return call.client, "fine"


@pytest.mark.parametrize("servers", [PROMPT, ENDLESS, TLS], ids=["prompt", "endless", "tls"])
async def test_every_call_ends_in_time_with_an_error_of_ours(servers: dict[str, Answer]) -> None:
    job = await a_job()
    tls = servers is TLS

    async def outcomes(answer: Answer) -> list[tuple[str, str]]:
        async with answering(answer) as port, database_at(port, tls=tls) as database:
            there = f"{'https' if tls else 'http'}://{ports.LOOPBACK}:{port}"
            async with calls(there, job, database) as asked:
                return await asyncio.gather(*map(outcome, asked))

    found = dict(zip(servers, await asyncio.gather(*map(outcomes, servers.values())), strict=True))
    for name, ended in found.items():
        assert {how for _, how in ended} <= {"ours", "fine"}, (name, ended)
        # some clients need no more than the status
        assert {("database", "ours"), ("keys", "ours"), ("tokens", "ours")} <= set(ended), name
        assert not tls or {how for _, how in ended} == {"ours"}, (name, ended)


@pytest.mark.parametrize("name", ["a large body", "a body that unpacks to a large one"])
async def test_a_notifier_does_not_read_a_large_response(name: str) -> None:
    async with answering(PROMPT[name]) as port, database_at(port, tls=False) as database:
        there = f"http://{ports.LOOPBACK}:{port}"
        async with calls(there, await a_job(), database) as every:
            ended = await asyncio.gather(*(outcome(call) for call in every if call.client in ("hub", "webhook")))
    assert set(ended) - {("hub", "fine")} == {("hub", "ours"), ("webhook", "ours")}  # a HEAD request has no body
