"""Queues on a real Azurite."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.storage.queue import AccountSasPermissions, ResourceTypes, generate_account_sas
from uuid_utils.compat import uuid7

from queued_jobs.backend import Backend
from queued_jobs.errors import SendFailed
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.queues import QueueDepth, QueueMissing, StorageQueues
from queued_jobs.testing import InMemoryRepository
from tools.local_stack.azurite import ACCOUNT_KEY, ACCOUNT_NAME, AzuriteServer

MESSAGE = JobMessage(id=uuid7(), gen=7)


@pytest.fixture
def name() -> str:
    return f"test-{uuid4().hex[:20]}"


@pytest.fixture
async def queues(azurite: AzuriteServer, name: str) -> AsyncIterator[StorageQueues]:
    async with StorageQueues(azurite.connection_string) as manager:
        await manager.ensure(name)
        yield manager


async def test_what_lies_on_the_queue_is_what_the_host_expects(queues: StorageQueues, name: str) -> None:
    await queues.send(name, MESSAGE)
    (raw,) = [message async for message in queues[name].receive_messages()]
    assert json.loads(base64.b64decode(raw.content, validate=True)) == {"v": 1, "id": str(MESSAGE.id), "gen": 7}
    assert JobMessage.decode(base64.b64decode(raw.content)) == MESSAGE
    assert raw.expires_on is not None
    assert raw.expires_on.year == 9999, "it never expires"


async def test_a_delayed_message_is_hidden(queues: StorageQueues, name: str) -> None:
    await queues.send(name, MESSAGE, delay=timedelta(minutes=5))
    assert [message async for message in queues[name].receive_messages()] == []
    assert await queues.depths(name) == [QueueDepth(queue=name, messages=1, poison=0)]


async def test_queues_are_made_with_their_poison_queues_once(queues: StorageQueues, name: str) -> None:
    await queues.ensure(name)
    assert await queues.depths(name) == [QueueDepth(queue=name, messages=0, poison=0)]


async def test_a_redrive_moves_what_was_poisoned_back_as_it_was(queues: StorageQueues, name: str) -> None:
    bodies = [MESSAGE.encode(), *(f"not a job message {number}" for number in range(40))]
    for body in bodies:
        await queues[f"{name}-poison"].send_message(body)
    assert await queues.depths(name) == [QueueDepth(queue=name, messages=0, poison=41)]
    assert await queues.redrive(name, limit=5) == 5
    assert await queues.redrive(name) == 36
    assert await queues.redrive(name) == 0
    raw = [message.content async for message in queues[name].receive_messages()]
    assert sorted(base64.b64decode(content).decode() for content in raw) == sorted(bodies)


async def test_a_redrive_without_a_main_queue_loses_nothing(queues: StorageQueues, name: str) -> None:
    await queues[f"{name}-poison"].send_message("x")
    await queues[name].delete_queue()
    with pytest.raises(SendFailed, match=f"Only 0 messages .* {name} "):
        await queues.redrive(name)
    assert await queues.depths(name) == [QueueDepth(queue=name, messages=0, poison=1)]


async def test_a_queue_that_is_not_there(queues: StorageQueues) -> None:
    with pytest.raises(SendFailed, match="no-such-queue"):
        await queues.send("no-such-queue", MESSAGE)
    with pytest.raises(SendFailed):
        await queues.ping("no-such-queue")
    assert await queues.depths("no-such-queue") == [QueueDepth(queue="no-such-queue", messages=0, poison=0)]
    assert await queues.redrive("no-such-queue") == 0


async def test_an_account_that_is_away_is_told_in_time(azurite: AzuriteServer) -> None:
    port = azurite.queue_endpoint.rsplit(":", 1)[1].split("/")[0]
    async with StorageQueues(azurite.connection_string.replace(f":{port}/", ":9/")) as manager:
        with pytest.raises(SendFailed) as caught:
            await manager.send("demo", MESSAGE)
    assert "AccountKey" not in str(caught.value)


@pytest.mark.parametrize("poison_too", [False, True])
async def test_a_queue_that_was_deleted_is_created_for_the_next_message(
    queues: StorageQueues, name: str, poison_too: bool, caplog: pytest.LogCaptureFixture
) -> None:
    await queues[name].delete_queue()
    if poison_too:
        await queues[f"{name}-poison"].delete_queue()
    dispatcher = Backend(InMemoryRepository(), queues).dispatcher()
    due = Reserved(message=MESSAGE, queue=name, delay=timedelta(), until=datetime(2026, 1, 1, tzinfo=UTC))
    caplog.set_level(logging.INFO, logger="queued_jobs")
    assert await dispatcher.send([due]) == {MESSAGE}
    assert await queues.depths(name) == [QueueDepth(queue=name, messages=1, poison=0)]
    await queues.ping(name, f"{name}-poison")
    assert name in caplog.text


async def test_a_queue_that_may_not_be_created_is_named_with_the_remedy(azurite: AzuriteServer, name: str) -> None:
    token = generate_account_sas(
        ACCOUNT_NAME,
        ACCOUNT_KEY,
        resource_types=ResourceTypes(object=True, container=True),
        permission=AccountSasPermissions(read=True, add=True, process=True),
        expiry=datetime.now(UTC) + timedelta(days=1),
    )
    account = f"QueueEndpoint={azurite.queue_endpoint};SharedAccessSignature={token}"
    async with StorageQueues(account) as queues:
        with pytest.raises(QueueMissing, match=name):
            await queues.send(name, MESSAGE)
        with pytest.raises(SendFailed, match=f"{name} .*not allowed to create") as caught:
            await queues.ensure(name)
    assert token not in str(caught.value)
