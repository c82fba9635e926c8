"""`AUTH_MODE=oidc`: users sign in at an OpenID Connect provider; this checks its access tokens."""

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
#: Claims of other tokens only: at_hash and c_hash of ID tokens, events of logout tokens.
_OF_OTHER_TOKENS = ("at_hash", "c_hash", "s_hash", "events")
#: Values of Keycloak's `typ` claim, which it adds to tokens of every type.
_OTHER_TOKENS = ("id", "refresh", "offline", "logout")
#: Issuers whose `tid` and `oid` are Entra's own claims, which users cannot set.
_ENTRA_HOSTS = (
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "sts.windows.net",
)


class OidcAuthenticator:
    """Accepts signed access tokens of one issuer for one audience.

    Keys come only from the issuer's published set, never from the token, and each is used only for its own kind of
    signature. A list of audiences is accepted if it contains ours, as the standard allows.
    """

    def __init__(self, settings: OidcSettings, keys: KeySet | None = None) -> None:
        self._settings = settings
        self._keys = keys or KeySet(settings.issuer)
        self._is_entra = urlsplit(settings.issuer).hostname in _ENTRA_HOSTS

    async def origins(self) -> list[str]:
        """Return the known origins that the page connects to for signing in."""
        endpoint = await self._keys.token_origin()
        return list(dict.fromkeys([self._settings.origin, *([endpoint] if endpoint else [])]))

    async def authenticate(self, token: str) -> Principal:
        try:
            claims = await self._claims(token)
        except jwt.PyJWTError as exc:
            raise unauthorized("This token is not valid or has expired. Sign in again.") from exc
        except KeysUnavailable as exc:
            raise Problem(503, "The identity provider is unavailable at the moment.", {"Retry-After": "5"}) from exc
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
            raise jwt.InvalidAlgorithmError("this signing algorithm is not accepted")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= _MAX_KEY_ID:
            raise jwt.InvalidKeyError("does not name a key")
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
            raise jwt.InvalidTokenError("empty, too long, or not a string")
        if not isinstance(claims["exp"], (int, float)) or claims["exp"] > _LAST_MOMENT:
            raise jwt.InvalidTokenError("its expiry is not a valid time")
        if not self._is_access_token(claims, str(header["typ"]).lower()):
            raise jwt.InvalidTokenError("an ID token, which does not grant access")
        return claims

    def _is_access_token(self, claims: Mapping[str, Any], kind: str) -> bool:
        """Return whether it is an access token: the provider signs other tokens with the same keys."""
        if any(name in claims for name in _OF_OTHER_TOKENS) or str(claims.get("typ", "")).lower() in _OTHER_TOKENS:
            return False
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if self._settings.client_id not in audiences or kind.endswith("at+jwt"):
            return True
        # its audience includes the page, like that of an ID token: only its scope shows that it is an access token
        return any(isinstance(claims.get(name), (str, list)) and claims[name] for name in ("scp", "scope")) or (
            claims.get("idtyp") == "app"
        )

    def _subject(self, claims: Mapping[str, Any]) -> str:
        """Return the issuer's id of the user. Entra's `sub` differs between applications, `oid` does not.

        `oid` and `tid` of other providers are ignored: users may be able to set them and impersonate others.
        """
        tenant, person = claims.get("tid"), claims.get("oid")
        if self._is_entra and isinstance(tenant, str) and isinstance(person, str):
            return f"{tenant}|{person}"
        subject: str = claims["sub"]
        return subject


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _roles(claim: Any) -> frozenset[str]:
    """Return the known roles; viewers and admins are users, too."""
    given = claim.split(" ") if isinstance(claim, str) else claim if isinstance(claim, list) else []
    found = {role for role in given if isinstance(role, str)} & _ROLES
    return frozenset(found | {USER}) if found else frozenset()


def _name(claims: Mapping[str, Any]) -> str:
    for claim in ("name", "preferred_username", "email"):
        value = claims.get(claim)
        if isinstance(value, str) and value.isprintable() and value.strip():
            return value.strip()[:_MAX_NAME]
    return f"User {str(claims['sub'])[-4:]}"
