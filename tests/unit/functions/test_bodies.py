"""JSON that other parsers let through and Postgres refuses."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http import json_bodies
from api.http.json_bodies import StrictRequest, parsed
from api.http.problems import Problem
from tests.support.turns import counted_turns

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**50), 10**50)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=32)), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_json_passes_unchanged(value: object) -> None:
    assert parsed(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"{} x", 400),
        (b"\xef\xbb\xbf{}", 400),  # byte order mark
        (b'{"a": "\xff"}', 400),
        (b'{"a": 1, "a": 2}', 400),
        (b'[{"a": 1, "b": {"c": 1, "c": 1}}]', 400),
        (b"NaN", 400),
        (b"[-Infinity]", 400),
        (b"1e400", 400),
        (b"1" * 5_000, 400),
        (b"1" * 101, 400),
        (b"[" * 65 + b"]" * 65, 400),
        (b"[" * 100_000, 400),
        (b'"\\u0000"', 422),
        (b'{"\\u0000": 1}', 422),
        (b'"\\ud800"', 422),
        (b'[["\\udfff"]]', 422),
        (b'{"a": ["sealed:1:AAAA"]}', 422),
        (b'{"sealed:1:": 1}', 422),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_everything_else_is_refused(body: bytes, status: int) -> None:
    with pytest.raises(Problem) as caught:
        parsed(body)
    assert caught.value.status_code == status


def test_depth_64_is_allowed() -> None:
    assert parsed(b"[" * 64 + b"]" * 64)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with contextlib.suppress(Problem):
        parsed(body)


async def test_a_large_body_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(["x"] * 10_000).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "headers": [(b"content-type", b"application/json")]}
    async with counted_turns() as turns:
        monkeypatch.setattr(json_bodies, "parsed", turns.watched(parsed))
        assert len(await StrictRequest(scope, receive).json()) == 10_000
        body = b"[" * 20_000
        with pytest.raises(Problem):
            await StrictRequest(scope, receive).json()
    assert turns.went_on == [True, True]
