"""Microsoft Entra as an app in Azure sees it: an endpoint on this machine that gives a managed identity its tokens."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_API_VERSION = "2019-08-01"


class Entra:
    """The identity endpoint of App Service (IDENTITY_ENDPOINT): it takes only what its documentation describes.

    `life` in seconds is what new tokens live, `spoil` changes their claims, `refusing` makes it answer 500,
    `on_issue` hears of each one. `issued` counts tokens by resource.
    """

    def __init__(self) -> None:
        self.client_id = str(uuid4())
        self.object_id = str(uuid4())
        self.issued: dict[str, int] = {}
        self.reset()
        self._tenant = str(uuid4())
        self._header = secrets.token_urlsafe(24)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def reset(self) -> None:
        """Work as Entra does again."""
        self.life = 3600
        self.refusing = False
        self.spoil: dict[str, Any] = {}
        self.on_issue: Callable[[str, str], None] = lambda _resource, _token: None

    @property
    def environment(self) -> dict[str, str]:
        """What the platform sets for an app with a user-assigned identity."""
        return {
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{self._server.server_address[1]}/msi/token",
            "IDENTITY_HEADER": self._header,
            "AZURE_CLIENT_ID": self.client_id,
        }

    @property
    def public_key(self) -> str:
        """With which the services check tokens, as PEM."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def token(self, resource: str, **changes: Any) -> str:
        """A token of the identity for a resource; `changes` spoil it."""
        now = int(time.time())
        claims = {
            "aud": resource,
            "iss": f"https://sts.windows.net/{self._tenant}/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + self.life,
            "oid": self.object_id,
            "tid": self._tenant,
            "appid": self.client_id,
            "ver": "1.0",
            "jti": uuid4().hex,
        }
        return jwt.encode({**claims, **changes}, self._key, "RS256")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, query: dict[str, list[str]], header: str | None) -> tuple[int, dict[str, str]]:
        if self.refusing:
            return 500, {"message": "Refused by the test."}
        if header != self._header:
            return 401, {"message": "X-IDENTITY-HEADER is wrong."}
        if query.get("api-version") != [_API_VERSION] or query.get("client_id") != [self.client_id]:
            return 400, {"message": f"The query {query} is not the documented one."}
        resource = query["resource"][0]
        self.issued[resource] = self.issued.get(resource, 0) + 1
        token = self.token(resource, **self.spoil)
        self.on_issue(resource, token)
        return 200, {
            "access_token": token,
            "client_id": self.client_id,
            "expires_on": str(int(time.time()) + self.life),
            "not_before": str(int(time.time()) - 60),
            "resource": resource,
            "token_type": "Bearer",
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        entra = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                status, answer = entra._answer(query, self.headers.get("X-IDENTITY-HEADER"))
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
