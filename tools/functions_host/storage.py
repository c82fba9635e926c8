"""Queue storage by connection name: clients with short timeouts, message encoding, output bindings, and its outages."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from tools.functions_host.errors import SettingsError
from tools.functions_host.protos import TypedData
from tools.functions_host.settings import resolve_placeholders

log = logging.getLogger("host.storage")

DEFAULT_CONNECTION = "AzureWebJobsStorage"
_WHITESPACE = str.maketrans("", "", " \t\r\n")
# the listeners retry, so a request that hangs or fails must return soon
_CLIENT_OPTIONS: dict[str, Any] = {"connection_timeout": 5, "read_timeout": 5, "retry_total": 0}


class StorageConnection:
    """One named connection: its client, and whether its service was available at the last request."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._credential: Any = None
        self._client = self._connect()
        self._away_since: float | None = None

    @property
    def is_away(self) -> bool:
        """Whether the service was unavailable at the last request."""
        return self._away_since is not None

    def queue(self, name: str) -> QueueClient:
        """The client of one queue; messages pass through it as they are stored."""
        return self._client.get_queue_client(name)

    def went_away(self, error: AzureError) -> None:
        """Record a failed request; the first of an outage is logged."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.warning("queue storage %s is unavailable, retrying: %s", self.name, describe(error))

    def answered(self) -> None:
        """Record a successful request; the first after an outage is logged."""
        if self._away_since is not None:
            log.info("queue storage %s is available again after %.1f s", self.name, time.monotonic() - self._away_since)
            self._away_since = None

    async def close(self) -> None:
        """Close the client and its credential."""
        await self._client.close()
        if self._credential is not None:
            await self._credential.close()

    def _connect(self) -> QueueServiceClient:
        if text := os.environ.get(self.name):
            try:
                return QueueServiceClient.from_connection_string(text, **_CLIENT_OPTIONS)
            except ValueError as error:  # the setting may contain the key, the SDK's message does not
                raise SettingsError(
                    f"the app setting {self.name} is not a valid storage connection string: {error}"
                ) from None
        settings = {
            key: os.environ.get(f"{self.name}__{key}") for key in ("queueServiceUri", "serviceUri", "accountName")
        }
        uri = settings["queueServiceUri"] or settings["serviceUri"]
        if not uri and settings["accountName"]:
            uri = f"https://{settings['accountName']}.queue.core.windows.net"
        if not uri:
            raise SettingsError(
                f"storage connection {self.name!r} does not exist; set the app setting {self.name} to a connection "
                f"string, or {self.name}__queueServiceUri for an identity"
            )
        from azure.identity.aio import DefaultAzureCredential  # costs 0.15 s and only the cloud needs it

        client_id = os.environ.get(f"{self.name}__clientId")
        self._credential = DefaultAzureCredential(managed_identity_client_id=client_id)
        return QueueServiceClient(uri, credential=self._credential, **_CLIENT_OPTIONS)


class QueueStorage:
    """All connections of the app, each made at its first use on the running event loop."""

    def __init__(self, *, base64_messages: bool) -> None:
        self._base64_messages = base64_messages
        self._connections: dict[str, StorageConnection] = {}

    def connection(self, name: str | None) -> StorageConnection:
        """The connection of that name, by default AzureWebJobsStorage; raises SettingsError if it is not set."""
        name = name or DEFAULT_CONNECTION
        if name not in self._connections:
            self._connections[name] = StorageConnection(name)
        return self._connections[name]

    def decode(self, text: str) -> bytes:
        """The body of a stored message; raises ValueError if it is not base64 but should be."""
        if not self._base64_messages:
            return text.encode()
        try:
            return base64.b64decode(text.translate(_WHITESPACE), validate=True)  # .NET skips whitespace too
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"it is not base64 ({error}); send it with TextBase64EncodePolicy") from None

    async def write_output(self, binding: Mapping[str, Any], value: TypedData) -> None:
        """Send the value of a queue output binding, one message for each item of a list; creates a missing queue."""
        queue = self.connection(binding.get("connection")).queue(resolve_placeholders(binding["queueName"]))
        for body in _bodies(value):
            text = base64.b64encode(body).decode() if self._base64_messages else body.decode()
            await send_creating(queue, text)

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            await connection.close()


def _bodies(value: TypedData) -> list[bytes]:
    """The messages of one output: one per item of a JSON array; strings unchanged, all else as JSON."""
    if value.bytes is not None:
        return [value.bytes]
    if value.json is None:
        return [(value.string or "").encode()]
    found = json.loads(value.json)
    items = found if isinstance(found, list) else [found]
    return [(item if isinstance(item, str) else json.dumps(item)).encode() for item in items]


async def send_creating(queue: QueueClient, text: str) -> None:
    """Send a message as it is; a missing queue is created first, as the host does for outputs and poison."""
    try:
        await queue.send_message(text)
    except ResourceNotFoundError:
        try:
            await queue.create_queue()
        except ResourceExistsError:
            log.info("queue %s was created concurrently", queue.queue_name)
        await queue.send_message(text)


def describe(error: AzureError) -> str:
    """One short line about a failed request: no request, no signature."""
    if isinstance(error, HttpResponseError) and error.status_code:
        code = getattr(error, "error_code", None)  # an enumeration of the storage client, if it knows the code
        return f"{error.status_code} {getattr(code, 'value', code) or error.reason}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
