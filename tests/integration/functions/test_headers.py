"""Every response has the security headers of its kind: of each route and file, with each error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_api
from tests.integration.functions.conftest import WEB, Site
from tests.support.hub import ControlledHub

ORIGIN = "https://intranet.example"
ID = "01a20f71-90cb-7027-842a-5ce2fd999aaa"
EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
#: Features that a page gets unless it is refused them, and that an injected script would like best.
REFUSED = {"camera=()", "microphone=()", "geolocation=()", "usb=()", "display-capture=()"}
POLICIES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "img-src": "'self' data:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
FILES = [path for path in WEB.rglob("*") if path.suffix in (".html", ".js", ".css", ".svg")]
#: Requests that fail before any route, or match none.
FAILING: list[tuple[str, str, int, dict[str, Any]]] = [
    ("GET", "/nothing", 404, {}),
    ("GET", "/js/nothing.js", 404, {}),
    ("GET", "/api/jobs/nothing", 404, {}),
    ("POST", "/", 405, {}),
    ("PUT", "/api/jobs/mine", 405, {}),
    ("POST", "/api/session", 401, {"json": {"invite": "wrong"}}),
    ("GET", "/api/jobs/mine?limit=x", 422, {}),
    ("POST", "/api/jobs/packer", 422, {"json": {"prefix": 1}}),
    ("POST", "/api/jobs/packer", 400, {"content": b"{", "headers": {"Content-Type": "application/json"}}),
    ("POST", "/api/jobs/packer", 415, {"content": b"x"}),
    ("POST", "/api/jobs/packer", 413, {"content": b" " * 2_000_000}),
    ("OPTIONS", "/api/jobs/mine", 200, {"headers": {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}}),
    ("OPTIONS", "/api/jobs/mine", 400, {"headers": {"Origin": "https://a", "Access-Control-Request-Method": "GET"}}),
]


def addresses(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Each method and path of the application, and each file."""
    for route in app.state.all_routes:
        if "{file" not in route.path:
            path = route.path.replace("{job_id:uuid}", ID).replace("{part}", "request").replace("{queue}", "packer")
            path = path.replace("{kind}", "packer")
            assert "{" not in path, f"{path}: give the parameter a value here"
            yield from ((method, path) for method in sorted(route.methods))
    yield from (("GET", f"/{path.relative_to(WEB)}") for path in FILES)
    yield "GET", "/api/openapi.json"


def wrong_headers(answer: httpx.Response, *, tls: bool, hub: str) -> dict[str, Any]:
    """Return the headers that are not as they must be."""
    headers = answer.headers
    found = {name: headers.get(name) for name, value in EVERYWHERE.items() if headers.get(name) != value}
    if not set(headers.get("permissions-policy", "").split(", ")) >= REFUSED:
        found["permissions-policy"] = headers.get("permissions-policy")
    if headers.get("strict-transport-security") != ("max-age=31536000" if tls else None):
        found["strict-transport-security"] = headers.get("strict-transport-security")
    path = answer.request.url.path
    is_file = answer.status_code in (200, 304) and answer.request.method != "OPTIONS" and not path.startswith("/api/")
    if headers.get("cache-control") != ("no-cache" if is_file else "no-store"):
        found["cache-control"] = headers.get("cache-control")
    policy = headers.get("content-security-policy", "")
    sources = dict(part.partition(" ")[::2] for part in policy.split("; "))
    connect = sources.get("connect-src", "").split()
    is_safe = POLICIES.items() <= sources.items() and "unsafe" not in policy and "*" not in policy
    if not is_safe or not {"'self'", hub, hub.replace("http", "ws")} <= set(connect):
        found["content-security-policy"] = policy
    # an error is never a page, whatever a caller has put into it
    is_problem = headers.get("content-type") == "application/problem+json"
    if answer.status_code >= 400 and answer.request.method not in ("HEAD", "OPTIONS") and not is_problem:
        found["content-type"] = headers.get("content-type")
    return found


@pytest.mark.parametrize("environment", ["local", "dev"])
async def test_every_response_has_the_security_headers_of_its_kind(
    site: Site, hub: ControlledHub, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    settings = replace(site.services.settings, environment=environment, allowed_origins=(ORIGIN,))
    api: Any = create_api(replace(site.services, settings=settings), web=WEB)
    app = api
    while not isinstance(app, FastAPI):
        app = getattr(app, "_app", None) or app.app
    wrong, seen = [], set()
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as http:

        async def check(method: str, path: str, **options: Any) -> httpx.Response:
            answer = await http.request(method, path, **options)
            seen.add(answer.status_code)
            found = wrong_headers(answer, tls=environment != "local", hub=hub.endpoint)
            if found:
                wrong.append((method, path, answer.status_code, found))
            return answer

        tokens = [None, await site.token("ann"), await site.token("admin")]
        as_admin = {"Authorization": f"Bearer {tokens[-1]}"}
        paths = dict.fromkeys(addresses(app))
        for method, path in paths:
            for token in tokens if path.startswith("/api/") else [None]:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                await check(method, path, headers=headers, json={} if method in ("POST", "PUT") else None)
        for path in {path for _, path in paths}:
            assert (await check("PATCH", path, headers=as_admin)).status_code == 405, path
        page = await check("GET", "/")
        assert (await check("GET", "/", headers={"If-None-Match": page.headers["etag"]})).status_code == 304
        for method, path, status, options in FAILING:
            headers = {**({} if method == "OPTIONS" else as_admin), **options.get("headers", {})}
            answer = await check(method, path, **{**options, "headers": headers})
            assert answer.status_code == status, (method, path, answer.text)

        async def broken(*args: object, **options: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(site.services.manager.tracker, "for_user", broken)
        assert (await check("GET", "/api/jobs/mine", headers=as_admin)).status_code == 500
    assert wrong == []
    assert seen >= {200, 304, 400, 401, 403, 404, 405, 413, 415, 422, 500}
