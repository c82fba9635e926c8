"""Bearer tokens of the service: authorization of REST callers, and identity of clients."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Protocol

import jwt
from starlette.requests import HTTPConnection

from tools.signalr_emulator.errors import Refused

# The public key of Microsoft's own emulator: not a secret.
PUBLIC_KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
LONGEST_CLIENT_TOKEN = 4096
USER_CLAIMS = ("asrs.s.uid", "nameid", "sub")  # the .NET SDK's, the documented one, and JWT's own
CLOSE_ON_EXPIRY_CLAIM = "asrs.s.coae"
EXPIRY_CLAIM = "asrs.s.aeo"
PORT = re.compile(r"^(\w+://[^/]+?):\d+(?=/)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientIdentity:
    """The claims of a client's token: its user (None = anonymous), and when to close its connection (unix seconds)."""

    user: str | None
    closes_at: int | None


class RestCallers(Protocol):
    """Decides which callers may use REST."""

    def check_rest(self, request: HTTPConnection) -> None:
        """Raises Refused (401) unless the request carries a valid token."""


class AccessKey:
    """Signs and verifies tokens with the access key of the connection string (HS256)."""

    def __init__(self, key: str) -> None:
        self._key = key

    def check_rest(self, request: HTTPConnection) -> None:
        """Raises Refused (401) unless the request carries a valid token for exactly its own URL."""
        query = request.url.query
        self._claims(bearer(request), rest_audiences(_origin(request), raw_path(request), query))

    def check_client(self, request: HTTPConnection) -> ClientIdentity:
        """Identify the client that negotiates or connects. Raises Refused: 401, or 413 for a token over 4 K."""
        token = bearer(request) or request.query_params.get("access_token")
        if token is not None and len(token) > LONGEST_CLIENT_TOKEN:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Access Token must not be longer than 4K.")
        hub = request.query_params.get("hub", "")
        return identity_of(self._claims(token, client_audiences(_origin(request), hub)))

    def client_token(self, request: HTTPConnection, *, hub: str, user: str | None, life: timedelta) -> str:
        """Create a token with which a client may connect to the hub, until it expires."""
        now = int(time.time())
        claims = {"aud": client_audiences(_origin(request), hub)[0], "iat": now, "exp": now + int(life.total_seconds())}
        return jwt.encode({**claims, **({"nameid": user} if user else {})}, self._key, "HS256")

    def _claims(self, token: str | None, audiences: Sequence[str]) -> dict[str, Any]:
        if not token:
            raise Refused(HTTPStatus.UNAUTHORIZED, "The request carries no bearer token.")
        try:
            return jwt.decode(
                token, self._key, algorithms=["HS256"], audience=audiences, options={"require": ["exp", "aud"]}
            )
        except jwt.InvalidAudienceError as error:
            raise Refused(HTTPStatus.UNAUTHORIZED, f"{error}: it must be {audiences[0]}") from None
        except jwt.PyJWTError as error:
            raise Refused(HTTPStatus.UNAUTHORIZED, f"Invalid token: {error}") from None


def raw_path(request: HTTPConnection) -> str:
    """The raw path, percent-encoded: an escaped slash belongs to a name."""
    raw: bytes = request.scope["raw_path"]
    return raw.decode("ascii")


def rest_audiences(origin: str, path: str, query: str) -> list[str]:
    """The accepted audiences of a REST call: its URL as documented (no query), and as the .NET SDK makes it."""
    url = f"{origin}{path.rstrip('/')}"
    return [form for full in (url, f"{url}?{query}") for form in (full, _without_port(full))]


def client_audiences(origin: str, hub: str) -> list[str]:
    """The accepted audiences of a client: the URL in the app's negotiate response."""
    url = f"{origin}/client/?hub={hub}"
    return [url, _without_port(url)]


def identity_of(claims: Mapping[str, Any]) -> ClientIdentity:
    """Read a client's verified claims. Raises Refused (401) when the expiry claim is not unix seconds."""
    user = next((str(claims[name]) for name in USER_CLAIMS if claims.get(name)), None)
    if str(claims.get(CLOSE_ON_EXPIRY_CLAIM, "")).lower() != "true" or EXPIRY_CLAIM not in claims:
        return ClientIdentity(user=user, closes_at=None)
    try:
        return ClientIdentity(user=user, closes_at=int(claims[EXPIRY_CLAIM]))
    except (TypeError, ValueError):
        raise Refused(HTTPStatus.UNAUTHORIZED, f"Claim {EXPIRY_CLAIM} must be unix seconds.") from None


def bearer(request: HTTPConnection) -> str | None:
    """The token of the Authorization header, if there is one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _origin(request: HTTPConnection) -> str:
    # From the request and not from a setting: behind a proxy the caller signs for the address that it calls.
    return f"http://{request.url.netloc}"


def _without_port(url: str) -> str:
    return PORT.sub(r"\1", url)
