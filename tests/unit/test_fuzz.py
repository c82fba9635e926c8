"""Readers of what comes from outside: any input is either understood, or refused in the one way that they state."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from pydantic import ValidationError

from api.admin.filters import JobFilters
from api.http.cursors import cursor_of, cursor_text
from api.http.json_bodies import parsed
from api.http.problems import Problem
from api.sign_in.identity import user_id_of
from api.sign_in.invite import InviteAuthenticator
from api.sign_in.key_set import KeySet
from api.sign_in.oidc import OidcAuthenticator
from queued_jobs.errors import InvalidRequest, RejectedMessage
from queued_jobs.message import JobMessage
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.push.signalr import ConnectionString
from queued_jobs.tracker import Cursor
from settings import InviteSettings, OidcSettings, Settings, SettingsError
from tests.support import link_secrets
from tests.unit.functions.test_settings import GOOD
from tools.test_app.jobs.packer import Packer, PackRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
#: A loaded machine takes its time, which is not a failure.
RELAXED = bounded(deadline=None, max_examples=80)
INVITES = InviteAuthenticator(
    InviteSettings(
        invite_secret=link_secrets.INVITE,
        admin_invite_secret=link_secrets.ADMIN_INVITE,
        session_secret=link_secrets.SESSION,
    )
)


@RELAXED
@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
@example(b'{"v":1,"id":"01a20f71-90cb-7027-842a-5ce2fd999aaa","gen":true}')
@example(b'{"v":1,"id":"01a20f71-90cb-7027-842a-5ce2fd999aaa","gen":9223372036854775808}')
@example(b"[" * 100_000)
def test_queue_messages(body: bytes) -> None:
    try:
        message = JobMessage.decode(body)
    except RejectedMessage:
        return
    assert JobMessage.decode(message.encode().encode()) == message


@RELAXED
@given(
    st.fixed_dictionaries(
        {}, optional={"v": st.just(1) | JSON, "id": st.uuids().map(str) | JSON, "gen": st.integers(-2, 2**64) | JSON}
    )
)
def test_queue_messages_that_are_nearly_right(data: dict[str, Any]) -> None:
    with contextlib.suppress(RejectedMessage):
        message = JobMessage.decode(json.dumps(data).encode())
        assert isinstance(message.id, UUID)
        assert 0 < message.gen < 2**63


@RELAXED
@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")))
@example(b'"\xed\xa0\x80"')
@example(b"1e999")
@example(b"-" + b"9" * 5_000)
def test_bodies(body: bytes) -> None:
    try:
        value = parsed(body)
    except Problem as problem:
        assert problem.status_code in (400, 422)  # noqa: PT017 (some inputs are fine)
        return
    text = json.dumps(value, allow_nan=False)
    assert "\\u0000" not in text.replace("\\\\", "")
    json.dumps(value, ensure_ascii=False).encode("utf-8")


@RELAXED
@given(JSON)
def test_stored_requests(value: Any) -> None:
    """A row may hold what an older or a newer version wrote, and the bell has to show it."""
    try:
        request = PackRequest.model_validate(value)
    except ValidationError:
        return
    assert Packer.label(request)


@RELAXED
@given(st.text(max_size=60), st.text(max_size=60))
def test_owners(issuer: str, subject: str) -> None:
    assume(not any("\ud800" <= character <= "\udfff" for character in issuer + subject))
    found = user_id_of(issuer, subject)
    assert len(found) == 32
    assert found.isalnum()
    assert found.isascii()


TOKENS = st.text(max_size=200) | st.lists(st.text("AZaz09_-", max_size=60), min_size=2, max_size=5).map(".".join)
HEADERS = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "b64", "x"]), JSON, max_size=5)


class _NoKeys(KeySet):
    async def find(self, key_id: str, algorithm: str) -> Any | None:
        return None


OIDC = OidcAuthenticator(
    OidcSettings(
        issuer="https://x.example",
        audience="api",
        client_id="page",
        roles_claim="roles",
        scope="openid",
        audience_parameter="",
        algorithms=("RS256", "ES256", "EdDSA"),
    ),
    _NoKeys("https://x.example"),
)


def encoded(data: Any) -> str:
    import base64

    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("authenticator", [INVITES, OIDC], ids=["invite", "oidc"])
@RELAXED
@given(st.one_of(TOKENS, st.tuples(HEADERS, JSON).map(lambda parts: f"{encoded(parts[0])}.{encoded(parts[1])}.AAAA")))
def test_tokens(authenticator: InviteAuthenticator | OidcAuthenticator, token: str) -> None:
    with pytest.raises(Problem) as caught:
        asyncio.run(authenticator.authenticate(token))
    assert caught.value.status_code == 401


@RELAXED
@given(
    st.text(max_size=100)
    | st.lists(
        st.tuples(st.sampled_from(["Endpoint", "AccessKey", "Port", "Version", "x"]), st.text(max_size=20)), max_size=5
    ).map(lambda parts: ";".join(f"{name}={value}" for name, value in parts))
)
@example("Endpoint=https://[;AccessKey=SECRET;")
@example("Endpoint=https://x;AccessKey=SECRET;Port=99999999999;")
def test_connection_strings(text: str) -> None:
    try:
        found = ConnectionString.parse(text)
    except ValueError as exc:
        assert "SECRET" not in str(exc)  # noqa: PT017 (some inputs are fine)
        return
    assert found.endpoint.startswith(("http://", "https://"))
    assert found.access_key


@RELAXED
@given(st.text(max_size=60) | st.lists(st.text("*/,-0123456789aMOJ", max_size=6), min_size=6, max_size=6).map(" ".join))
@example("0 0 0 30 2 *")
@example("0 0 0 29 2 1")
@example("0 0 0 29 2 sunday")
@example("0 0 \u0663 * * *")
@example("0 0\n3 * * *")
@example("0 0 3 * * monkey")
@example("*/0 * * * * *")
@example("9999999999999999999999-1 * * * * *")
def test_schedules(expression: str) -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    try:
        schedule = Ncrontab(expression)
    except ValueError as exc:
        assert str(exc)  # noqa: PT017 (some inputs are fine)
        return
    following = schedule.next(now)
    assert following > now
    assert schedule.next(following - timedelta(seconds=1)) == following
    assert re.fullmatch("[ -~]+", expression), "the host's own parser knows no other digits and spaces"
    for year in (2026, 2033, 2099, 2101):
        earlier = schedule.latest(datetime(year, 3, 1, tzinfo=UTC))
        assert schedule.latest(schedule.next(earlier) - timedelta(seconds=1)) == earlier


@RELAXED
@given(
    st.text(max_size=80)
    | st.tuples(st.integers(), st.text("0123456789abcdef-", max_size=40)).map(lambda p: f"{p[0]}.{p[1]}")
)
@example("1" * 5_000 + ".0")
@example("-99999999999999999.00000000000000000000000000000000")
def test_cursors(text: str) -> None:
    try:
        cursor = cursor_of(text)
    except Problem as problem:
        assert problem.status_code == 422  # noqa: PT017 (some inputs are fine)
        return
    assert cursor is not None
    assert cursor_of(cursor_text(cursor)) == cursor


@RELAXED
@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_cursors_read_back(moment: datetime, key: UUID) -> None:
    cursor = Cursor(created_at=moment, id=key)
    assert cursor_of(cursor_text(cursor)) == cursor


@RELAXED
@given(st.dictionaries(st.sampled_from([*JobFilters.model_fields, "from", "to", "x"]), JSON | st.text(max_size=300)))
@example({"from": "99999-01-01"})
@example({"kind": "\0"})
@example({"from": "2026-01-01T00:00:00+23:59", "to": "0001-01-01T00:00:00+14:00"})
def test_filters(data: dict[str, Any]) -> None:
    with contextlib.suppress(ValidationError, InvalidRequest):
        JobFilters.model_validate(data).to_query()


@RELAXED
@given(
    st.dictionaries(st.sampled_from([*GOOD, "ALLOWED_ORIGINS", "MAX_ACTIVE_JOBS", "OIDC_ISSUER"]), st.text(max_size=40))
)
@example({"ALLOWED_ORIGINS": "https://[x"})
@example({"MAX_ACTIVE_JOBS": "٣"})
def test_settings(changes: dict[str, str]) -> None:
    try:
        settings = Settings.from_environment(GOOD | changes)
    except SettingsError as exc:
        assert str(exc).splitlines()  # noqa: PT017 (some inputs are fine)
        return
    assert settings.limits.active >= 1
    assert math.isfinite(settings.limits.per_day)
