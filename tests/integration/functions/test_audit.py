"""What admins do is recorded: who, what, of what, and how much."""

from __future__ import annotations

import json
import logging
from typing import Any

import psycopg
import pytest
from fastapi import APIRouter

from api.audit import NoAudit, check_audits
from api.sign_in.identity import Admin
from queued_jobs.database import Database
from tests.integration.functions.conftest import Site
from tests.integration.functions.test_access import routes
from tests.support.stored_jobs import store

SECRET = "hunter2"
LATER = "9000-01-01T00:00:00Z"


def state(url: str) -> list[tuple[Any, ...]]:
    """Everything about jobs that a route could change."""
    with psycopg.connect(url) as connection:
        return connection.execute("select * from queued_jobs.job order by id").fetchall()


def audited(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "select subject, role, action, filter, outcome, changed from queued_jobs.audit order by id"
        ).fetchall()


def body_of(path: str, user_id: str) -> dict[str, Any] | None:
    bodies: dict[str, dict[str, Any]] = {
        "/api/admin/jobs/bulk": {"action": "retry", "filters": {"status": ["failed"]}, "asOf": LATER},
        "/api/admin/erase": {"userId": user_id},
        "/api/uploads": {"files": [{"name": "a", "size": 1}]},
        "/api/jobs/undo-clear": {"ids": ["01a20f71-90cb-7027-842a-5ce2fd999aaa"], "since": LATER},
        "/api/jobs/seen": {"ids": ["01a20f71-90cb-7027-842a-5ce2fd999aaa"]},
    }
    return bodies.get(path)


async def test_whatever_an_admin_changes_of_others_is_recorded(site: Site) -> None:
    """Of every route, also of those that are still to be written."""
    url, ann = site.settings["DATABASE_URL"], await site.user_id("ann")
    admin = await site.user_id("admin")
    (queue, *_) = site.services.manager.registry.queues
    changing = set()
    for method, path in await routes(site):
        if method in ("GET", "HEAD"):
            continue
        for status in ("failed", "pending", "running"):
            (key,) = store(url, user_id=ann, status=status)
            before, told = state(url), len(audited(url))
            filled = path.replace("{job_id}", key).replace("{queue}", queue).replace("{kind}", "packer")
            answer = await site.call("admin", method, filled, json=body_of(path, ann), headers={"Idempotency-Key": key})
            assert answer.status_code < 500, (method, path, answer.text)
            changed_others = [row for row in state(url) if row in before] != before
            records = audited(url)[told:]
            if changed_others:
                assert [(who, role, outcome) for who, role, _, _, outcome, _ in records] == [(admin, "admin", "done")]
                assert records[0][5] >= 1
                changing.add((method, path))
            elif path.startswith("/api/admin/"):
                assert len(records) == 1, path
    assert changing >= {
        ("POST", "/api/admin/jobs/bulk"),
        ("POST", "/api/jobs/{job_id}/cancel"),
        ("POST", "/api/jobs/{job_id}/retry"),
    }


def test_a_route_of_admins_that_records_nothing_is_refused() -> None:
    router = APIRouter()

    @router.post("/drop")
    async def drop(caller: Admin) -> None:
        return None

    with pytest.raises(NoAudit, match="/drop"):
        check_audits(router)


async def test_what_is_recorded(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "queued_jobs.audit")
    admin = await site.user_id("admin")
    (key,) = store(site.settings["DATABASE_URL"], user_id="bob", request={"note": "private"})
    filters = {"status": ["failed"], "text": f"token={SECRET} \n", "user": "bob"}
    (queue, *_) = site.services.manager.registry.queues
    bulk = {"action": "cancel", "filters": filters, "asOf": LATER}
    for method, path, body in (
        ("POST", "/api/admin/jobs/bulk", bulk),
        ("POST", f"/api/jobs/{key}/retry", None),
        ("POST", f"/api/jobs/{key}/retry", None),
        ("POST", f"/api/admin/queues/{queue}/redrive", None),
    ):
        assert (await site.call("admin", method, path, json=body)).status_code in (200, 202, 409)
    page = (await site.call("admin", "GET", "/api/admin/audit", params={"limit": 3})).json()
    rest = (await site.call("admin", "GET", "/api/admin/audit", params={"before": page["nextBefore"]})).json()
    assert rest["nextBefore"] is None
    items = [*page["items"], *rest["items"]]
    assert [(item["action"], item["outcome"], item["changed"]) for item in items] == [
        ("redrive", "done", 0),
        ("retry", "JobConflict", None),
        ("retry", "done", 1),
        ("cancel-all", "done", 0),
        ("sign-in", "done", None),
    ]
    assert {item["subject"] for item in items} == {admin}
    assert items[2]["filter"] == {"id": key}
    assert items[3]["filter"]["user"] == "bob"
    lines = [record.getMessage() for record in caplog.records if record.name == "queued_jobs.audit"]
    assert len(lines) == 5
    for text in (json.dumps(items), "".join(lines)):
        assert SECRET not in text
        assert "private" not in text
    assert all("\n" not in line for line in lines)


async def test_users_and_guests_are_not_recorded(site: Site) -> None:
    job = await site.start("ann")
    assert (await site.call("ann", "POST", f"/api/jobs/{job['id']}/cancel")).status_code == 202
    assert audited(site.settings["DATABASE_URL"]) == []
    assert (await site.call("ann", "GET", "/api/admin/audit")).status_code == 403


async def test_a_record_that_cannot_be_stored_stops_no_one(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "queued_jobs.audit")
    url = site.settings["DATABASE_URL"]
    (key,) = store(url)
    await site.token("admin")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop table queued_jobs.audit")
    assert (await site.call("admin", "POST", f"/api/jobs/{key}/retry")).status_code == 202
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    assert any("retry" in record.getMessage() and key in record.getMessage() for record in caplog.records)


async def test_old_records_are_deleted(site: Site) -> None:
    await site.token("admin")
    url = site.settings["DATABASE_URL"]
    database: Database = site.services.database
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update queued_jobs.audit set at = at - interval '399 days'")
        assert await database.rows("prune_audit", {"n": 5}) == []
        connection.execute("update queued_jobs.audit set at = at - interval '2 days'")
        assert len(await database.rows("prune_audit", {"n": 5})) == 1
