"""Serves the web client with the pages of the gallery, which are not deployed."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WEB = Path(__file__).resolve().parents[2] / "web"
OWN = Path(__file__).resolve().parent / "web"
#: The renderers of the test app, whose kinds are shown.
KINDS = OWN.parents[1] / "test_app" / "web"
#: As strict as the product's, but a page may show others of the gallery.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


class _Handler(SimpleHTTPRequestHandler):
    """A file of the gallery, or else of the client; folders are not listed."""

    def translate_path(self, path: str) -> str:
        inside = Path(super().translate_path(path)).relative_to(OWN)
        return str(next((folder / inside for folder in (OWN, KINDS) if (folder / inside).is_file()), WEB / inside))

    def list_directory(self, path: object) -> None:
        self.send_error(404)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
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

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
