"""The paths of the REST API, as a table, and the parser of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from urllib.parse import unquote

from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.hubs import Receiver, ReceiverKind, checked_hub_name

LONGEST_GROUP_NAME = 1024


class Action(Enum):
    """The operations."""

    SEND = auto()
    CLOSE = auto()
    EXISTS = auto()
    JOIN = auto()
    LEAVE = auto()
    LEAVE_ALL = auto()
    IS_MEMBER = auto()
    GENERATE_TOKEN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A parsed request. `group` is set for JOIN, LEAVE and IS_MEMBER, whose receiver is the member."""

    action: Action
    hub: str
    receiver: Receiver
    group: str
    success: HTTPStatus
    versioned: bool  # needs ?api-version=


@dataclass(frozen=True, slots=True)
class Row:
    """One documented operation; {name} in the path stands for one segment."""

    methods: str
    path: str
    action: Action
    success: HTTPStatus


OK, ACCEPTED, NO_CONTENT = HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT
# Microsoft's reference "data plane REST API - v1".
V1 = (
    Row("POST", "hubs/{hub}", Action.SEND, ACCEPTED),
    Row("POST", "hubs/{hub}/users/{user}", Action.SEND, ACCEPTED),
    Row("POST", "hubs/{hub}/groups/{group}", Action.SEND, ACCEPTED),
    Row("POST", "hubs/{hub}/connections/{connection}", Action.SEND, ACCEPTED),
    Row("DELETE", "hubs/{hub}/connections/{connection}", Action.CLOSE, ACCEPTED),
    Row("GET HEAD", "hubs/{hub}/users/{user}", Action.EXISTS, OK),
    Row("GET HEAD", "hubs/{hub}/groups/{group}", Action.EXISTS, OK),
    Row("GET HEAD", "hubs/{hub}/connections/{connection}", Action.EXISTS, OK),
    Row("PUT", "hubs/{hub}/groups/{group}/users/{user}", Action.JOIN, ACCEPTED),
    Row("DELETE", "hubs/{hub}/groups/{group}/users/{user}", Action.LEAVE, ACCEPTED),
    Row("GET HEAD", "hubs/{hub}/groups/{group}/users/{user}", Action.IS_MEMBER, OK),
    Row("DELETE", "hubs/{hub}/users/{user}/groups", Action.LEAVE_ALL, OK),
    Row("PUT", "hubs/{hub}/groups/{group}/connections/{connection}", Action.JOIN, OK),
    Row("DELETE", "hubs/{hub}/groups/{group}/connections/{connection}", Action.LEAVE, OK),
)
# The same for 2022-06-01, except for creating tokens; later versions keep these.
VERSIONED = (
    Row("POST", "hubs/{hub}/:send", Action.SEND, ACCEPTED),
    Row("POST", "hubs/{hub}/users/{user}/:send", Action.SEND, ACCEPTED),
    Row("POST", "hubs/{hub}/groups/{group}/:send", Action.SEND, ACCEPTED),
    Row("POST", "hubs/{hub}/connections/{connection}/:send", Action.SEND, ACCEPTED),
    Row("POST", "hubs/{hub}/:generateToken", Action.GENERATE_TOKEN, OK),
    Row("POST", "hubs/{hub}/:closeConnections", Action.CLOSE, NO_CONTENT),
    Row("POST", "hubs/{hub}/users/{user}/:closeConnections", Action.CLOSE, NO_CONTENT),
    Row("POST", "hubs/{hub}/groups/{group}/:closeConnections", Action.CLOSE, NO_CONTENT),
    Row("DELETE", "hubs/{hub}/connections/{connection}", Action.CLOSE, OK),
    Row("GET HEAD", "hubs/{hub}/users/{user}", Action.EXISTS, OK),
    Row("GET HEAD", "hubs/{hub}/groups/{group}", Action.EXISTS, OK),
    Row("GET HEAD", "hubs/{hub}/connections/{connection}", Action.EXISTS, OK),
    Row("PUT", "hubs/{hub}/users/{user}/groups/{group}", Action.JOIN, OK),
    Row("DELETE", "hubs/{hub}/users/{user}/groups/{group}", Action.LEAVE, NO_CONTENT),
    Row("GET HEAD", "hubs/{hub}/users/{user}/groups/{group}", Action.IS_MEMBER, OK),
    Row("DELETE", "hubs/{hub}/users/{user}/groups", Action.LEAVE_ALL, NO_CONTENT),
    Row("PUT", "hubs/{hub}/groups/{group}/connections/{connection}", Action.JOIN, OK),
    Row("DELETE", "hubs/{hub}/groups/{group}/connections/{connection}", Action.LEAVE, OK),
    Row("DELETE", "hubs/{hub}/connections/{connection}/groups", Action.LEAVE_ALL, OK),
)
MEMBERSHIP = (Action.JOIN, Action.LEAVE, Action.IS_MEMBER)


def parse(method: str, raw_path: str) -> Call:
    """Parse a request by its raw path. Raises Refused: 404, 405, or 400 for a bad name."""
    versioned = not raw_path.startswith("/api/v1/")
    rows, prefix = (VERSIONED, "/api/") if versioned else (V1, "/api/v1/")
    segments = raw_path.rstrip("/").removeprefix(prefix).split("/")
    matches = [(row, names) for row in rows if (names := _match(row.path, segments)) is not None]
    if not matches:
        raise Refused(HTTPStatus.NOT_FOUND, f"There is no {'' if versioned else 'v1 '}API at this path.")
    for row, names in matches:
        if method in row.methods.split():
            return _call(row, names, versioned=versioned)
    allowed = ", ".join(sorted({row.methods for row, _ in matches}))
    raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"Allowed methods for this path: {allowed}.")


def _match(pattern: str, segments: list[str]) -> dict[str, str] | None:
    parts = pattern.split("/")
    if len(parts) != len(segments):
        return None
    names = {}
    for part, segment in zip(parts, segments, strict=True):
        if part.startswith("{"):
            names[part.strip("{}")] = unquote(segment)
        elif part != segment:
            return None
    return names


def _call(row: Row, names: Mapping[str, str], *, versioned: bool) -> Call:
    group = names.get("group", "")
    if "group" in names and (not group.strip() or len(group) > LONGEST_GROUP_NAME):
        raise Refused(HTTPStatus.BAD_REQUEST, f"Invalid group name. It must have 1 to {LONGEST_GROUP_NAME} characters.")
    kinds = [
        kind for kind in ReceiverKind if kind in names and not (kind is ReceiverKind.GROUP and row.action in MEMBERSHIP)
    ]
    receiver = Receiver(kinds[0], names[kinds[0]]) if kinds else Receiver(ReceiverKind.ALL)
    if kinds and not receiver.name:
        raise Refused(HTTPStatus.BAD_REQUEST, f"The {receiver.kind} has no name.")
    return Call(
        action=row.action,
        hub=checked_hub_name(names["hub"]),
        receiver=receiver,
        group=group,
        success=row.success,
        versioned=versioned,
    )
