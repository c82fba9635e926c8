"""Tokens for the hub, which are signed once and used for a while."""

from __future__ import annotations

import time

import jwt
import pytest

from queued_jobs.push.signing import MAX_TOKENS, TOKEN_LIFE, Signer

KEY = "k" * 44
AUDIENCE = "https://hub.example/api/hubs/jobs/users/ann%2F%C3%A9/:send"


def claims(token: str, audience: str = AUDIENCE) -> dict[str, object]:
    read: dict[str, object] = jwt.decode(
        token, KEY, algorithms=["HS256"], audience=audience, options={"require": ["exp", "iat", "nbf"]}
    )
    return read


def test_the_service_can_verify_it() -> None:
    token = Signer(KEY).sign(AUDIENCE, 4_000_000_000, nameid="ann/é")
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    assert claims(token)["nameid"] == "ann/é"
    assert claims(token)["exp"] == 4_000_000_000
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, "K" * 44, algorithms=["HS256"], audience=AUDIENCE)


def test_it_is_used_again_for_its_address_only() -> None:
    signer = Signer(KEY)
    assert signer.token(AUDIENCE) == signer.token(AUDIENCE) != signer.token("https://other.example")
    claims(signer.token("https://other.example"), "https://other.example")


@pytest.mark.parametrize("seconds", [TOKEN_LIFE.total_seconds() - 60, TOKEN_LIFE.total_seconds() + 60, -7200])
def test_it_is_replaced_before_it_ends_and_if_the_clock_was_set_back(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    signer, now = Signer(KEY), time.time()
    first = signer.token(AUDIENCE)
    monkeypatch.setattr(time, "time", lambda: now + seconds)
    assert signer.token(AUDIENCE) != first


def test_not_more_are_kept_than_fit() -> None:
    signer = Signer(KEY)
    for number in range(2 * MAX_TOKENS + 1):
        signer.token(f"{AUDIENCE}/{number}")
    assert len(signer._tokens) <= MAX_TOKENS
