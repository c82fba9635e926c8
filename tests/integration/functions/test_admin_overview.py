"""What admins see of failures, statistics and queues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from queued_jobs.queues import StorageQueues
from tests.integration.functions.conftest import Site
from tests.integration.functions.test_admin_api import ids, read
from tests.integration.functions.test_jobs_api import assert_problem
from tools.local_stack.azurite import AzuriteServer


class TestOverview:
    async def test_failures_and_statistics_agree(self, site: Site) -> None:
        for prefix in ("one/", "two/", "three/"):
            await site.start("ann", prefix)
        await site.start("ann", await site.upload("ann", {"a": b"1"}))
        assert await site.deliver() == 4
        await site.start("bob")
        groups = (await read(site, "failures"))["groups"]
        assert [(group["class"], group["failures"], group["kinds"]) for group in groups] == [
            ("NothingToZip", 3, ["packer"])
        ]
        assert groups[0]["example"] in await ids(site, status="failed", error="NothingToZip")
        stats = await read(site, "stats", minutes=60, bucketMinutes=1)
        total = stats["total"]
        assert (total["created"], total["succeeded"], total["failed"], total["waiting"]) == (5, 1, 3, 1)
        assert sum(bucket["failed"] for bucket in stats["buckets"]) == 3
        assert sum(bucket["created"] for bucket in stats["buckets"]) == 5
        assert 0 < total["run"]["p50"] <= total["run"]["p95"] <= total["run"]["p99"] < 60_000
        assert stats["kinds"] == [total | {"kind": "packer"}]
        assert (stats["bucketMs"], stats["exact"]) == (60_000, True)
        assert {bucket["at"] for bucket in stats["durations"]} <= {bucket["at"] for bucket in stats["buckets"]}

    async def test_queues_tell_depth_age_and_poison_and_are_redriven(self, site: Site) -> None:
        await site.start("ann")
        manager = site.services.queues
        for text in ("one", "two"):
            await manager["packer-poison"].send_message(text)
        queue = next(one for one in (await read(site, "queues"))["queues"] if one["queue"] == "packer")
        assert (queue["messages"], queue["poison"], queue["waiting"], queue["kind"]) == (1, 2, 1, "packer")
        assert datetime.now(UTC) - datetime.fromisoformat(queue["waitingSince"]) < timedelta(minutes=1)
        moved = await site.call("admin", "POST", "/api/admin/queues/packer/redrive")
        assert moved.json() == {"moved": 2}
        queue = next(one for one in (await read(site, "queues"))["queues"] if one["queue"] == "packer")
        assert (queue["messages"], queue["poison"]) == (3, 0)
        await manager["packer"].clear_messages()

    async def test_a_kind_is_paused_and_resumed(self, site: Site) -> None:
        job = await site.start("ann")
        paused = await site.call("admin", "POST", "/api/admin/kinds/packer/pause")
        assert paused.json()["pausedBy"] == await site.user_id("admin")
        again = await site.call("admin", "POST", "/api/admin/kinds/packer/pause")
        assert again.json() == paused.json()
        shown = next(one for one in (await read(site, "queues"))["queues"] if one["queue"] == "packer")
        assert shown["pausedAt"] == paused.json()["pausedAt"]
        await site.services.manager.runner("packer").receive(f'{{"v":1,"id":"{job["id"]}","gen":1}}'.encode())
        mine = (await site.call("ann", "GET", f"/api/jobs/{job['id']}")).json()
        assert (mine["status"], mine["attempt"], mine["paused"]) == ("pending", 0, True)
        assert [item["paused"] for item in (await read(site, "jobs"))["items"]] == [True]
        resumed = await site.call("admin", "POST", "/api/admin/kinds/packer/resume")
        assert resumed.json() == {"kind": "packer", "pausedAt": None, "pausedBy": None}
        assert (await site.call("ann", "GET", f"/api/jobs/{job['id']}")).json()["paused"] is False
        for action in ("pause", "resume"):
            assert_problem(await site.call("admin", "POST", f"/api/admin/kinds/no-kind/{action}"), 404)
        entries = (await read(site, "audit"))["items"]
        assert [entry["action"] for entry in entries if entry["filter"] == {"kind": "packer"}] == [
            *("resume", "pause", "pause")
        ]
        await site.services.queues["packer"].clear_messages()

    async def test_of_queues_that_do_not_answer_the_jobs_are_told(
        self, site: Site, azurite: AzuriteServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await site.start("ann")
        port = azurite.queue_endpoint.rpartition(":")[2].partition("/")[0]
        away = StorageQueues(azurite.connection_string.replace(f":{port}/", ":9/"))
        for name in ("depths", "redrive"):
            monkeypatch.setattr(site.services.queues, name, getattr(away, name))
        assert_problem(await site.call("admin", "POST", "/api/admin/queues/packer/redrive"), 503)
        queues = {one["queue"]: one for one in (await read(site, "queues"))["queues"]}
        assert set(queues) == set(site.services.manager.registry.queues)
        assert {(one["messages"], one["poison"]) for one in queues.values()} == {(None, None)}
        assert queues["packer"]["waiting"] == 1
        await away.close()
