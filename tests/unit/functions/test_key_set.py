"""The provider's keys: one bad entry costs nothing, and a provider that is away is not asked all the time."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from api.key_set import KeysAway, KeySet
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
        with contextlib.suppress(KeysAway):
            found = await KeySet(issuer.url).find("first", "RS256")
        assert found is None


async def test_without_any_keys_the_provider_is_asked_every_three_seconds() -> None:
    with Bent(discovery={"issuer": "https://another.example"}) as issuer:
        clock = Clock()
        keys = KeySet(issuer.url, clock=clock)
        for _ in range(20):
            with pytest.raises(KeysAway):
                await keys.find("first", "RS256")
        assert issuer.fetched.total() == 1
        clock.now += 3.1
        with pytest.raises(KeysAway):
            await keys.find("first", "RS256")
        assert issuer.fetched.total() == 2
