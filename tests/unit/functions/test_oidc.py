"""Access tokens where the page and the API are one registration of the provider, so that both have one audience."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from api.http.problems import Problem
from api.sign_in.key_set import KeySet
from api.sign_in.oidc import OidcAuthenticator
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


ID_TOKENS: list[dict[str, Any]] = [
    {"nonce": "n"},
    {},
    {"scp": ""},
    {"scp": True},
    {"scope": []},
    {"scope": {"openid": True}},
    {"idtyp": "user"},
    {"scope": "openid", "at_hash": "x"},
    {"scope": "openid", "c_hash": "x"},
    {"scope": "openid", "typ": "ID"},
    {"scope": "openid", "typ": "Refresh"},
    {"scope": "openid", "events": {}},
    {"aud": [APP, "another"]},
]


@pytest.mark.parametrize("claims", ID_TOKENS, ids=str)
async def test_an_id_token_does_not(key: RSAPrivateKey, claims: dict[str, Any]) -> None:
    with pytest.raises(Problem) as caught:
        await OidcAuthenticator(SETTINGS, OneKey(key)).authenticate(token(key, **claims))
    assert caught.value.status_code == 401


async def test_an_id_token_for_both_the_page_and_the_api_does_not_either(key: RSAPrivateKey) -> None:
    settings = SETTINGS.model_copy(update={"audience": "the-api"})
    authenticator = OidcAuthenticator(settings, OneKey(key))
    await authenticator.authenticate(token(key, aud=["the-api", "another"]))
    with pytest.raises(Problem):
        await authenticator.authenticate(token(key, aud=["the-api", APP]))


async def test_a_token_that_says_by_its_type_that_it_is_for_an_api_needs_no_scope(key: RSAPrivateKey) -> None:
    authenticator = OidcAuthenticator(SETTINGS, OneKey(key))
    claims = jwt.decode(token(key), options={"verify_signature": False})
    typed = jwt.encode(claims, key, "RS256", headers={"kid": "1", "typ": "at+jwt"})
    assert (await authenticator.authenticate(typed)).roles == {"user"}


ENTRA = [
    "https://login.microsoftonline.com/tenant/v2.0",
    "https://login.microsoftonline.us/tenant/v2.0",
    "https://login.partner.microsoftonline.cn/tenant/v2.0",
    "https://sts.windows.net/tenant/",
]
OTHERS = [
    ISSUER,
    "https://login.microsoftonline.com.evil.example/tenant/v2.0",
    "https://evil.example/login.microsoftonline.com/v2.0",
    "https://login.microsoftonline.com@evil.example/v2.0",
    "https://notlogin.microsoftonline.com/tenant",
    "https://tenant.b2clogin.com/tenant/v2.0",
]


@pytest.mark.parametrize("issuer", [*ENTRA, *OTHERS])
async def test_tid_and_oid_are_believed_of_entra_alone(key: RSAPrivateKey, issuer: str) -> None:
    authenticator = OidcAuthenticator(SETTINGS.model_copy(update={"issuer": issuer}), OneKey(key))
    ann, bob = [
        await authenticator.authenticate(token(key, iss=issuer, sub=sub, scp="x", tid="t", oid="o"))
        for sub in ("ann", "bob")
    ]
    assert (ann.user_id == bob.user_id) == (issuer in ENTRA)
    plain = await authenticator.authenticate(token(key, iss=issuer, scp="x"))
    assert (ann.user_id == plain.user_id) == (issuer in OTHERS)
    odd = await authenticator.authenticate(token(key, iss=issuer, scp="x", tid=["t"], oid={"o": 1}))
    assert odd.user_id == plain.user_id
