"""HTTP for Azure's blocking clients, with a time limit for each response as a whole.

Their own `read_timeout` applies to each read, so a response that trickles in would never end.
"""

from __future__ import annotations

import io
import socket
import time
from typing import Any, Final

from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from requests import RequestException, Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

#: A blob is read in pieces of 4 MiB, and a list has up to 5,000 names.
MAX_RESPONSE_BYTES: Final = 64 * 1024**2
_BLOCK: Final = 32 * 1024


class BlockingTransport(RequestsTransport):  # type: ignore[misc]  # which is imported lazily there
    """Ends each response in time, and at 64 MiB. Whatever a server sends, HTTP or not, raises an `AzureError` at worst.

    Parameters
    ----------
    connection_timeout, response_timeout
        In seconds; a call may pass others, as `connection_timeout` and `read_timeout`.
    """

    def __init__(self, connection_timeout: float, response_timeout: float) -> None:
        super().__init__(connection_timeout=connection_timeout, read_timeout=response_timeout)

    def send(self, request: Any, **options: Any) -> Any:
        try:
            return super().send(request, **options)
        except (RequestException, HTTPError, OSError, ValueError) as exc:
            raise ServiceResponseError(exc, error=exc) from exc

    def _init_session(self, session: Session) -> None:
        super()._init_session(session)
        adapter = _Adapter(max_retries=Retry(total=False, redirect=False, raise_on_status=False))
        for protocol in ("http://", "https://"):
            session.mount(protocol, adapter)


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
        super().init_poolmanager(*sizes, **options, blocksize=_BLOCK)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        self.sock: Any = _Socket(self.sock)


class _SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        self.sock: Any = _Socket(self.sock)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Socket:
    """A connected socket, from which each response is read by a `_Reader`."""

    def __init__(self, connected: socket.socket) -> None:
        self._connected = connected

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connected, name)

    def makefile(self, mode: str, *_args: Any, **_options: Any) -> io.BufferedReader:
        """Called once for each response, when the socket has the timeout for reading."""
        return io.BufferedReader(_Reader(self._connected))


class _Reader(io.RawIOBase):
    def __init__(self, connected: socket.socket) -> None:
        super().__init__()
        self._connected = connected
        self._file = connected.makefile("rb", buffering=0)
        within = connected.gettimeout()
        self._until = None if within is None else time.monotonic() + within
        self._left = MAX_RESPONSE_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the response took too long")
            self._connected.settimeout(left)
        count = self._file.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise OSError("the response is too large")
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
