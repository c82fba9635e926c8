"""Who may call what, and what every answer carries."""

from __future__ import annotations

from uuid import uuid4

import jwt
import pytest
from fastapi import APIRouter

from api.app import create_api
from api.jobs import start_routes
from api.sign_in.identity import check_policies
from queued_jobs.registry import JobRegistry
from tests.integration.functions.conftest import WEB, Site
from tests.integration.functions.test_jobs_api import assert_problem
from tests.support.hub import ControlledHub
from tests.support.waiting import eventually
from tools.test_app.jobs.packer import Packer

PUBLIC = {("POST", "/api/session"), ("GET", "/api/health")}


async def routes(site: Site) -> set[tuple[str, str]]:
    document = (await site.call(None, "GET", "/api/openapi.json")).json()
    return {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


async def test_without_a_token_every_route_but_the_public_ones_is_401(site: Site) -> None:
    found = await routes(site)
    assert found > PUBLIC
    assert len(found) >= 14
    for method, path in found - PUBLIC:
        target = path.replace("{job_id}", "01a20f71-90cb-7027-842a-5ce2fd999aaa")
        answer = await site.call(None, method, target, json={} if method == "POST" else None)
        assert_problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer x.y.z", "bearer null"])
async def test_what_is_no_bearer_token_is_401(site: Site, header: str) -> None:
    assert_problem(await site.call(None, "GET", "/api/jobs/mine", headers={"Authorization": header}), 401)


async def test_identity_headers_of_the_platform_count_for_nothing(site: Site) -> None:
    forged = {"X-MS-CLIENT-PRINCIPAL": "eyJhZG1pbiI6dHJ1ZX0=", "X-MS-CLIENT-PRINCIPAL-ID": "admin"}
    assert_problem(await site.call(None, "GET", "/api/jobs/mine", headers=forged), 401)


async def test_a_wrong_invite_is_401(site: Site) -> None:
    assert_problem(await site.call(None, "POST", "/api/session", json={"invite": "wrong"}), 401)


async def test_no_parameter_changes_who_the_caller_is(site: Site) -> None:
    await site.start("ann")
    ann = await site.user_id("ann")
    answer = await site.call("bob", "GET", f"/api/jobs/mine?user_id={ann}", headers={"X-User": ann})
    assert answer.json()["items"] == []


async def test_negotiate_admits_the_caller_and_nobody_else(site: Site, hub: ControlledHub) -> None:
    ann = await site.user_id("ann")
    answer = await site.call(
        "bob", "POST", f"/api/negotiate?userId={ann}", headers={"x-ms-signalr-userid": ann}, json={"userId": ann}
    )
    access = answer.json()
    claims = jwt.decode(access["accessToken"], options={"verify_signature": False})
    assert claims["nameid"] == await site.user_id("bob")
    assert claims["aud"] == access["url"] == f"{hub.endpoint}/client/?hub=jobs"
    assert 0 < claims["exp"] - claims["iat"] <= 3600
    assert claims["asrs.s.aeo"] == str(claims["exp"])
    assert_problem(await site.call("bob", "GET", "/api/negotiate"), 405)


async def test_admins_are_nudged_and_told_nothing_else(site: Site, hub: ControlledHub) -> None:
    assert (await site.call("admin", "POST", "/api/negotiate")).status_code == 200
    job = await site.start("ann")

    def pushes_to() -> dict[str, dict[str, str]]:
        return {push["target"]: push["receiver"] for push in hub.control("log", method="GET")["pushes"]}

    async def both_are_told() -> bool:
        return pushes_to().keys() >= {"job", "nudge"}

    await eventually(both_are_told, "the owner and the admins are told")
    assert pushes_to() == {
        "job": {"kind": "user", "name": await site.user_id("ann")},
        "nudge": {"kind": "group", "name": "admins"},
    }
    pushes = hub.control("log", method="GET")["pushes"]
    (nudge,) = [push["arguments"] for push in pushes if push["target"] == "nudge"]
    assert nudge == [{"ids": [job["id"]]}]


async def test_wrong_methods_are_told(site: Site) -> None:
    for method, path in [("PUT", "/api/session"), ("DELETE", "/api/uploads"), ("GET", "/api/uploads")]:
        answer = await site.call("ann", method, path)
        assert_problem(answer, 405)
        assert answer.headers["allow"] == "POST"


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
UNKNOWN = [
    *(
        "/nothing",
        "/nothing.js",
        "/js/nothing.js",
        "/css/",
        "/api",
        "/api/",
        "/api/nothing",
        "/api/jobs/",
        "/api/jobs/no-kind",
    ),
    *("/api/jobs/no-kind/cancel", "/api/jobs/packer/cancel", "/api/jobs/1234", "/api/jobs/PACKER"),
    *(
        "/api/jobs/no-kind/download",
        "/api/jobs/no-kind/stream",
        "/api/admin",
        "/api/admin/jobs/no-id",
        "/api/admin/nothing",
        "/api/admin/queues/",
    ),
    *("/api/admin/kinds/", "/api/admin/kinds/packer", "/api/admin/kinds/packer/drain"),
    *("/api/admin/jobs/no-id/payload/request", "/api/health/", "/api/jobs/mine/", "/api/session/x"),
]


@pytest.mark.parametrize("who", [None, "ann", "admin"])
async def test_what_does_not_exist_is_404_for_every_method_and_names_nothing_that_does(
    site: Site, who: str | None
) -> None:
    for path in UNKNOWN:
        for method in METHODS:
            answer = await site.call(who, method, path)
            assert (answer.status_code, "allow" in answer.headers) == (404, False), (method, path)
            if method != "HEAD":
                told = str(assert_problem(answer, 404)["detail"])
                assert not [kind for kind in ("packer",) if kind in told]


async def test_what_exists_tells_its_methods(site: Site) -> None:
    """Whatever the path has in place of a name; to whom it does not matter."""
    places = {
        "/api/jobs/packer": "POST",
        f"/api/jobs/{uuid4()}": "DELETE, GET",
        f"/api/jobs/{uuid4()}/retry": "POST",
        f"/api/jobs/{uuid4()}/stream": "GET",
        f"/api/admin/jobs/{uuid4()}": "GET",
        f"/api/admin/jobs/{uuid4()}/stream": "GET",
        "/api/admin/queues/packer/redrive": "POST",
        "/api/admin/kinds/packer/pause": "POST",
        "/api/admin/kinds/packer/resume": "POST",
        "/api/admin/kinds/packer/run": "POST",
        "/api/admin/schedules": "GET",
        "/api/admin/erase": "POST",
        "/api/admin/workers": "GET",
        "/api/admin/jobs/statuses": "GET",
        "/api/jobs/mine": "GET",
        "/js/job-bell.js": "GET, HEAD",
        "/": "GET, HEAD",
        "/config.js": "GET, HEAD",
    }
    for path, allowed in places.items():
        for method in set(METHODS) - set(allowed.split(", ")) - {"HEAD"}:
            answer = await site.call("ann", method, path)
            assert_problem(answer, 405)
            assert answer.headers["allow"] == allowed, (method, path)


@pytest.mark.parametrize(
    "path",
    [
        "/package.json",
        "/README.md",
        "/vendor/manifest.json",
        "/../pyproject.toml",
        "/..%2fpyproject.toml",
        "/js/..%2f..%2ffunctions/settings.py",
        "/js",
        "/%00",
        "/.env",
        "/C:\\x",
        "/api",
        "/api/nothing.js",
        f"/{'a' * 300}.js",
    ],
)
async def test_only_the_clients_files_are_served(site: Site, path: str) -> None:
    assert_problem(await site.call(None, "GET", path), 404)


async def test_the_clients_files_are_served(site: Site) -> None:
    answer = await site.call(None, "GET", "/favicon.svg")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    again = await site.call(None, "GET", "/favicon.svg", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await site.call(None, "HEAD", "/favicon.svg")).status_code == 200


async def test_the_clients_files_are_sent_compressed_to_who_takes_that(site: Site) -> None:
    plain = await site.call(None, "GET", "/js/job-bell.js", headers={"Accept-Encoding": "identity"})
    zipped = await site.call(None, "GET", "/js/job-bell.js", headers={"Accept-Encoding": "br, gzip"})
    assert plain.content == zipped.content == (WEB / "js/job-bell.js").read_bytes()
    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert plain.headers["etag"] != zipped.headers["etag"]
    assert plain.headers["vary"] == zipped.headers["vary"] == "Accept-Encoding"
    assert int(zipped.headers["content-length"]) < int(plain.headers["content-length"]) / 2


async def test_a_bug_is_a_500_that_shows_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*args: object, **options: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(site.services.manager.tracker, "for_user", broken)
    problem = assert_problem(await site.call("ann", "GET", "/api/jobs/mine"), 500)
    assert "hunter2" not in str(problem)
    assert problem["requestId"] in problem["detail"]


@pytest.mark.parametrize("kind", ["mine", "seen", "clear-finished", "undo-clear"])
def test_a_kind_that_would_take_another_route_is_refused(kind: str) -> None:
    named = type("Named", (Packer,), {"kind": kind, "queue": "another"})
    with pytest.raises(TypeError, match=repr(kind)):
        start_routes(JobRegistry([named]))


async def test_an_app_with_a_route_without_a_policy_does_not_start(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    router = APIRouter()

    @router.get("/open")
    def forgotten() -> None:
        return None

    with pytest.raises(TypeError, match="/open has 0 policies"):
        check_policies(router)
    monkeypatch.setattr("api.health.routes", router)
    with pytest.raises(TypeError, match="/open"):
        create_api(site.services, web=WEB)
