"""The REST API, called as the app calls it: tokens, limits, statuses."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import jwt
import pytest

from tests.integration.local.signalr.harness import API_VERSION, KEY, StandIn, sign

BROADCAST = "/api/v1/hubs/jobs"
MESSAGE = {"target": "job", "arguments": [1]}


def tokens_to_refuse(url: str) -> dict[str, str]:
    return {
        "another audience": sign(f"{url}x"),
        "the site alone": sign(url.removesuffix(BROADCAST)),
        "expired": sign(url, lifetime=-1),
        "another key": sign(url, key=KEY + "x"),
        "another algorithm": jwt.encode({"aud": url, "exp": 9e9}, KEY, "HS384"),
        "no expiry": jwt.encode({"aud": url}, KEY, "HS256"),
        "no audience": jwt.encode({"exp": 9e9}, KEY, "HS256"),
        "not signed": jwt.encode({"aud": url, "exp": 9e9}, "", "none"),
        "no token at all": "abc",
    }


@pytest.mark.parametrize("wrong", list(tokens_to_refuse("")))
def test_a_token_that_is_not_exactly_right_is_401_with_a_reason(stand_in: StandIn, wrong: str) -> None:
    token = tokens_to_refuse(stand_in.endpoint + BROADCAST)[wrong]
    response = stand_in.call("POST", BROADCAST, token=token, json=MESSAGE)
    assert response.status_code == 401
    assert response.headers["x-ms-error-code"] == response.json()["code"] == "Unauthorized"
    assert response.json()["message"]
    assert token not in response.text


def test_a_call_without_a_token_is_401(stand_in: StandIn) -> None:
    response = stand_in.http.post(stand_in.endpoint + BROADCAST, json=MESSAGE)
    assert (response.status_code, response.json()["message"]) == (401, "The request carries no bearer token.")


@pytest.mark.parametrize("with_port", [True, False])
@pytest.mark.parametrize("with_query", [True, False])
def test_the_audience_may_be_written_as_documented_or_as_the_net_sdk_does(
    stand_in: StandIn, with_port: bool, with_query: bool
) -> None:
    path = f"/api/hubs/jobs/users/ada%3Ax%2Fy/:send?{API_VERSION}"
    audience = stand_in.endpoint + path
    if not with_query:
        audience = audience.split("?")[0]
    if not with_port:
        audience = audience.replace(f":{urlsplit(stand_in.endpoint).port}", "")
    assert stand_in.call("POST", path, token=sign(audience), json=MESSAGE).status_code == 202


def test_localhost_is_a_name_of_the_stand_in_too(stand_in: StandIn) -> None:
    url = f"http://localhost:{stand_in.ports[0]}{BROADCAST}"
    headers = {"Authorization": f"Bearer {sign(url)}"}
    assert stand_in.http.post(url, json=MESSAGE, headers=headers).status_code == 202


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b'["job"]', 400),
        (b'{"arguments": []}', 400),
        (b'{"target": ""}', 400),
        (b'{"target": 1}', 400),
        (b'{"target": "job", "arguments": {}}', 400),
        (b'{"target": "job", "arguments": [NaN]}', 400),
        (b'{"target": "job"}', 202),
        (b'{"target": "job", "arguments": null}', 202),
        (json.dumps({"target": "job", "arguments": ["x" * (1024 * 1024)]}).encode(), 413),
        (json.dumps({"target": "job", "arguments": ["x" * (1024 * 1024 - 50)]}).encode(), 202),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_body_is_checked(stand_in: StandIn, content: bytes, status: int) -> None:
    response = stand_in.call("POST", BROADCAST, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == status, response.text


def test_a_body_must_call_itself_json(stand_in: StandIn) -> None:
    headers = {"Content-Type": "text/plain"}
    assert stand_in.call("POST", BROADCAST, content=b"{}", headers=headers).status_code == 415


def test_headers_are_limited_to_16_kb(stand_in: StandIn) -> None:
    assert stand_in.call("POST", BROADCAST, json=MESSAGE, headers={"x-filler": "x" * 15_000}).status_code == 202
    assert stand_in.call("POST", BROADCAST, json=MESSAGE, headers={"x-filler": "x" * 16_384}).status_code == 431


def test_a_client_token_of_more_than_4_k_is_413(stand_in: StandIn) -> None:
    audience = f"{stand_in.endpoint}/client/?hub=jobs"
    path = "/client/negotiate?hub=jobs&negotiateVersion=1"
    assert stand_in.call("POST", path, token=sign(audience, {"more": "x" * 2000})).status_code == 200
    assert stand_in.call("POST", path, token=sign(audience, {"more": "x" * 4000})).status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"/api/hubs/jobs/:send?{API_VERSION}", 202),
        ("POST", "/api/hubs/jobs/:send?api-version=2022-11-01", 202),
        ("POST", "/api/hubs/jobs/:send", 400),
        ("POST", "/api/hubs/jobs/:send?api-version=2021-01-01", 400),
        ("POST", f"/api/hubs/jobs/:send?{API_VERSION}&application=other", 400),
        ("POST", f"/api/hubs/jobs?{API_VERSION}", 404),
        ("POST", "/api/v1/hubs/jobs/:send", 404),
        ("POST", "/api/v1/hubs/1jobs", 400),
        ("POST", "/api/v1/hubs/jobs/groups/%20", 400),
        ("PUT", "/api/v1/hubs/jobs", 405),
        ("POST", "/api/v1/hubs/jobs/users/nobody", 202),
        ("GET", "/api/v1/hubs/jobs/users/nobody", 404),
        ("HEAD", f"/api/hubs/jobs/users/nobody?{API_VERSION}", 404),
        ("HEAD", f"/api/hubs/jobs/groups/nobodies?{API_VERSION}", 404),
        ("HEAD", f"/api/hubs/jobs/connections/none?{API_VERSION}", 404),
        ("PUT", f"/api/hubs/jobs/groups/admins/connections/none?{API_VERSION}", 404),
        ("DELETE", f"/api/hubs/jobs/groups/admins/connections/none?{API_VERSION}", 404),
        ("PUT", f"/api/hubs/jobs/users/eve/groups/admins?{API_VERSION}&ttl=5", 200),
        ("PUT", f"/api/hubs/jobs/users/eve/groups/admins?{API_VERSION}&ttl=soon", 400),
        ("HEAD", f"/api/hubs/jobs/users/eve/groups/admins?{API_VERSION}", 200),
        ("DELETE", f"/api/hubs/jobs/users/eve/groups/admins?{API_VERSION}", 204),
        ("HEAD", f"/api/hubs/jobs/users/eve/groups/admins?{API_VERSION}", 404),
        ("PUT", "/api/v1/hubs/jobs/groups/admins/users/eve", 202),
        ("GET", "/api/v1/hubs/jobs/groups/admins/users/eve", 200),
        ("DELETE", "/api/v1/hubs/jobs/users/eve/groups", 200),
        ("GET", "/api/v1/hubs/jobs/groups/admins/users/eve", 404),
        ("POST", f"/api/hubs/jobs/:closeConnections?{API_VERSION}", 204),
        ("DELETE", f"/api/hubs/jobs/connections/none?{API_VERSION}", 200),
    ],
)
def test_each_path_answers_the_documented_status(stand_in: StandIn, method: str, path: str, status: int) -> None:
    response = stand_in.call(method, path, json=MESSAGE)
    assert response.status_code == status, response.text


def test_health_needs_no_token(stand_in: StandIn) -> None:
    assert stand_in.http.head(f"{stand_in.endpoint}/api/health?{API_VERSION}").status_code == 200
    assert stand_in.http.get(f"{stand_in.endpoint}/api/v1/health").status_code == 200


def test_every_origin_may_connect_with_credentials(stand_in: StandIn) -> None:
    url = f"{stand_in.endpoint}/client/negotiate?hub=jobs"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-any"}
    preflight = stand_in.http.options(url, headers={"Origin": "https://page.example", **asked})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-headers"] == "authorization,x-any"
    refusal = stand_in.http.post(url, headers={"Origin": "https://page.example"})
    assert refusal.status_code == 401
    for response in (preflight, refusal):
        assert response.headers["access-control-allow-origin"] == "https://page.example"
        assert response.headers["access-control-allow-credentials"] == "true"


def test_nothing_is_logged_and_no_token_at_all(stand_in: StandIn) -> None:
    token = sign(stand_in.endpoint + BROADCAST)
    assert stand_in.call("POST", BROADCAST, token=token, json=MESSAGE).status_code == 202
    stand_in.http.get(f"{stand_in.endpoint}/client/?hub=jobs&access_token={token}")
    assert stand_in.output == [f"SignalR emulator listens on {stand_in.endpoint}"]
