"""The JSON hub protocol, version 1: text records, each ended by a separator (dotnet/aspnetcore HubProtocol.md)."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any

SEPARATOR = "\x1e"
LONGEST_MESSAGE = 32 * 1024  # the limit of ASP.NET Core for what a client sends


class MessageType(IntEnum):
    """The record types that the emulator sends or distinguishes."""

    INVOCATION = 1
    PING = 6
    CLOSE = 7
    ACK = 8
    SEQUENCE = 9


class ProtocolError(Exception):
    """The client sent something that is not the JSON hub protocol."""


def encode(record: dict[str, Any]) -> str:
    """One record as text."""
    return json.dumps(record, separators=(",", ":")) + SEPARATOR


HANDSHAKE_ACCEPTED = encode({})
PING = encode({"type": MessageType.PING})


def invocation(target: str, arguments: list[Any]) -> str:
    """The record that calls the method `target` of the client."""
    return encode({"type": MessageType.INVOCATION, "target": target, "arguments": arguments})


def closing(error: str | None, *, allow_reconnect: bool) -> str:
    """The record that ends a connection; without `allow_reconnect` the client does not reconnect."""
    record: dict[str, Any] = {"type": MessageType.CLOSE}
    if error:
        record["error"] = error
    if allow_reconnect:
        record["allowReconnect"] = True
    return encode(record)


def check_handshake(record: dict[str, Any]) -> None:
    """Raises ProtocolError unless the client's first record asks for the JSON protocol."""
    name, version = record.get("protocol"), record.get("version")
    if name != "json":
        raise ProtocolError(f"The protocol '{name}' is not supported.")
    if version not in (1, 2):
        raise ProtocolError(f"The server does not support version {version} of the '{name}' protocol.")


class RecordReader:
    """Splits incoming text into records, wherever the transport split it."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> list[dict[str, Any]]:
        """The records that are complete now. Raises ProtocolError."""
        *complete, self._rest = (self._rest + text).split(SEPARATOR)
        if len(self._rest) > LONGEST_MESSAGE:
            raise ProtocolError(f"The maximum message size of {LONGEST_MESSAGE} was exceeded.")
        return [_parse(record) for record in complete]


def _parse(text: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError:
        raise ProtocolError("A message is not JSON.") from None
    if not isinstance(record, dict):
        raise ProtocolError("A message is not a JSON object.")
    return record
