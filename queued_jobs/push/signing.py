"""Signs the tokens with which requests to Azure SignalR Service are authorised."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta
from typing import Final

#: How long the token of a request is valid.
TOKEN_LIFE: Final = timedelta(minutes=5)
#: A token is used again while at least this much of its life is left.
MIN_LEFT: Final = timedelta(minutes=2)
#: Tokens that are kept: there is one for each address.
MAX_TOKENS: Final = 1_000


class Signer:
    """Signs tokens (RFC 7519, HS256) with an access key."""

    def __init__(self, access_key: str) -> None:
        self._signature = hmac.new(access_key.encode(), digestmod=hashlib.sha256)
        #: By audience: the token, and when it ends.
        self._tokens: dict[str, tuple[str, float]] = {}

    def sign(self, audience: str, expires: int, **claims: str) -> str:
        """Return a token for an audience that is valid until `expires`, in Unix seconds."""
        now = int(time.time())
        payload = {"aud": audience, "iat": now, "nbf": now - 5, "exp": expires, **claims}
        signed = _HEADER + b"." + _encode(json.dumps(payload, separators=(",", ":")).encode())
        signature = self._signature.copy()
        signature.update(signed)
        return (signed + b"." + _encode(signature.digest())).decode()

    def token(self, audience: str) -> str:
        """Return a token for an audience, the same one for a few minutes."""
        now = time.time()
        token, expires = self._tokens.get(audience, ("", 0.0))
        # also if the clock was set back: a token that is not yet valid would be refused
        if MIN_LEFT.total_seconds() <= expires - now <= TOKEN_LIFE.total_seconds():
            return token
        if len(self._tokens) >= MAX_TOKENS:
            self._tokens.clear()
        expires = now + TOKEN_LIFE.total_seconds()
        token = self.sign(audience, int(expires))
        self._tokens[audience] = token, expires
        return token


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


_HEADER = _encode(b'{"alg":"HS256","typ":"JWT"}')
