"""Queues, and links to blobs, of a storage account that takes tokens over TLS instead of its key."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from azure.core.exceptions import AzureError
from uuid_utils.compat import uuid7

import queued_jobs.queues
import storage as functions_storage
from queued_jobs import ResultFile
from queued_jobs.errors import SendFailed
from queued_jobs.identity import Identity, Keyless
from queued_jobs.message import JobMessage
from queued_jobs.queues import QueueDepth, StorageQueues
from tests.integration.keyless.conftest import KeylessAzurite
from tests.support import link_secrets
from tests.support.entra import Entra
from tests.support.tls import Certificate
from tools.local_stack.proxy import SILENT, WELL, Proxy

MESSAGE = JobMessage(id=uuid7(), gen=1)


@pytest.fixture
async def queues(
    entra: Entra, keyless_azurite: KeylessAzurite, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[StorageQueues]:
    monkeypatch.setitem(queued_jobs.queues._CLIENT_OPTIONS, "connection_verify", str(certificate.certificate))
    identity = Identity()
    async with StorageQueues(Keyless(endpoint=keyless_azurite.queue_endpoint, identity=identity)) as manager:
        yield manager
    await identity.close()


@pytest.fixture
def blobs(
    entra: Entra, keyless_azurite: KeylessAzurite, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """The module `storage` of the function app, with settings that hold no key."""
    settings = {
        **{"AUTH_MODE": "invite", "ENVIRONMENT": "local", "SWEEP_SCHEDULE": "0 0 0 1 1 *"},
        **link_secrets.SETTINGS,
        **{"PGHOST": "127.0.0.1", "PGDATABASE": "jobs", "PGUSER": "app"},
        "QueuesConn__queueServiceUri": keyless_azurite.queue_endpoint,
        "BlobsConn__blobServiceUri": keyless_azurite.blob_endpoint,
        "SIGNALR_ENDPOINT": "https://hub.example",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.certificate))
    functions_storage.blob_service.cache_clear()
    yield functions_storage
    functions_storage.blob_service().close()
    functions_storage.blob_service.cache_clear()


async def test_a_message_goes_and_comes_as_an_identity(queues: StorageQueues) -> None:
    name = f"test-{uuid4().hex[:20]}"
    await queues.ensure(name)
    await queues.send(name, MESSAGE)
    await queues.ping(name)
    assert await queues.depths(name) == [QueueDepth(queue=name, messages=1, poison=0)]


@pytest.mark.parametrize("spoil", [{"aud": "https://signalr.azure.com"}, {"exp": 1_700_000_000}])
async def test_a_token_that_the_store_does_not_take_fails_the_send(
    queues: StorageQueues, entra: Entra, spoil: dict[str, Any]
) -> None:
    entra.spoil = spoil
    with pytest.raises(SendFailed):
        await queues.send("packer", MESSAGE)


async def test_without_a_token_a_send_fails_and_says_why(queues: StorageQueues, entra: Entra) -> None:
    entra.refusing = True
    with pytest.raises(SendFailed, match="packer"):
        await queues.send("packer", MESSAGE)


def test_links_are_signed_with_a_key_that_the_service_lends(
    blobs: ModuleType, entra: Entra, certificate: Certificate
) -> None:
    service, content, name = blobs.blob_service(), b"hello", f"{uuid4().hex}/\u00fcber.txt"
    for container in blobs.CONTAINERS:
        if not service.get_container_client(container).exists():
            service.create_container(container)
    with httpx.Client(verify=ssl.create_default_context(cafile=certificate.certificate), trust_env=False) as web:
        upload = blobs.upload_link(name)
        assert web.put(upload.url, content=content, headers={"x-ms-blob-type": "BlockBlob"}).status_code == 201
        assert web.get(upload.url).status_code == 403, "who may write may not read"
        link = blobs.download_link(
            ResultFile(container=blobs.UPLOADS, blob=name, file_name="a.zip", content_type="application/zip")
        )
        lives = link.expires_at - datetime.now(UTC)
        answer = web.get(link.url)
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-disposition"].startswith('attachment; filename="a.zip"')
        for spoilt in (link.url.replace("sp=r&", "sp=rd&"), link.url.replace(name.split("/")[0], "other")):
            assert web.get(spoilt).status_code == 403
    query = parse_qs(urlsplit(link.url).query)
    assert query["skoid"] == [entra.object_id], "a user delegation, not the account's key"
    assert query["sp"] == ["r"]
    assert query["spr"] == ["https"]
    assert timedelta(minutes=14) < lives <= timedelta(minutes=15)
    assert datetime.fromisoformat(query["ske"][0]) > link.expires_at
    assert "account_key" not in vars(service.credential)


def test_a_store_that_falls_silent_is_not_asked_by_everybody_who_wants_a_link(
    blobs: ModuleType, keyless_azurite: KeylessAzurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would wait for all who asked before, and keep one of a few threads."""
    place = urlsplit(keyless_azurite.blob_endpoint)
    asked: list[object] = []
    with Proxy(place.port or 0) as proxy, ThreadPoolExecutor(12) as threads:
        endpoint = place._replace(netloc=f"{place.hostname}:{proxy.port}").geturl()
        monkeypatch.setenv("BlobsConn__blobServiceUri", endpoint)
        blobs.blob_service.cache_clear()
        service = blobs.blob_service()
        lend = service.get_user_delegation_key

        def count(*args: Any, **kwargs: Any) -> Any:
            asked.append(args)
            return lend(*args, **kwargs)

        monkeypatch.setattr(service, "get_user_delegation_key", count)
        blobs.upload_link("x/before")
        blobs._delegation_keys(service)._expires_at = datetime.now(UTC)
        asked.clear()
        proxy.set(SILENT)
        links = [threads.submit(blobs.upload_link, f"x/{number}") for number in range(12)]
        assert all(isinstance(link.exception(), AzureError) for link in links)
        assert len(asked) < len(links)
        proxy.set(WELL, established=False)
        blobs.upload_link("x/after")


def test_a_lent_key_signs_many_links_and_is_replaced_before_it_ends(
    blobs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = blobs.blob_service()
    lent, lend = [], service.get_user_delegation_key

    def counted(*times: datetime, **options: Any) -> Any:
        lent.append(times)
        return lend(*times, **options)

    monkeypatch.setattr(service, "get_user_delegation_key", counted)
    for number in range(20):
        blobs.upload_link(f"x/{number}")
    assert len(lent) == 1
    blobs._delegation_keys(service)._expires_at = datetime.now(UTC) + timedelta(minutes=59)
    blobs.upload_link("x/last")
    assert len(lent) == 2


def test_the_page_is_told_where_blobs_are_without_a_call(blobs: ModuleType, keyless_azurite: KeylessAzurite) -> None:
    parts = urlsplit(keyless_azurite.blob_endpoint)
    assert blobs.origin() == f"https://{parts.netloc}"
