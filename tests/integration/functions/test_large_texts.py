"""However large the texts of jobs and requests are, other requests are answered in the meantime."""

from __future__ import annotations

from typing import Any

import pytest

from api import jobs
from api.admin import routes as admin
from tests.integration.functions.conftest import Site
from tests.support.growth import repeated
from tests.support.turns import counted_turns
from tools.test_app.jobs.packer import Packer


@pytest.mark.parametrize(
    ("who", "path"),
    [
        ("ann", "/api/jobs/mine"),
        ("ann", "/api/jobs/{id}"),
        ("admin", "/api/jobs/{id}"),
        ("admin", "/api/admin/jobs/{id}"),
    ],
)
async def test_views_are_made_beside_the_event_loop(
    site: Site, who: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await site.start("ann")
    async with counted_turns() as turns:
        monkeypatch.setattr(Packer, "label", turns.watched(lambda request: repeated("password=a@", 256 * 1024)))
        answer = await site.call(who, "GET", path.format(id=job["id"]))
    label = answer.json()["items"][0]["label"] if path.endswith("mine") else answer.json()["label"]
    assert label == "password=***\u2026", "an admin's view, which is masked twice, is the same"
    assert turns.went_on == [True] * len(turns.went_on) != []


async def test_payloads_are_masked_beside_the_event_loop(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await site.start("ann")
    async with counted_turns() as turns:
        for module in (admin, jobs):
            monkeypatch.setattr(module, "redact_json", turns.watched(module.redact_json))
        for path in (f"/api/admin/jobs/{job['id']}/payload/request", f"/api/jobs/{job['id']}"):
            assert (await site.call("admin", "GET", path)).status_code == 200
    assert len(turns.went_on) >= 2
    assert all(turns.went_on)


@pytest.mark.parametrize(
    ("files", "errors"),
    [([0] * 1_000, 100), ([0] * 200_000, 1), ([{"name": "a", "size": 1}] * 1_001, 1)],
    ids=["wrong", "far too many", "one too many"],
)
async def test_not_every_mistake_of_a_large_request_is_told(site: Site, files: list[Any], errors: int) -> None:
    answer = await site.call("ann", "POST", "/api/uploads", json={"files": files})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == errors


async def test_a_large_message_is_kept_in_short(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    runner = site.services.manager.runner("packer")
    await runner.receive(b'{"v":"' + repeated(b"password=a@", 44_000) + b'"}')
    async with site.services.database.connection() as conn:
        row = await (await conn.execute("select reason, body_start from queued_jobs.rejected_message")).fetchone()
    assert row is not None
    assert len(row["reason"]) < 100
    assert "a@" not in row["body_start"]
    assert all(len(record.getMessage()) < 300 for record in caplog.records)


async def test_an_error_of_any_length_ends_its_attempt(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await site.start("ann")

    def body(*_: object) -> None:
        raise ValueError(repeated("eyJ-password=a@ ", 256 * 1024))

    monkeypatch.setattr(Packer, "on_execute", body)
    await site.deliver()
    shown = await site.job("ann", job["id"])
    assert (shown["status"], shown["error"]["class"]) == ("retrying", "ValueError")
    assert "a@" not in shown["error"]["message"]
