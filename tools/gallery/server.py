"""Serves the web client with the pages of the gallery, which are no part of the deployed site."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from api.http.headers import content_security_policy

WEB = Path(__file__).resolve().parents[2] / "web"
OWN = Path(__file__).resolve().parent / "web"


class _Handler(SimpleHTTPRequestHandler):
    """A file of the gallery, or else of the client; nothing is listed."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}

    def translate_path(self, path: str) -> str:
        own, shared = super().translate_path(path), Path(super().translate_path(path))
        shared = WEB / shared.relative_to(OWN)
        return own if Path(own).is_file() else str(shared)

    def list_directory(self, path: object) -> None:
        self.send_error(404)

    def end_headers(self) -> None:
        # the policy of the product, but a page of the gallery may show others of it
        policy = content_security_policy([]).replace("frame-ancestors 'none'", "frame-ancestors 'self'; frame-src 'self'")
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the browser shows what is missing."""


class Gallery:
    """A server on this machine, from `with` to its end."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(OWN)))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Gallery:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
