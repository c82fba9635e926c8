"""REST callers with an identity: bearer tokens of Microsoft Entra instead of the access key."""

from __future__ import annotations

from http import HTTPStatus

import jwt
from starlette.requests import HTTPConnection

from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.tokens import bearer

AUDIENCE = "https://signalr.azure.com"


class EntraTokens:
    """Checks signature, audience and times; the roles of an identity are known in Azure only.

    With it the access key is rejected, as if local authentication were disabled.
    """

    def __init__(self, public_key: str) -> None:
        self._public_key = public_key

    def check_rest(self, request: HTTPConnection) -> None:
        """Raises Refused (401) unless the request carries a token for this service."""
        token = bearer(request)
        if not token:
            raise Refused(HTTPStatus.UNAUTHORIZED, "The request carries no bearer token.")
        required = ["exp", "nbf", "iss", "aud", "oid"]
        try:
            jwt.decode(token, self._public_key, algorithms=["RS256"], audience=AUDIENCE, options={"require": required})
        except jwt.InvalidAudienceError:
            raise Refused(HTTPStatus.UNAUTHORIZED, f"Invalid audience: it must be {AUDIENCE}") from None
        except jwt.PyJWTError as error:
            raise Refused(HTTPStatus.UNAUTHORIZED, f"Invalid token: {error}") from None
