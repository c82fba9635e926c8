"""`AUTH_MODE=invite`: the link makes its holder a guest, with a session of twelve hours."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from api.sign_in.identity import ADMIN, GUEST, Principal, unauthorized, user_id_of
from settings import InviteSettings

_ISSUER = "qj-guest"
_AUDIENCE = "queued-jobs"
_LIFE = timedelta(hours=12)
_ROLES = (GUEST, ADMIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    token: str
    expires_at: datetime
    principal: Principal


class InviteAuthenticator:
    """Exchanges invite secrets for sessions, and checks sessions.

    The signing key is derived from the session secret, which no link contains, and from both invite secrets: a new
    invite secret ends all sessions.
    """

    def __init__(self, settings: InviteSettings) -> None:
        self._secrets = {GUEST: settings.invite_secret.encode(), ADMIN: settings.admin_invite_secret.encode()}
        salt = hashlib.sha256(self._secrets[GUEST] + b"\0" + self._secrets[ADMIN]).digest()
        derive = HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"queued-jobs guest session")
        self._key = derive.derive(settings.session_secret.encode())

    async def exchange(self, invite: str) -> Session:
        """Return the session of a new guest or admin. Raises `Problem` 401 for an invalid secret."""
        given = invite.encode("utf-8", "replace")
        matching = [role for role, secret in self._secrets.items() if hmac.compare_digest(given, secret)]
        if not matching:
            raise unauthorized("This invite link is not valid or has expired. Ask for a new one.")
        now = datetime.now(UTC)
        subject, expires = f"guest:{uuid4()}", now + _LIFE
        claims = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": subject, "role": matching[0], "iat": now, "exp": expires}
        token = jwt.encode(claims, self._key, algorithm="HS256")
        return Session(token=token, expires_at=expires, principal=await self.authenticate(token))

    async def authenticate(self, token: str) -> Principal:
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                issuer=_ISSUER,
                audience=_AUDIENCE,
                options={"require": ["exp", "iat", "iss", "aud", "sub", "role"]},
            )
        except jwt.PyJWTError as exc:
            raise unauthorized("This session is not valid or has expired. Open the invite link again.") from exc
        subject, role = claims["sub"], claims["role"]
        if role not in _ROLES:
            raise unauthorized("This session is not valid.")
        name = "Admin" if role == ADMIN else "Guest"
        return Principal(
            user_id=user_id_of(_ISSUER, subject),
            display=f"{name} {subject[-4:]}",
            roles=frozenset({role}),
            expires_at=float(claims["exp"]),
        )
