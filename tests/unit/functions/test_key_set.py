"""The provider's keys: one bad entry has no effect, and an unavailable provider is not asked all the time."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api.sign_in.key_set import KeySet, KeysUnavailable
from tests.support.issuer import Issuer

BAD = [
    "no object",
    {"kid": 5},
    {"kid": "a", "kty": "RSA"},
    {"kid": "b", "kty": "RSA", "alg": ["x"], "n": "AQ", "e": "AQAB"},
]


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Bent(Issuer):
    """An issuer whose documents are changed on their way."""

    def __init__(self, **changes: dict[str, Any]) -> None:
        super().__init__()
        self._changes = changes

    def documents(self) -> dict[str, Any]:
        documents = super().documents()
        documents["/keys"] |= self._changes.get("keys", {})
        documents["/.well-known/openid-configuration"] |= self._changes.get("discovery", {})
        return documents


async def test_bad_entries_are_passed_over() -> None:
    with Issuer() as good:
        published = good.documents()["/keys"]["keys"]
    with Bent(keys={"keys": [*BAD, *published]}) as issuer:
        assert await KeySet(issuer.url).find("first", "RS256") is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"keys": {"keys": "none"}},
        {"discovery": {"jwks_uri": "http://[x"}},
        {"discovery": {"jwks_uri": "http://a b\x00"}},
    ],
    ids=str,
)
async def test_documents_that_are_none_are_a_provider_that_is_away(changes: dict[str, Any]) -> None:
    with Bent(**changes) as issuer:
        found: Any = None
        with contextlib.suppress(KeysUnavailable):
            found = await KeySet(issuer.url).find("first", "RS256")
        assert found is None


async def test_without_any_keys_the_provider_is_asked_every_three_seconds() -> None:
    with Bent(discovery={"issuer": "https://another.example"}) as issuer:
        clock = Clock()
        keys = KeySet(issuer.url, clock=clock)
        for _ in range(20):
            with pytest.raises(KeysUnavailable):
                await keys.find("first", "RS256")
        assert issuer.fetched.total() == 1
        clock.now += 3.1
        with pytest.raises(KeysUnavailable):
            await keys.find("first", "RS256")
        assert issuer.fetched.total() == 2


async def test_a_key_is_good_for_its_own_way_of_signing_alone() -> None:
    with Issuer() as issuer:
        issuer.keys |= {
            "weak": rsa.generate_private_key(65537, 1024),  # noqa: S505 (which is refused)
            "another curve": ec.generate_private_key(ec.SECP384R1()),
            "bitcoin's curve": ec.generate_private_key(ec.SECP256K1()),
        }
        keys = KeySet(issuer.url)
        found = [
            (name, algorithm)
            for name in issuer.keys
            for algorithm in ("RS256", "ES256", "EdDSA", "HS256", "none", "RS512", "PS256", "ES384")
            if await keys.find(name, algorithm) is not None
        ]
    assert found == [("first", "RS256"), ("curve", "ES256"), ("another curve", "ES384")]


async def test_the_origin_of_tokens_is_looked_up_once() -> None:
    with Bent(discovery={"token_endpoint": "http://tokens.example:8080/oauth/token?x=y"}) as issuer:
        keys = KeySet(issuer.url)
        assert [await keys.token_origin() for _ in range(3)] == ["http://tokens.example:8080"] * 3
        assert await keys.find("first", "RS256") is not None
        assert issuer.fetched.total() == 2


@pytest.mark.parametrize(
    "address",
    [
        None,
        5,
        "",
        "/token",
        "javascript:alert(1)",
        "https://a b/token",
        "https://*/token",
        "https://x; script-src */token",
        "https://x,y/token",
        "https://user@x/token",
        "https://x:99999999/token",
        "//x/token",
    ],
)
async def test_an_address_for_tokens_that_is_none_changes_no_header(address: object) -> None:
    with Bent(discovery={"token_endpoint": address}) as issuer:
        assert await KeySet(issuer.url).token_origin() is None


async def test_while_the_provider_is_away_the_origin_is_not_known_and_the_page_is_served() -> None:
    with Bent(discovery={"issuer": "https://another.example"}) as issuer:
        keys = KeySet(issuer.url, clock=Clock())
        assert [await keys.token_origin() for _ in range(5)] == [None] * 5
        assert issuer.fetched.total() == 1
