"""Invite links, sessions, and forged ones."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import jwt
import pytest

from api.http.problems import Problem
from api.sign_in.identity import user_id_of
from api.sign_in.invite import InviteAuthenticator
from settings import InviteSettings
from tests.support.link_secrets import ADMIN_INVITE, INVITE, SESSION

SETTINGS = InviteSettings(invite_secret=INVITE, admin_invite_secret=ADMIN_INVITE, session_secret=SESSION)
authenticator = InviteAuthenticator(SETTINGS)


async def test_a_guest_and_an_admin() -> None:
    guest, admin = await authenticator.exchange(INVITE), await authenticator.exchange(ADMIN_INVITE)
    assert (guest.principal.roles, admin.principal.roles) == (frozenset({"guest"}), frozenset({"admin"}))
    assert not guest.principal.is_admin
    assert await authenticator.authenticate(guest.token) == guest.principal
    assert 11.9 * 3600 < guest.principal.expires_at - time.time() <= 12 * 3600


async def test_each_exchange_is_another_user() -> None:
    ids = {(await authenticator.exchange(INVITE)).principal.user_id for _ in range(5)}
    assert len(ids) == 5
    assert all(len(user_id) == 32 and user_id.isalnum() for user_id in ids)


@pytest.mark.parametrize("invite", ["", "x", "i" * 42, "i" * 44, "s" * 43, "\ud800", "I" * 43])
async def test_a_wrong_invite_is_refused(invite: str) -> None:
    with pytest.raises(Problem) as caught:
        await authenticator.exchange(invite)
    assert caught.value.status_code == 401


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims with some changed: None leaves one out, and a timedelta is that long from now."""
    now = int(time.time())
    good = {"iss": "qj-guest", "aud": "queued-jobs", "sub": "guest:1", "role": "guest", "iat": now, "exp": now + 60}
    changed = {
        name: now + int(value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in changes.items()
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(**changes: Any) -> str:
    return jwt.encode(claims(**changes), authenticator._key, algorithm="HS256")


async def test_the_claims_of_the_table_below_would_do() -> None:
    assert (await authenticator.authenticate(signed())).user_id == user_id_of("qj-guest", "guest:1")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"iat": timedelta(hours=1)},
        {"iat": None},
        {"nbf": timedelta(hours=1)},
        {"iss": "qj-guest/"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"sub": None},
        {"sub": 5},
        {"role": "root"},
        {"role": None},
        {"role": ["admin"]},
    ],
    ids=repr,
)
async def test_a_session_with_wrong_claims_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Problem) as caught:
        await authenticator.authenticate(signed(**changes))
    assert caught.value.status_code == 401


@pytest.mark.parametrize("key", [INVITE, ADMIN_INVITE, SESSION, "x" * 43])
async def test_nobody_with_a_link_can_sign_a_session(key: str) -> None:
    token = jwt.encode(claims(role="admin"), key, algorithm="HS256")
    with pytest.raises(Problem):
        await authenticator.authenticate(token)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "x" * 100_000])
async def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Problem):
        await authenticator.authenticate(token)


async def test_no_algorithm_is_no_signature() -> None:
    token = jwt.encode(claims(), "", algorithm="none")
    with pytest.raises(Problem):
        await authenticator.authenticate(token)


@pytest.mark.parametrize("name", ["invite_secret", "admin_invite_secret", "session_secret"])
async def test_a_new_secret_ends_all_sessions(name: str) -> None:
    values = {field: getattr(SETTINGS, field) for field in InviteSettings.model_fields}
    other = InviteAuthenticator(InviteSettings(**(values | {name: SESSION[::-1]})))
    with pytest.raises(Problem):
        await other.authenticate(signed())
