"""The emulator as a server: uvicorn, which can cut a client's socket and stop immediately."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

from tools.local_server import PatientProtocol
from tools.signalr_emulator.app import create_app
from tools.signalr_emulator.connections import Address, Timings, Transport
from tools.signalr_emulator.hubs import Hubs
from tools.signalr_emulator.tokens import AccessKey, RestCallers

LOOPBACK = "127.0.0.1"
GRACE_AT_SHUTDOWN = 0.4  # seconds for clients to receive their close frames
LARGEST_REQUEST_HEAD = 64 * 1024  # above 16 KB the application itself responds, with a message


class SignalRServer(uvicorn.Server):
    """Serves one emulator on loopback. It prints one line, its address, when it is ready."""

    def __init__(self, *, port: int, callers: RestCallers, key: AccessKey, timings: Timings) -> None:
        self._hubs = Hubs(timings=timings, abort_socket=self._abort_socket)
        super().__init__(
            uvicorn.Config(
                create_app(callers=callers, key=key, hubs=self._hubs, timings=timings),
                host=LOOPBACK,
                port=port,
                http=PatientProtocol,
                h11_max_incomplete_event_size=LARGEST_REQUEST_HEAD,
                ws="websockets-sansio",
                ws_max_size=LARGEST_REQUEST_HEAD,
                ws_per_message_deflate=False,
                ws_ping_interval=None,  # the hub protocol has its own pings
                lifespan="on",
                log_level="warning",  # lower levels would log URLs, which contain access tokens
                access_log=False,
                timeout_keep_alive=75,  # callers keep connections open: none should be closed during a push
                timeout_graceful_shutdown=1,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then print the address."""
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"SignalR emulator listens on http://{LOOPBACK}:{port}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close WebSockets with 1012 and end all polls, then cut the remaining connections."""
        for connection in self._hubs.connections():
            if connection.transport is Transport.LONG_POLLING:
                connection.outbox.finish()
        asyncio.get_running_loop().call_later(GRACE_AT_SHUTDOWN, self._abort_all_sockets)
        await super().shutdown(sockets)

    def _abort_socket(self, peer: Address) -> None:
        for protocol in self.server_state.connections:
            if protocol.transport.get_extra_info("peername") == peer:
                protocol.transport.abort()

    def _abort_all_sockets(self) -> None:
        for protocol in self.server_state.connections:
            protocol.transport.abort()
