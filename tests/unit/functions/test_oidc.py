"""Access tokens where the page and the API are one registration of the provider, so that both have one audience."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from api.key_set import KeySet
from api.oidc import OidcAuthenticator
from api.problems import Problem
from settings import OidcSettings

ISSUER, APP = "https://issuer.example", "the-app"
SETTINGS = OidcSettings(
    issuer=ISSUER,
    audience=APP,
    client_id=APP,
    roles_claim="roles",
    scope="openid",
    audience_parameter="",
    algorithms=("RS256",),
)


class OneKey(KeySet):
    def __init__(self, key: RSAPrivateKey) -> None:
        super().__init__(ISSUER)
        self._key = key.public_key()

    async def find(self, key_id: str, algorithm: str) -> Any:
        return self._key


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def token(key: RSAPrivateKey, **claims: object) -> str:
    now = time.time()
    always = {"iss": ISSUER, "aud": APP, "sub": "ann", "iat": now, "exp": now + 600, "roles": ["user"]}
    return jwt.encode({**always, **claims}, key, "RS256", headers={"kid": "1"})


@pytest.mark.parametrize("claims", [{"scp": "access"}, {"scope": "openid access"}, {"idtyp": "app"}])
async def test_an_access_token_lets_in(key: RSAPrivateKey, claims: dict[str, str]) -> None:
    principal = await OidcAuthenticator(SETTINGS, OneKey(key)).authenticate(token(key, **claims))
    assert principal.roles == {"user"}


@pytest.mark.parametrize("claims", [{"nonce": "n"}, {}, {"scp": ""}, {"idtyp": "user"}])
async def test_an_id_token_does_not(key: RSAPrivateKey, claims: dict[str, str]) -> None:
    with pytest.raises(Problem) as caught:
        await OidcAuthenticator(SETTINGS, OneKey(key)).authenticate(token(key, **claims))
    assert caught.value.status_code == 401
