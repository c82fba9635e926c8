"""Audiences and claims, without a request."""

from __future__ import annotations

from typing import Any

import pytest

from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.tokens import ClientIdentity, client_audiences, identity_of, rest_audiences


def test_a_rest_audience_is_the_url_in_four_forms_and_no_other() -> None:
    assert rest_audiences("http://127.0.0.1:8888", "/api/hubs/jobs/users/a%2Fb/:send", "api-version=2022-06-01") == [
        "http://127.0.0.1:8888/api/hubs/jobs/users/a%2Fb/:send",
        "http://127.0.0.1/api/hubs/jobs/users/a%2Fb/:send",
        "http://127.0.0.1:8888/api/hubs/jobs/users/a%2Fb/:send?api-version=2022-06-01",
        "http://127.0.0.1/api/hubs/jobs/users/a%2Fb/:send?api-version=2022-06-01",
    ]


def test_a_trailing_slash_belongs_to_no_rest_audience() -> None:
    assert rest_audiences("http://hub", "/api/v1/hubs/jobs/", "")[0] == "http://hub/api/v1/hubs/jobs"


def test_only_the_port_of_the_host_is_left_out() -> None:
    assert (
        rest_audiences("http://hub:1", "/api/v1/hubs/jobs/users/a:2/", "")[1] == "http://hub/api/v1/hubs/jobs/users/a:2"
    )


def test_a_client_audience_is_the_negotiated_url() -> None:
    expected = ["http://127.0.0.1:8888/client/?hub=jobs", "http://127.0.0.1/client/?hub=jobs"]
    assert client_audiences("http://127.0.0.1:8888", "jobs") == expected


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"asrs.s.uid": "sdk", "nameid": "documented", "sub": "jwt"}, "sdk"),
        ({"nameid": "documented", "sub": "jwt"}, "documented"),
        ({"sub": "jwt"}, "jwt"),
        ({"nameid": ""}, None),
        ({}, None),
    ],
)
def test_the_user_is_in_the_first_claim_that_there_is(claims: dict[str, Any], user: str | None) -> None:
    assert identity_of(claims) == ClientIdentity(user=user, closes_at=None)


@pytest.mark.parametrize(
    ("claims", "closes_at"),
    [
        ({"asrs.s.coae": "true", "asrs.s.aeo": "1700000000"}, 1700000000),
        ({"asrs.s.coae": True, "asrs.s.aeo": 1700000000}, 1700000000),
        ({"asrs.s.coae": "false", "asrs.s.aeo": "1700000000"}, None),
        ({"asrs.s.aeo": "1700000000"}, None),
        ({"asrs.s.coae": "true"}, None),
    ],
)
def test_a_connection_ends_with_its_sign_in_only_when_both_claims_say_so(
    claims: dict[str, Any], closes_at: int | None
) -> None:
    assert identity_of(claims).closes_at == closes_at


@pytest.mark.parametrize("expiry", ["soon", None, []])
def test_an_expiry_that_is_no_number_is_refused(expiry: object) -> None:
    with pytest.raises(Refused, match=r"asrs\.s\.aeo must be unix seconds") as refused:
        identity_of({"asrs.s.coae": "true", "asrs.s.aeo": expiry})
    assert refused.value.status == 401
