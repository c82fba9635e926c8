from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from tests.unit.local.host.conftest import MakeApp
from tools.functions_host.errors import FunctionLoadError, SettingsError
from tools.functions_host.http import HttpFrontEnd
from tools.functions_host.invoke import Invoker

MakeClient = Callable[..., Awaitable[httpx.AsyncClient]]

APP = """
    import json
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    seen = []

    @app.route("echo/{id?}", methods=["GET", "POST", "PUT"])
    async def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        found = {
            "method": req.method, "url": req.url, "headers": dict(req.headers), "params": dict(req.params),
            "route": dict(req.route_params), "body": req.get_body().decode(),
            "trace": context.trace_context.trace_parent,
        }
        return func.HttpResponse(json.dumps(found), mimetype="application/json", status_code=201)

    @app.route("text")
    def text(req: func.HttpRequest) -> str:
        return "plain"

    @app.route("nothing")
    def nothing(req: func.HttpRequest): ...

    @app.route("boom")
    async def boom(req: func.HttpRequest) -> str:
        raise ValueError("secret reason")

    @app.route("wrong")
    async def wrong(req: func.HttpRequest):
        return {"a": 1}

    @app.route("framed")
    async def framed(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(b"12345", headers={"Content-Length": "99", "X-One": "1"})

    @app.route("cookies")
    async def cookies(req: func.HttpRequest) -> func.HttpResponse:
        response = func.HttpResponse("x")
        for cookie in (
            "plain=1",
            "odd=a/b%; Domain=example.org; Path=/x; Secure; SameSite=Strict",
            "late=2; Max-Age=60; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly; SameSite=None; Secure",
        ):
            response.headers.add("Set-Cookie", cookie)
        return response

    @app.route("locked", auth_level=func.AuthLevel.FUNCTION)
    async def locked(req: func.HttpRequest) -> str:
        return "open"

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="C")
    async def on_message(msg: func.QueueMessage) -> None:
        seen.append([msg.get_json(), msg.dequeue_count])

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
    async def tick(timer: func.TimerRequest) -> None:
        seen.append(timer.past_due)

    @app.route("seen")
    def get_seen(req: func.HttpRequest) -> str:
        return json.dumps(seen)
"""

ASGI_APP = """
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse
    api = FastAPI()

    @api.get("/api/items/{name}")
    async def item(name: str):
        return {"name": name}

    @api.get("/api/cookies")
    async def cookies():
        response = JSONResponse({})
        response.set_cookie("a", "1", httponly=True)
        response.set_cookie("b", "2")
        response.headers.append("Link", "<x>")
        response.headers.append("Link", "<y>")
        response.headers.append("Vary", "Accept, Origin")
        return response

    app = func.AsgiFunctionApp(app=api, http_auth_level=func.AuthLevel.ANONYMOUS, function_name="http")
"""


@pytest.fixture
def make_client(make_app: MakeApp) -> MakeClient:
    """Returns an HTTP client of an app with this source, through the front end as the server calls it."""

    async def no_output(binding: object, value: object) -> None:
        raise AssertionError("these apps have no outputs")

    async def make(source: str = APP, *, route_prefix: str = "api") -> httpx.AsyncClient:
        app = await make_app(source)
        invoker = Invoker(app.worker, timeout=None, write_output=no_output)
        front_end = HttpFrontEnd(app.functions, route_prefix=route_prefix, invoker=invoker)
        transport = httpx.ASGITransport(front_end)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7071")

    return make


async def test_a_request_as_the_function_sees_it(make_client: MakeClient) -> None:
    response = await (await make_client()).post(
        "/api/echo/a%20b%2Fc?x=1&y=2&x=3",
        content=b"the body",
        headers=[("X-Two", "a"), ("X-Two", "b"), ("traceparent", "00-1-2-01"), ("Authorization", "Bearer t")],
    )
    # a slash in a parameter is a slash like any other by now, so this is not /api/echo/{id}
    assert response.status_code == 404
    response = await (await make_client()).post(
        "/api/echo/a%20b?x=1&y=2&x=3",
        content=b"the body",
        headers=[("X-Two", "a"), ("X-Two", "b"), ("traceparent", "00-1-2-01"), ("Authorization", "Bearer t")],
    )
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    seen = response.json()
    assert seen["method"] == "POST"
    assert seen["url"] == "http://127.0.0.1:7071/api/echo/a%20b?x=1&y=2&x=3"
    assert seen["params"] == {"x": "1,3", "y": "2"}
    assert seen["route"] == {"id": "a b"}
    assert seen["body"] == "the body"
    assert seen["trace"] == "00-1-2-01"
    assert seen["headers"]["x-two"] == "a,b"
    assert seen["headers"]["authorization"] == "Bearer t"


async def test_headers_of_the_platform_are_taken_away(make_client: MakeClient) -> None:
    forged = {"X-MS-CLIENT-PRINCIPAL": "e30=", "x-ms-client-principal-name": "ann", "X-MS-TOKEN-AAD-ACCESS-TOKEN": "t"}
    seen = (await (await make_client()).get("/api/echo", headers=forged)).json()
    assert not [name for name in seen["headers"] if name.startswith("x-ms-")]


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/api/text", 200, "plain"),
        ("GET", "/api/nothing", 500, ""),
        ("GET", "/api/boom", 500, ""),
        ("GET", "/api/wrong", 500, ""),
        ("GET", "/api/unknown", 404, ""),
        ("DELETE", "/api/echo", 404, ""),
        ("GET", "/text", 404, ""),
        ("GET", "/api/TEXT/x", 404, ""),
    ],
)
async def test_answers(make_client: MakeClient, method: str, path: str, status: int, body: str) -> None:
    response = await (await make_client()).request(method, path)
    assert (response.status_code, response.text) == (status, body)


async def test_the_server_frames_the_body(make_client: MakeClient) -> None:
    response = await (await make_client()).get("/api/framed")
    assert response.headers["content-length"] == "5"
    assert response.headers["x-one"] == "1"
    assert response.content == b"12345"


async def test_cookies_arrive_with_all_that_was_said_of_them(make_client: MakeClient) -> None:
    # the worker takes the time for that of the machine, which is UTC in Azure
    expires = format_datetime(datetime(2026, 10, 21, 7, 28).astimezone(UTC), usegmt=True)
    response = await (await make_client()).get("/api/cookies")
    plain, odd, late = (set(cookie.split("; ")) for cookie in response.headers.get_list("set-cookie"))
    assert plain == {"plain=1"}
    assert odd == {"odd=a%2Fb%25", "Domain=example.org", "Path=/x", "Secure", "SameSite=strict"}
    assert late == {
        *("late=2", "Max-Age=60", f"expires={expires}", "HttpOnly", "SameSite=none", "Secure"),
    }


async def test_without_a_key_setting_all_is_open(make_client: MakeClient) -> None:
    assert (await (await make_client()).get("/api/locked")).status_code == 200


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/locked", {}, 401),
        ("/api/locked", {"x-functions-key": "k3y"}, 200),
        ("/api/locked?code=k3y", {}, 200),
        ("/api/locked?code=wrong", {}, 401),
        ("/api/locked?code=k3y", {"x-functions-key": "wrong"}, 401),
        ("/api/text", {}, 200),
        ("/admin/host/ping", {}, 200),
        ("/admin/host/status", {}, 401),
        ("/admin/host/status", {"x-functions-key": "k3y"}, 200),
    ],
)
async def test_keys_when_opted_in(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, path: str, headers: dict[str, str], status: int
) -> None:
    monkeypatch.setenv("FUNCTIONS_HOST_KEY", "k3y")
    response = await (await make_client()).get(path, headers=headers)
    assert response.status_code == status
    if status == 401:
        assert response.content == b""


async def test_an_empty_key_setting_is_no_key(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNCTIONS_HOST_KEY", "")
    assert (await (await make_client()).get("/api/locked")).status_code == 200


async def test_the_home_page_is_shown_where_no_function_answers(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await make_client()
    response = await client.get("/")
    assert response.status_code == 200
    assert "local functions host" in response.text
    monkeypatch.setenv("AzureWebJobsDisableHomepage", "true")
    assert (await client.get("/")).status_code == 204


async def test_a_body_over_the_limit_never_reaches_the_function(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "10")
    client = await make_client()
    assert (await client.post("/api/echo", content=b"x" * 10)).status_code == 201
    assert (await client.post("/api/echo", content=b"x" * 11)).status_code == 413


async def test_a_limit_that_is_no_number_is_refused(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "1 MB")
    with pytest.raises(SettingsError, match="FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"):
        await make_client()


async def test_reserved_paths_never_reach_the_app(make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    client = await make_client(ASGI_APP, route_prefix="")
    with caplog.at_level(logging.INFO):
        for path in ("/admin", "/admin/x", "/Admin/host/nothing", "/runtime/x", "/%61dmin/x"):
            response = await client.get(path)
            assert (response.status_code, response.content) == (404, b"")
    messages = [record.getMessage() for record in caplog.records]
    assert not [message for message in messages if "Executed" in message]
    # as the real host: one error for each function whose route is shadowed
    assert len([message for message in messages if "uses a reserved host route" in message]) == 1


async def test_status(make_client: MakeClient) -> None:
    status = (await (await make_client()).get("/admin/host/status")).json()
    assert status["state"] == "Running"
    assert status["processUptime"] >= 0


async def test_a_call_by_name(make_client: MakeClient) -> None:
    async def seen() -> list[Any]:
        return list(json.loads((await client.get("/api/seen")).text))

    client = await make_client()
    called = await client.post("/admin/functions/ON_MESSAGE", json={"input": '{"n": 1}'})
    assert called.status_code == 202
    assert (await client.post("/admin/functions/tick", json={})).status_code == 202
    async with asyncio.timeout(5):
        while len(await seen()) < 2:
            await asyncio.sleep(0.01)
    assert await seen() == [[{"n": 1}, 1], False]


@pytest.mark.parametrize(
    ("name", "content", "content_type", "status"),
    [
        ("unknown", "{}", "application/json", 404),
        ("text", "{}", "application/json", 404),
        ("tick", "{}", "text/plain", 415),
        ("tick", "{", "application/json", 400),
        ("tick", "[]", "application/json", 400),
        ("tick", '{"input": 1}', "application/json; charset=utf-8", 400),
    ],
)
async def test_a_wrong_call_by_name(
    make_client: MakeClient, name: str, content: str, content_type: str, status: int
) -> None:
    headers = {"content-type": content_type}
    response = await (await make_client()).post(f"/admin/functions/{name}", content=content, headers=headers)
    assert response.status_code == status


async def test_an_asgi_app_behind_it(make_client: MakeClient) -> None:
    client = await make_client(ASGI_APP, route_prefix="")
    assert (await client.get("/api/items/a%20b")).json() == {"name": "a b"}
    assert (await client.get("/api/unknown")).json() == {"detail": "Not Found"}
    response = await client.get("/api/cookies")
    assert response.headers.get_list("set-cookie") == [
        "a=1; HttpOnly; Path=/; SameSite=lax",
        "b=2; Path=/; SameSite=lax",
    ]
    # azure-functions keeps the last of two headers with one name; values in one header survive
    assert response.headers.get_list("link") == ["<y>"]
    assert response.headers["vary"] == "Accept, Origin"


async def test_an_asgi_app_needs_an_empty_route_prefix(make_client: MakeClient) -> None:
    with pytest.raises(FunctionLoadError, match=r"template 'api//\{\*route\}'"):
        await make_client(ASGI_APP)
