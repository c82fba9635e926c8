"""An emulator of the token endpoint of an Azure machine; azure-identity finds it by two variables."""

from __future__ import annotations

import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LIFETIME = 3600  # seconds


class TokenEndpoint:
    """Returns one token per audience. Serves from its construction until `close`."""

    def __init__(self) -> None:
        self.header = secrets.token_hex(16)
        self._tokens: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"endpoint": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="tokens", daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its clients: the variables that a web app has in Azure, and one that Pulumi reads."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        return {"IDENTITY_ENDPOINT": url, "IDENTITY_HEADER": self.header, "ARM_USE_MSI": "true"}

    def token_for(self, audience: str) -> str:
        return self._tokens.setdefault(audience.rstrip("/"), f"{secrets.token_hex(8)}.{secrets.token_hex(32)}")

    def is_valid(self, token: str, audience: str) -> bool:
        return secrets.compare_digest(token, self.token_for(audience))

    def given(self) -> list[str]:
        """Return all tokens, so that tests can search for them."""
        return list(self._tokens.values())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    endpoint: TokenEndpoint

    def do_GET(self) -> None:
        audience = parse_qs(urlsplit(self.path).query).get("resource", [""])[0]
        if self.headers.get("X-IDENTITY-HEADER") != self.endpoint.header or not audience:
            self._answer(401, {"error": "who are you"})
            return
        token = {
            "access_token": self.endpoint.token_for(audience),
            "expires_on": str(int(time.time()) + LIFETIME),
            "resource": audience,
            "token_type": "Bearer",
        }
        self._answer(200, token)

    def _answer(self, status: int, body: dict[str, str]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
