"""`AUTH_MODE=oidc`: people sign in at an OpenID Connect provider; here its access tokens are checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt

from api.http.problems import Problem
from api.sign_in.identity import ADMIN, USER, VIEWER, Principal, unauthorized, user_id_of
from api.sign_in.key_set import KeySet, KeysUnavailable
from settings import OidcSettings

_LEEWAY = timedelta(seconds=60)
_MAX_TOKEN = 16 * 1024
_MAX_SUBJECT = 255
_MAX_KEY_ID = 300
_MAX_NAME = 80
#: The end of the year 9999, in Unix seconds.
_LAST_MOMENT = 253_402_300_799
_TYPES = ("at+jwt", "application/at+jwt", "jwt")
_REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
_ROLES = frozenset({USER, VIEWER, ADMIN})
#: What only tokens have that are for something else: at_hash and c_hash for the page, events for signing out.
_OF_OTHER_TOKENS = ("at_hash", "c_hash", "s_hash", "events")
#: Keycloak's claim `typ`, which it gives tokens of every sort.
_OTHER_TOKENS = ("id", "refresh", "offline", "logout")
#: Whose `tid` and `oid` are Entra's own, and not claims that anybody may have been let fill in.
_ENTRA_HOSTS = (
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "sts.windows.net",
)


class OidcAuthenticator:
    """Takes signed access tokens of one issuer for one audience.

    Keys come from the issuer's published set alone, whatever a token says of itself, and each is used for its own kind
    of signature alone. A list of audiences is taken if ours is among them, as the standard allows.
    """

    def __init__(self, settings: OidcSettings, keys: KeySet | None = None) -> None:
        self._settings = settings
        self._keys = keys or KeySet(settings.issuer)
        self._is_entra = urlsplit(settings.issuer).hostname in _ENTRA_HOSTS

    async def origins(self) -> list[str]:
        """Return the origins that the page talks to for signing in, as far as they can be found out."""
        endpoint = await self._keys.token_origin()
        return list(dict.fromkeys([self._settings.origin, *([endpoint] if endpoint else [])]))

    async def authenticate(self, token: str) -> Principal:
        try:
            claims = await self._claims(token)
        except jwt.PyJWTError as exc:
            raise unauthorized("This token is not valid (any more). Sign in again.") from exc
        except KeysUnavailable as exc:
            raise Problem(503, "The identity provider does not answer at the moment.", {"Retry-After": "5"}) from exc
        return Principal(
            user_id=user_id_of(self._settings.issuer, self._subject(claims)),
            display=_name(claims),
            roles=_roles(claims.get(self._settings.roles_claim)),
            expires_at=float(claims["exp"]),
        )

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > _MAX_TOKEN:
            raise jwt.DecodeError("too long")
        header = jwt.get_unverified_header(token)
        algorithm, key_id = header.get("alg"), header.get("kid")
        if str(header.get("typ", "")).lower() not in _TYPES:
            raise jwt.DecodeError("not an access token")
        if algorithm not in self._settings.algorithms:
            raise jwt.InvalidAlgorithmError("this way of signing is not accepted")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= _MAX_KEY_ID:
            raise jwt.InvalidKeyError("names no key")
        key = await self._keys.find(key_id, algorithm)
        if key is None:
            raise jwt.InvalidKeyError("names a key that is not the provider's")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=self._settings.issuer,
            audience=self._settings.audience,
            leeway=_LEEWAY,
            options={"require": _REQUIRED},
        )
        if not 0 < len(claims["sub"]) <= _MAX_SUBJECT or not _is_unicode(claims["sub"]):
            raise jwt.InvalidTokenError("empty, too long, or no text")
        if not isinstance(claims["exp"], (int, float)) or claims["exp"] > _LAST_MOMENT:
            raise jwt.InvalidTokenError("ends at no moment that a clock shows")
        if not self._is_access_token(claims, str(header["typ"]).lower()):
            raise jwt.InvalidTokenError("an ID token, which says who signed in and lets nobody in")
        return claims

    def _is_access_token(self, claims: Mapping[str, Any], kind: str) -> bool:
        """Tell an access token from the others that the same provider signs with the same keys."""
        if any(name in claims for name in _OF_OTHER_TOKENS) or str(claims.get("typ", "")).lower() in _OTHER_TOKENS:
            return False
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if self._settings.client_id not in audiences or kind.endswith("at+jwt"):
            return True
        # it is for the page too, as every ID token is: only what the page was allowed shows that it is none
        return any(isinstance(claims.get(name), (str, list)) and claims[name] for name in ("scp", "scope")) or (
            claims.get("idtyp") == "app"
        )

    def _subject(self, claims: Mapping[str, Any]) -> str:
        """Return who it is for the issuer. Entra's `sub` differs from one application to the next, `oid` does not.

        Of another provider the two are not believed: where people can set them, they could be anybody.
        """
        tenant, person = claims.get("tid"), claims.get("oid")
        if self._is_entra and isinstance(tenant, str) and isinstance(person, str):
            return f"{tenant}|{person}"
        subject: str = claims["sub"]
        return subject


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _roles(claim: Any) -> frozenset[str]:
    """Return the roles that we know; whoever looks at, or acts on, everybody's jobs is a user too."""
    given = claim.split(" ") if isinstance(claim, str) else claim if isinstance(claim, list) else []
    found = {role for role in given if isinstance(role, str)} & _ROLES
    return frozenset(found | {USER}) if found else frozenset()


def _name(claims: Mapping[str, Any]) -> str:
    for claim in ("name", "preferred_username", "email"):
        value = claims.get(claim)
        if isinstance(value, str) and value.isprintable() and value.strip():
            return value.strip()[:_MAX_NAME]
    return f"User {str(claims['sub'])[-4:]}"
