"""An issuer of tokens with any content, good or bad: its keys are served over HTTP, and each request is counted."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "https://api.example"


class Issuer:
    """Use it as a context manager. `keys` are those that it publishes, by key id."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {
            "first": rsa.generate_private_key(65537, 2048),
            "curve": ec.generate_private_key(ec.SECP256R1()),
        }
        self.fetched: Counter[str] = Counter()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched[self.path] += 1
                found = issuer.documents().get(self.path)
                body = json.dumps(found).encode()
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: pytest's output is for failures."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def settings(self) -> dict[str, str]:
        return {
            "AUTH_MODE": "oidc",
            "OIDC_ISSUER": self.url,
            "OIDC_AUDIENCE": AUDIENCE,
            "OIDC_CLIENT_ID": "page",
            "OIDC_ROLES_CLAIM": "roles",
        }

    @property
    def token_origin(self) -> str:
        """Not the issuer's, as with some providers."""
        return f"http://localhost:{self._server.server_port}"

    def documents(self) -> dict[str, Any]:
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "token_endpoint": f"{self.token_origin}/token",
            },
            "/keys": {"keys": [self.public(name) for name in self.keys]},
        }

    def public(self, name: str) -> dict[str, Any]:
        key = self.keys[name].public_key()
        algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else ECAlgorithm
        return {**algorithm.to_jwk(key, as_dict=True), "kid": name, "use": "sig"}

    def token(
        self, name: str = "ann", *, header: dict[str, Any] | None = None, key: str = "first", **changes: Any
    ) -> str:
        """Return a token of this person with these claims changed; None takes a claim away."""
        private = self.keys[key]
        algorithm = "RS256" if isinstance(private, rsa.RSAPrivateKey) else "ES256"
        return jwt.encode(
            self.claims(name, **changes), private, algorithm=algorithm, headers={"kid": key, **(header or {})}
        )

    def claims(self, name: str = "ann", **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        good = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": name,
            "name": name.title(),
            "roles": ["user"],
            "iat": now,
            "exp": now + 3600,
        }
        return {claim: value for claim, value in (good | changes).items() if value is not None}

    def user_id(self, name: str) -> str:
        digest = hashlib.sha256(f"{self.url}|{name}".encode()).digest()
        return base64.b32encode(digest).decode()[:32]


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """Return a token assembled manually, for claims that no library would sign."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
