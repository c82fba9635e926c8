"""All hubs of the service: their connections, and which users are in which group."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus

from tools.signalr_emulator.connections import AbortSocket, Connection, Stage, Timings
from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.tokens import ClientIdentity

HUB_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}")
logger = logging.getLogger(__name__)


class ReceiverKind(StrEnum):
    """The kinds of receivers of a REST call."""

    ALL = "all"
    USER = "user"
    GROUP = "group"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Receiver:
    """A set of connections of one hub, by name; the name of ALL is empty."""

    kind: ReceiverKind
    name: str = ""


def checked_hub_name(name: str) -> str:
    """Return the normalized name of a hub: hubs ignore case. Raises Refused (400)."""
    if not HUB_NAME.fullmatch(name):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "Invalid hub name. It must have 1 to 128 characters: a letter, then letters, digits or _`,.[]",
        )
    return name.lower()


class Hubs:
    """Every connection, found by token, and every group membership of a user. Groups of users outlive connections."""

    def __init__(self, *, timings: Timings, abort_socket: AbortSocket) -> None:
        self._timings = timings
        self._abort_socket = abort_socket
        self._connections: dict[str, Connection] = {}
        self._memberships: dict[tuple[str, str], dict[str, float]] = {}

    def negotiate(self, hub: str, identity: ClientIdentity) -> Connection:
        """Prepare a connection; it is removed if the client does not connect within the handshake timeout."""
        connection = Connection(hub=hub, identity=identity, abort_socket=self._abort_socket)
        self._connections[connection.token] = connection
        return connection

    def find(self, token: str, hub: str, identity: ClientIdentity) -> Connection:
        """The connection that this client negotiated. Raises Refused (404), also for another user's connection."""
        connection = self._connections.get(token)
        if connection is None or (connection.hub, connection.user) != (hub, identity.user):
            raise Refused(HTTPStatus.NOT_FOUND, "No Connection with that ID")
        return connection

    def remove(self, connection: Connection) -> None:
        """Remove a connection. Idempotent."""
        self._connections.pop(connection.token, None)

    def connections(self) -> list[Connection]:
        """All connections that may receive pushes, oldest first."""
        return [connection for connection in self._connections.values() if connection.stage is Stage.READY]

    def select(self, hub: str, receiver: Receiver, excluded: Collection[str] = ()) -> list[Connection]:
        """The receiver's connections, without the excluded ids."""
        return [
            connection
            for connection in self.connections()
            if connection.hub == hub and connection.id not in excluded and self._is_one_of(receiver, connection)
        ]

    def join(self, hub: str, member: Receiver, group: str, lifetime: timedelta | None = None) -> bool:
        """Add a user (now and in future connections) or a connection; False when there is no such connection."""
        connections = self.select(hub, member)
        if member.kind is ReceiverKind.USER:
            ends = float("inf") if lifetime is None else time.monotonic() + lifetime.total_seconds()
            self._memberships.setdefault((hub, member.name), {})[group] = ends
            return True
        for connection in connections:
            connection.groups.add(group)
        return bool(connections)

    def leave(self, hub: str, member: Receiver, group: str) -> bool:
        """Remove a user with all its connections, or a connection; False if it was not a member."""
        was_member = self.is_member(hub, member, group)
        if member.kind is ReceiverKind.USER:
            self._memberships.get((hub, member.name), {}).pop(group, None)
        for connection in self.select(hub, member):
            connection.groups.discard(group)
        return was_member

    def leave_all(self, hub: str, member: Receiver) -> None:
        """Remove a user with all its connections, or a connection, from all groups."""
        if member.kind is ReceiverKind.USER:
            self._memberships.pop((hub, member.name), None)
        for connection in self.select(hub, member):
            connection.groups.clear()

    def is_member(self, hub: str, member: Receiver, group: str) -> bool:
        """Return whether a user, or a connection itself, is in the group."""
        if member.kind is ReceiverKind.USER and group in self._groups_of_user(hub, member.name):
            return True
        return any(group in connection.groups for connection in self.select(hub, member))

    def groups_of(self, connection: Connection) -> set[str]:
        """The groups of a connection and of its user."""
        return connection.groups | self._groups_of_user(connection.hub, connection.user)

    async def watch(self) -> None:
        """Run forever: close silent and expired connections, and remove closed connections."""
        while True:
            await asyncio.sleep(self._timings.check.total_seconds())
            for connection in list(self._connections.values()):
                try:
                    if not connection.tend(self._timings):
                        self.remove(connection)
                except Exception:
                    logger.exception("checking connection %s failed", connection.id)

    def _is_one_of(self, receiver: Receiver, connection: Connection) -> bool:
        match receiver.kind:
            case ReceiverKind.ALL:
                return True
            case ReceiverKind.USER:
                return connection.user == receiver.name
            case ReceiverKind.GROUP:
                return receiver.name in self.groups_of(connection)
            case ReceiverKind.CONNECTION:
                return connection.id == receiver.name

    def _groups_of_user(self, hub: str, user: str | None) -> set[str]:
        memberships = self._memberships.get((hub, user or ""), {})
        now = time.monotonic()
        return {group for group, ends in memberships.items() if ends > now}
