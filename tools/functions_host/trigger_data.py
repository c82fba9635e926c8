"""The input of a trigger for the worker: a message, an occurrence or a request in the real host's format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from azure.storage.queue import QueueMessage
from starlette.requests import Request

from tools.functions_host.functions import Function
from tools.functions_host.protos import RpcHttp, TypedData

# only the platform may set these; without its authentication they are always forged
_PLATFORM_HEADERS = ("x-ms-client-principal", "x-ms-token-")
_NEVER = "0001-01-01T00:00:00+00:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerData:
    """The value of a trigger, and its metadata."""

    value: TypedData
    metadata: Mapping[str, TypedData] = field(default_factory=dict)


def from_message(function: Function, message: QueueMessage, body: bytes) -> TriggerData:
    """Return the data of a queue trigger. A body is text, unless the binding asks for binary data."""
    is_binary = str(function.trigger.get("dataType", "")).upper() == "BINARY"
    metadata = {
        "Id": TypedData(string=message.id),
        "PopReceipt": TypedData(string=message.pop_receipt),
        "DequeueCount": _json(message.dequeue_count),
        "InsertionTime": _json(message.inserted_on),
        "ExpirationTime": _json(message.expires_on),
        "NextVisibleTime": _json(message.next_visible_on),
    }
    value = TypedData(bytes=body) if is_binary else TypedData(string=body.decode(errors="replace"))
    return TriggerData(value=value, metadata={name: data for name, data in metadata.items() if data.WhichOneof("data")})


def from_timer(*, last: datetime | None, following: datetime) -> TriggerData:
    """Return the data of a timer trigger: its previous and its next occurrence."""
    status = {"Last": last.isoformat() if last else _NEVER, "Next": following.isoformat(), "LastUpdated": _NEVER}
    value = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": False}
    return TriggerData(value=TypedData(json=json.dumps(value)))


def from_request(request: Request, *, route: Mapping[str, str], body: bytes) -> TriggerData:
    """Return the data of an HTTP trigger, whose body is always bytes."""
    http = RpcHttp(
        method=request.method,
        url=_url(request),
        headers=_joined(request.headers.items(), drop=_PLATFORM_HEADERS),
        query=_joined(request.query_params.multi_items()),
        params=route,
        body=TypedData(bytes=body),
    )
    return TriggerData(value=TypedData(http=http))


def _json(value: Any) -> TypedData:
    """Serialize a value like the host; a time is a string in ISO format."""
    if value is None:
        return TypedData()
    return TypedData(json=json.dumps(value.isoformat() if isinstance(value, datetime) else value))


def _url(request: Request) -> str:
    """The URL as it was requested: the path stays percent-encoded, azure-functions decodes it once."""
    host, port = request.scope["server"]
    authority = request.headers.get("host") or f"{host}:{port}"
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope["raw_path"].decode("latin-1")
    return f"{request.scope['scheme']}://{authority}{path}" + (f"?{query}" if query else "")


def _joined(pairs: Iterable[tuple[str, str]], drop: tuple[str, ...] = ()) -> dict[str, str]:
    """One value per name, as passed to functions: repeated values are joined by commas."""
    values: dict[str, str] = {}
    for name, value in pairs:
        if not (drop and name.startswith(drop)):
            values[name] = f"{values[name]},{value}" if name in values else value
    return values
