"""Who may call the admin's routes, and which requests they reject."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from api.sign_in.identity import VIEWER, Principal
from api.sign_in.invite import InviteAuthenticator
from tests.integration.functions.conftest import Site
from tests.integration.functions.test_access import routes
from tests.integration.functions.test_jobs_api import assert_problem

JOB = "01a20f71-90cb-7027-842a-5ce2fd999aaa"
ACTING = {
    ("POST", "/api/admin/jobs/bulk"),
    ("POST", "/api/admin/queues/{queue}/redrive"),
    ("POST", "/api/admin/kinds/{kind}/pause"),
    ("POST", "/api/admin/kinds/{kind}/resume"),
    ("POST", "/api/admin/kinds/{kind}/run"),
    ("POST", "/api/admin/erase"),
}
BULK: dict[str, Any] = {"action": "retry", "filters": {"status": ["failed"]}, "asOf": "2026-01-31T08:00:00Z"}


async def admin_routes(site: Site) -> list[tuple[str, str]]:
    return sorted((method, path) for method, path in await routes(site) if path.startswith("/api/admin/"))


def concrete(path: str) -> str:
    filled = (
        path.replace("{job_id}", JOB)
        .replace("{part}", "request")
        .replace("{queue}", "packer")
        .replace("{kind}", "packer")
    )
    assert "{" not in filled
    return filled


@pytest.fixture
async def viewer(site: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """Invite links make no viewers: this is a guest in whose session stands the other role."""
    token = await site.token("vic")
    real = InviteAuthenticator.authenticate

    async def authenticate(self: InviteAuthenticator, given: str) -> Principal:
        principal = await real(self, given)
        return dataclasses.replace(principal, roles=frozenset({VIEWER})) if given == token else principal

    monkeypatch.setattr(InviteAuthenticator, "authenticate", authenticate)
    return "vic"


async def test_who_is_no_admin_gets_403_everywhere_whatever_they_send(site: Site) -> None:
    found = await admin_routes(site)
    assert set(found) >= ACTING
    assert len(found) == 21
    for method, path in found:
        for query in ("", "?nothing=1"):
            body: object = {} if method == "POST" else None
            assert_problem(await site.call("ann", method, concrete(path) + query, json=body), 403)


async def test_viewers_read_and_do_not_act(site: Site, viewer: str) -> None:
    job = await site.start("ann")
    for method, path in await admin_routes(site):
        target = concrete(path).replace(JOB, job["id"])
        answer = await site.call(viewer, method, target, json=BULK if method == "POST" else None)
        if (method, path) in ACTING:
            assert_problem(answer, 403)
        else:
            assert answer.status_code == 200, (path, answer.text)
    for action in ("cancel", "retry"):
        assert_problem(await site.call(viewer, "POST", f"/api/jobs/{job['id']}/{action}"), 404)
    options = (await site.call(viewer, "GET", "/api/admin/options")).json()
    assert options["canAct"] is False
    assert (await site.call("admin", "GET", "/api/admin/options")).json() == options | {"canAct": True}
    assert (await site.call(viewer, "GET", f"/api/admin/jobs/{job['id']}")).json()["actions"] == []
    assert (await site.call("admin", "GET", f"/api/admin/jobs/{job['id']}")).json()["actions"] == ["cancel"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=id;drop table queued_jobs.job", "sort"),
        ("status=x' or 1=1--", "status.0"),
        ("status=failed&status=", "status.1"),
        ("page=-1", "page"),
        ("limit=1000000000", "limit"),
        ("limit=0", "limit"),
        ("limit=10&limit=x", "limit"),
        ("from=99999-01-01", "from"),
        ("from=2026-01-31", "from"),
        ("to=2026-01-31T08:00:00", "to"),
        ("to=1700000000", "to"),
        ("to=%ZZ", "to"),
        ("from=2026-02-01T00:00:00Z&to=2026-02-01T00:00:00Z", ""),
        ("attemptsOver=-1", "attemptsOver"),
        ("attemptsOver=1e3", "attemptsOver"),
        ("id=xyz", "id"),
        ("kind=", "kind"),
        (f"text={'x' * 201}", "text"),
        ("user_id=ann", "user_id"),
        (f"before={'1' * 81}", "before"),
    ],
)
async def test_a_filter_that_is_not_valid_is_named(site: Site, query: str, field: str) -> None:
    problem = assert_problem(await site.call("admin", "GET", f"/api/admin/jobs?{query}"), 422)
    (error,) = problem["errors"]
    assert error["field"] == field
    assert error["message"]
    assert "drop table" not in str(problem["errors"])


@pytest.mark.parametrize("query", ["text=%00", "kind=a%00b", "before=x", "before=1.xyz", "before=", "id=---"])
async def test_what_no_job_can_have_is_422_too(site: Site, query: str) -> None:
    assert_problem(await site.call("admin", "GET", f"/api/admin/jobs?{query}"), 422)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "delete"},
        {"filters": {"state": "failed"}},
        {"filters": None},
        {"asOf": None},
        {"asOf": "2026-01-31T08:00:00"},
        {"limit": 1_001},
        {"ids": []},
    ],
)
async def test_a_bulk_action_that_is_not_clear_does_nothing(site: Site, change: dict[str, object]) -> None:
    assert_problem(await site.call("admin", "POST", "/api/admin/jobs/bulk", json=BULK | change), 422)


@pytest.mark.parametrize(
    "path",
    [
        "jobs/1",
        f"jobs/{JOB}",
        f"jobs/{JOB}/payload/request",
        f"jobs/{JOB}/payload/lease_token",
        "queues/nothing/redrive",
        "queues/packer-poison/redrive",
        "nothing",
    ],
)
async def test_what_is_not_there_is_404(site: Site, path: str) -> None:
    method = "POST" if path.endswith("redrive") else "GET"
    assert_problem(await site.call("admin", method, f"/api/admin/{path}"), 404)


@pytest.mark.parametrize("query", ["stats?minutes=0", "stats?minutes=1440&bucketMinutes=7", "failures?minutes=576001"])
async def test_spans_that_are_not_kept_are_422(site: Site, query: str) -> None:
    assert_problem(await site.call("admin", "GET", f"/api/admin/{query}"), 422)
