"""One client's connection: its handshake, its permissions, and its end. Independent of transports."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from http import HTTPStatus
from typing import Any

from starlette.requests import HTTPConnection

from tools.signalr_emulator import protocol
from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.outbox import Outbox
from tools.signalr_emulator.protocol import MessageType, ProtocolError, RecordReader
from tools.signalr_emulator.tokens import ClientIdentity

Address = tuple[str, int]
AbortSocket = Callable[[Address], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Time limits; the defaults are the service's (and its emulator's)."""

    keepalive: timedelta = timedelta(seconds=15)
    client_timeout: timedelta = timedelta(seconds=30)
    handshake: timedelta = timedelta(seconds=15)
    poll: timedelta = timedelta(seconds=90)  # shorter than the client's timeout of 100 s
    goodbye: timedelta = timedelta(seconds=5)  # for a closed connection's last frames to be fetched
    check: timedelta = timedelta(seconds=1)  # as often as the service checks for expired connections


def address_of(request: HTTPConnection) -> Address | None:
    """The address of the socket that carries a request."""
    return None if request.client is None else (request.client.host, request.client.port)


class Transport(StrEnum):
    """How the frames travel, by the names that negotiate uses."""

    WEB_SOCKETS = "WebSockets"
    LONG_POLLING = "LongPolling"


class Stage(Enum):
    """A connection's states, in this order."""

    NEGOTIATED = 1
    HANDSHAKE = 2
    READY = 3
    CLOSED = 4


class Connection:
    """One negotiated client. Transports feed `receive` and drain `outbox`; all others call push, close or abort."""

    def __init__(self, *, hub: str, identity: ClientIdentity, abort_socket: AbortSocket) -> None:
        self.id = secrets.token_urlsafe(16)
        self.token = secrets.token_urlsafe(16)  # unlike the id it is known to the client only
        self.hub = hub
        self.user = identity.user
        self.groups: set[str] = set()
        self.outbox = Outbox()
        self.transport: Transport | None = None
        self.connected_at = datetime.now(UTC)
        self.stage = Stage.NEGOTIATED
        self.peer: Address | None = None
        self._closes_at = identity.closes_at
        self._abort_socket = abort_socket
        self._reader = RecordReader()
        self._poll: asyncio.Future[Any] | None = None
        self._stage_since = self._last_heard = time.monotonic()

    def attach(self, transport: Transport, peer: Address | None) -> None:
        """Start the handshake over this transport. Raises Refused (409) when the connection has one already."""
        if self.stage is not Stage.NEGOTIATED:
            raise Refused(HTTPStatus.CONFLICT, "The connection is in use by another request.")
        self.transport = transport
        self.peer = peer
        self._enter(Stage.HANDSHAKE)

    def receive(self, text: str) -> None:
        """Process data of the client. A client that violates the protocol, or that invokes, is disconnected."""
        self.heard()
        try:
            for record in self._reader.feed(text):
                self._handle(record)
        except ProtocolError as error:
            if self.stage is Stage.HANDSHAKE:
                self._refuse_handshake(str(error))
            else:
                self.close(f"Connection closed with an error. {error}")

    def heard(self) -> None:
        """Record activity of the client."""
        self._last_heard = time.monotonic()

    def polls_with(self, poll: asyncio.Future[Any], peer: Address | None) -> None:
        """Register the current long poll; an earlier one is cancelled."""
        if self._poll is not None:
            self._poll.cancel()
        self._poll = poll
        self.peer = peer
        self.heard()
        poll.add_done_callback(lambda _: self.heard())

    def push(self, frame: str) -> None:
        """Queue a frame without waiting. A client that has fallen too far behind is disconnected instead."""
        if self.stage is Stage.READY and not self.outbox.put(frame):
            self.abort()

    def close(self, error: str | None = None, *, allow_reconnect: bool = False) -> None:
        """Close the connection gracefully: waiting frames are sent, then the close record."""
        if self.stage is Stage.CLOSED:
            return
        if self.stage is Stage.READY:
            self.outbox.put(protocol.closing(error, allow_reconnect=allow_reconnect))
        self._finish()

    def abort(self) -> None:
        """Cut the connection: nothing more is sent, the socket just ends."""
        self.outbox.finish(discard=True)
        self._enter(Stage.CLOSED)
        if self.peer is not None:
            self._abort_socket(self.peer)

    def tend(self, timings: Timings) -> bool:
        """Handle timeouts; return False if the connection is over."""
        age = timedelta(seconds=time.monotonic() - self._stage_since)
        match self.stage:
            case Stage.NEGOTIATED:
                return age < timings.handshake
            case Stage.HANDSHAKE if age >= timings.handshake:
                self._refuse_handshake("Handshake was canceled.")
            case Stage.READY if self._is_silent(timings.client_timeout):
                self.close("Connection closed with an error. The client was silent too long.", allow_reconnect=True)
            case Stage.READY if self._closes_at is not None and time.time() >= self._closes_at:
                self.close(allow_reconnect=True)
            case Stage.CLOSED if age >= timings.goodbye:
                self.abort()
                return False
        return True

    def _handle(self, record: dict[str, Any]) -> None:
        match self.stage, record.get("type"):
            case Stage.HANDSHAKE, _:
                protocol.check_handshake(record)
                self.outbox.put(protocol.HANDSHAKE_ACCEPTED)
                self._enter(Stage.READY)
            case Stage.CLOSED, _:
                pass
            case _, MessageType.PING | MessageType.ACK | MessageType.SEQUENCE:
                pass
            case _, MessageType.CLOSE:
                self._finish()
            case _:
                raise ProtocolError("Clients of a serverless hub only listen: they may not invoke.")

    def _refuse_handshake(self, error: str) -> None:
        self.outbox.put(protocol.encode({"error": error}))
        self._finish()

    def _finish(self) -> None:
        self.outbox.finish()
        self._enter(Stage.CLOSED)

    def _enter(self, stage: Stage) -> None:
        self.stage = stage
        self._stage_since = time.monotonic()

    @property
    def waits_in_a_poll(self) -> bool:
        """Whether a long poll is open."""
        return self._poll is not None and not self._poll.done()

    def _is_silent(self, patience: timedelta) -> bool:
        return not self.waits_in_a_poll and time.monotonic() - self._last_heard > patience.total_seconds()
