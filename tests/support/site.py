"""A small site of an origin of its own, which shows the bell of another one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.product import running_product
from tools.local_stack.stack import Stack

#: For style sheets of a library.
NONCE = "of-a-library"

_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


class Site:
    """Serves `files` by their paths, under a policy that allows only what the documentation asks for."""

    def __init__(self) -> None:
        site = self
        self.app = self.hub = ""
        self.files: dict[str, str] = {}
        #: Pages whose own libraries fetch from their site, and make HTML of texts.
        self.with_library: set[str] = set()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """The tests look at the browser's side."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        text = self.files.get("/index.html" if path == "/" else path)
        kind = _KINDS.get(path.rpartition(".")[2], "text/html")
        own, types = "", "; require-trusted-types-for 'script'"
        if path in self.with_library:
            own, types = "'self'", ""
        policy = (
            f"default-src 'none'; script-src 'self' {self.app}; style-src 'self' 'nonce-{NONCE}'; img-src data:; "
            f"connect-src {own} {self.app} {self.hub} {self.hub.replace('http', 'ws', 1)}{types}"
        )
        request.send_response(404 if text is None else 200)
        request.send_header("Content-Type", f"{kind}; charset=utf-8")
        request.send_header("Content-Security-Policy", policy)
        request.end_headers()
        request.wfile.write((text or "").encode())

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def stack_for(site: Site) -> Iterator[Stack]:
    """Run a system that lets pages of this site in, and tell the site where it is."""

    class OpenStack(Stack):
        def settings_without_secrets(self) -> dict[str, str]:
            return super().settings_without_secrets() | {"ALLOWED_ORIGINS": site.origin}

    with running_product(OpenStack) as stack:
        site.app = stack.page_url.rstrip("/")
        site.hub = stack.hub.endpoint
        yield stack
