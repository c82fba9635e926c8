"""A user's jobs over HTTP, from the start to the download."""

from __future__ import annotations

import asyncio
import io
import os
import zipfile
from typing import Any
from uuid import uuid4

import httpx
import pytest

from storage import blob_service
from tests.integration.functions.conftest import Site
from tests.support.hub import ControlledHub
from tests.support.stored_jobs import store
from tests.support.waiting import eventually
from tools.local_stack.azurite import AzuriteServer

PROBLEM = "application/problem+json"


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    problem: dict[str, Any] = answer.json()
    assert problem.keys() >= {"type", "title", "status", "detail", "instance", "requestId"}
    assert problem["status"] == status
    return problem


class TestStory:
    async def test_from_upload_to_download(self, site: Site, hub: ControlledHub) -> None:
        files = {"a.txt": b"hello", "empty": b"", "sub/ü ? &.bin": os.urandom(9_000_000)}
        prefix = await site.upload("ann", files)
        job = await site.start("ann", prefix)
        assert (job["status"], job["actions"], job["label"]) == ("pending", ["cancel"], "Zip of your files")
        assert await site.deliver() == 1
        job = await site.job("ann", job["id"])
        assert (job["status"], job["progress"], job["actions"]) == ("succeeded", 1.0, ["open", "clear"])
        assert (job["result"]["files"], job["result"]["bytes"], job["result"]["skipped"]) == (3, 9_000_005, [])
        link = (await site.call("ann", "GET", f"/api/jobs/{job['id']}/download")).json()
        download = await site.web.get(link["url"])
        assert download.headers["content-type"] == "application/zip"
        assert download.headers["content-disposition"].startswith('attachment; filename="files.zip"')
        with zipfile.ZipFile(io.BytesIO(download.content)) as zip_file:
            assert zip_file.testzip() is None
            content = {name: zip_file.read(name) for name in zip_file.namelist()}
        assert content == {name.replace("?", "_"): data for name, data in files.items()}

        def pushes() -> list[dict[str, Any]]:
            log = hub.control("log", method="GET")["pushes"]
            return [entry["arguments"][0] for entry in log if entry["target"] == "job"]

        async def end_is_pushed() -> bool:
            return "succeeded" in {view["status"] for view in pushes()}

        await eventually(end_is_pushed, "the end is pushed")
        pushed = pushes()
        assert [view["status"] for view in pushed if view["status"] != "running"] == ["pending", "succeeded"]
        versions = [view["version"] for view in pushed]
        assert sorted(versions) == versions
        assert link["url"] not in str(pushed)
        assert "sig=" not in str(pushed)

    async def test_the_bell_follows(self, site: Site) -> None:
        job = await site.start("ann", await site.upload("ann", {"a": b"1"}))
        bell = (await site.call("ann", "GET", "/api/jobs/mine")).json()
        assert (bell["running"], bell["unseen"], [item["id"] for item in bell["items"]]) == (1, 0, [job["id"]])
        await site.deliver()
        bell = (await site.call("ann", "GET", "/api/jobs/mine")).json()
        assert (bell["running"], bell["unseen"]) == (0, 1)
        seen = (await site.call("ann", "POST", "/api/jobs/seen", json={"ids": [job["id"]]})).json()
        assert seen == {"seen": [{"id": job["id"], "version": bell["items"][0]["version"] + 1}]}
        assert (await site.call("ann", "DELETE", f"/api/jobs/{job['id']}")).status_code == 204
        assert (await site.call("ann", "GET", "/api/jobs/mine")).json()["items"] == []

    async def test_clear_finished_and_undo(self, site: Site) -> None:
        job = await site.start("ann", await site.upload("ann", {"a": b"1"}))
        await site.deliver()
        cleared = (await site.call("ann", "POST", "/api/jobs/clear-finished")).json()
        assert [one["id"] for one in cleared["cleared"]] == [job["id"]]
        body = {"ids": [job["id"]], "since": cleared["clearedAt"]}
        restored = (await site.call("ann", "POST", "/api/jobs/undo-clear", json=body)).json()
        assert restored["restored"][0]["version"] == cleared["cleared"][0]["version"] + 1

    async def test_one_request_undoes_all_that_was_cleared_together(self, site: Site) -> None:
        """Whatever their number, and whatever was cleared before and after."""
        ann = await site.user_id("ann")
        (before, *_) = store(site.settings["DATABASE_URL"], user_id=ann)
        await site.call("ann", "DELETE", f"/api/jobs/{before}")
        together = store(site.settings["DATABASE_URL"], 1_200, user_id=ann)
        cleared = (await site.call("ann", "POST", "/api/jobs/clear-finished")).json()
        (after, *_) = store(site.settings["DATABASE_URL"], user_id=ann)
        await site.call("ann", "DELETE", f"/api/jobs/{after}")
        body = {"since": cleared["clearedAt"]}
        assert (await site.call("bob", "POST", "/api/jobs/undo-clear", json=body)).json() == {"restored": []}
        restored = (await site.call("ann", "POST", "/api/jobs/undo-clear", json=body)).json()["restored"]
        assert {one["id"] for one in restored} == set(together)
        assert (await site.call("ann", "GET", "/api/jobs/mine")).json()["unseen"] == 0
        assert (await site.call("ann", "POST", "/api/jobs/undo-clear", json=body)).json() == {"restored": []}

    async def test_a_failed_job_says_why_and_runs_again(self, site: Site) -> None:
        job = await site.start("ann", "no-such-prefix/")
        await site.deliver()
        job = await site.job("ann", job["id"])
        assert (job["status"], job["actions"]) == ("failed", ["retry", "clear"])
        assert job["error"] == {"class": "NothingToZip", "message": "There are no files below this prefix."}
        assert job["attempts"][0]["outcome"] == "failed"
        assert "raceback" not in str(job)
        again = await site.call("ann", "POST", f"/api/jobs/{job['id']}/retry")
        assert (again.status_code, again.json()["status"]) == (202, "pending")
        assert await site.deliver() == 1
        assert len((await site.job("ann", job["id"]))["attempts"]) == 2

    async def test_a_waiting_job_is_cancelled_at_once(self, site: Site) -> None:
        job = await site.start("ann")
        answer = await site.call("ann", "POST", f"/api/jobs/{job['id']}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
        assert_problem(await site.call("ann", "POST", f"/api/jobs/{job['id']}/cancel"), 409)

    async def test_an_admin_sees_and_cancels_anybodys_job(self, site: Site) -> None:
        job = await site.start("ann")
        assert (await site.job("admin", job["id"]))["id"] == job["id"]
        assert (await site.call("admin", "POST", f"/api/jobs/{job['id']}/cancel")).json()["status"] == "cancelled"


class TestStart:
    async def test_the_location_leads_to_the_job(self, site: Site) -> None:
        answer = await site.call("ann", "POST", "/api/jobs/packer", json={})
        assert answer.headers["location"] == f"/api/jobs/{answer.json()['id']}"

    @pytest.mark.parametrize(
        "body",
        [
            {"container": "$web"},
            {"container": "results"},
            {"container": "http://169.254.169.254/"},
            {"prefix": "../other/"},
            {"prefix": "a/../../b"},
            {"prefix": "..\\x"},
            {"prefix": "https://evil.example/"},
            {"prefix": "x" * 401},
            {"prefix": 5},
            {"prefix": "new\nline"},
            {"user_id": "somebody"},
            {"status": "succeeded"},
            {"max_attempts": 1_000_000},
            {"name": ""},
            {"name": "x" * 81},
            [],
            "text",
        ],
        ids=repr,
    )
    async def test_what_it_does_not_take(self, site: Site, body: object) -> None:
        problem = assert_problem(await site.call("ann", "POST", "/api/jobs/packer", json=body), 422)
        assert all(error.keys() == {"field", "message"} for error in problem["errors"])

    @pytest.mark.parametrize(
        ("headers", "content", "status"),
        [
            ({"Content-Type": "text/plain"}, b"{}", 415),
            ({}, b"{}", 415),
            ({"Content-Type": "application/json"}, b"{", 400),
            ({"Content-Type": "application/json"}, b'{"prefix": "\\u0000"}', 422),
            ({"Content-Type": "application/json"}, b'{"prefix": "' + b"x" * 70_000 + b'"}', 413),
            ({"Content-Type": "application/json"}, b"", 422),
            ({"Content-Type": "application/json", "Content-Length": "9" * 5_000}, b"{}", 413),
        ],
        ids=["text", "no type", "no json", "nul", "too large", "empty", "too large to count"],
    )
    async def test_bodies_that_are_no_json(
        self, site: Site, headers: dict[str, str], content: bytes, status: int
    ) -> None:
        answer = await site.call("ann", "POST", "/api/jobs/packer", headers=headers, content=content)
        assert_problem(answer, status)

    async def test_an_unknown_kind_is_not_there(self, site: Site) -> None:
        for kind in ("nothing", "__import__", "..%2fx"):
            assert (await site.call("ann", "POST", f"/api/jobs/{kind}", json={})).status_code in (404, 405)

    async def test_the_same_key_again_is_the_same_job(self, site: Site) -> None:
        headers = {"Idempotency-Key": "k 1"}
        await site.token("ann")
        first, again = await asyncio.gather(*(site.start("ann", headers=headers) for _ in range(2)))
        assert first["id"] == again["id"]
        other = await site.call("ann", "POST", "/api/jobs/packer", json={"prefix": "x"}, headers=headers)
        assert_problem(other, 422)
        assert (await site.start("bob", headers=headers))["id"] != first["id"]

    async def test_a_key_of_scheduled_jobs_is_refused(self, site: Site) -> None:
        headers = {"Idempotency-Key": "schedule:2100-01-01T00:00:00+00:00"}
        assert_problem(await site.call("ann", "POST", "/api/jobs/packer", json={}, headers=headers), 422)

    @pytest.mark.parametrize("key", ["", "k" * 201, "a\tb", "ü"])
    async def test_a_key_of_a_wrong_form_is_refused(self, site: Site, key: str) -> None:
        headers = {"Idempotency-Key": key.encode()}
        assert_problem(await site.call("ann", "POST", "/api/jobs/packer", json={}, headers=headers), 400)


class TestList:
    async def test_an_unchanged_page_is_not_sent_again(self, site: Site) -> None:
        await site.start("ann")
        first = await site.call("ann", "GET", "/api/jobs/mine")
        headers = {"If-None-Match": first.headers["etag"]}
        again = await site.call("ann", "GET", "/api/jobs/mine", headers=headers)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        await site.start("ann")
        assert (await site.call("ann", "GET", "/api/jobs/mine", headers=headers)).status_code == 200

    async def test_pages_follow_each_other(self, site: Site) -> None:
        ids = [(await site.start("ann"))["id"] for _ in range(3)]
        first = (await site.call("ann", "GET", "/api/jobs/mine?limit=2")).json()
        rest = (await site.call("ann", "GET", f"/api/jobs/mine?limit=2&before={first['nextBefore']}")).json()
        assert [item["id"] for item in first["items"] + rest["items"]] == ids[::-1]
        assert (first["more"], rest["more"], rest["nextBefore"]) == (True, False, None)

    @pytest.mark.parametrize(
        "query",
        ["limit=0", "limit=101", "limit=x", "before=x", "before=1.2", f"before={'9' * 70}.{0:032}"],
    )
    async def test_queries_that_make_no_sense(self, site: Site, query: str) -> None:
        assert_problem(await site.call("ann", "GET", f"/api/jobs/mine?{query}"), 422)


class TestOwnership:
    async def test_another_users_job_is_not_there_on_any_route(self, site: Site) -> None:
        job = await site.start("ann", await site.upload("ann", {"a": b"1"}))
        await site.deliver()
        unknown = str(uuid4())
        routes = [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry"), ("GET", "/download")]
        for method, tail in routes:
            theirs = assert_problem(await site.call("bob", method, f"/api/jobs/{job['id']}{tail}"), 404)
            nobodys = assert_problem(await site.call("bob", method, f"/api/jobs/{unknown}{tail}"), 404)
            assert theirs["detail"] == nobodys["detail"]
        for path in ("seen", "undo-clear"):
            body = (
                {"ids": [job["id"]], "since": "2020-01-01T00:00:00Z"} if path == "undo-clear" else {"ids": [job["id"]]}
            )
            answer = await site.call("bob", "POST", f"/api/jobs/{path}", json=body)
            assert list(answer.json().values()) == [[]]
        assert (await site.call("bob", "GET", "/api/jobs/mine")).json()["items"] == []
        now = await site.job("ann", job["id"])
        assert (now["seenAt"], now["clearedAt"]) == (None, None)

    async def test_an_admin_does_not_download_other_peoples_files(self, site: Site) -> None:
        job = await site.start("ann", await site.upload("ann", {"a": b"1"}))
        await site.deliver()
        assert_problem(await site.call("admin", "GET", f"/api/jobs/{job['id']}/download"), 404)

    async def test_another_users_files_are_out_of_reach(self, site: Site) -> None:
        await site.upload("ann", {"secret": b"1"})
        ann = await site.user_id("ann")
        for prefix in (f"{ann}/", f"/{ann}/", ""):
            job = await site.start("bob", prefix)
            await site.deliver()
            assert (await site.job("bob", job["id"]))["error"]["class"] == "NothingToZip"

    @pytest.mark.parametrize(
        "key", ["1", "x", "%00", "../admin", "a" * 10_000, "01a20f71-90cb-7027-842a-5ce2fd999aaa%20"]
    )
    async def test_what_is_no_key_is_not_there(self, site: Site, key: str) -> None:
        assert_problem(await site.call("ann", "GET", f"/api/jobs/{key}"), 404)


class TestDownload:
    async def test_a_job_without_a_file(self, site: Site) -> None:
        job = await site.start("ann")
        assert_problem(await site.call("ann", "GET", f"/api/jobs/{job['id']}/download"), 409)

    async def test_a_file_that_is_gone(self, site: Site) -> None:
        job = await site.start("ann", await site.upload("ann", {"a": b"1"}))
        await site.deliver()
        result = (await site.job("ann", job["id"]))["result"]
        blob_service().get_blob_client(result["container"], result["blob"]).delete_blob()
        problem = assert_problem(await site.call("ann", "GET", f"/api/jobs/{job['id']}/download"), 410)
        assert "expired" in problem["detail"]

    async def test_a_link_reads_one_blob_and_nothing_else(self, site: Site) -> None:
        job = await site.start("ann", await site.upload("ann", {"a": b"1"}))
        await site.deliver()
        answer = await site.call("ann", "GET", f"/api/jobs/{job['id']}/download")
        assert answer.headers["cache-control"] == "no-store"
        url = httpx.URL(answer.json()["url"])
        headers = {"x-ms-blob-type": "BlockBlob"}
        assert (await site.web.put(url, content=b"x", headers=headers)).status_code == 403
        assert (await site.web.delete(url)).status_code == 403
        other = url.copy_with(path=url.path.replace(".zip", "0.zip"))
        assert (await site.web.get(other)).status_code in (403, 404)
        listing = url.copy_with(path="/devstoreaccount1/results").copy_merge_params(
            {"restype": "container", "comp": "list"}
        )
        assert (await site.web.get(listing)).status_code == 403
        tampered = str(url).replace("sp=r&", "sp=rwd&")
        assert (await site.web.get(tampered)).status_code == 403


class TestServersAway:
    async def test_a_queue_that_is_away_delays_a_job(
        self, site: Site, azurite: AzuriteServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        port = azurite.queue_endpoint.rsplit(":", 1)[1].split("/")[0]
        gone = azurite.connection_string.replace(f":{port}/", ":9/")
        queues = site.services.queues
        monkeypatch.setattr(queues, "_account", gone)
        await queues.close()
        job = await site.start("ann")
        health = (await site.call(None, "GET", "/api/health")).json()
        assert (health["status"], health["parts"]["queues"]) == ("degraded", "down")
        monkeypatch.undo()
        await queues.close()
        async with site.services.database.connection() as conn:
            await conn.execute("update queued_jobs.job set next_send_at = now() - interval '1 minute'")
        assert (await site.services.manager.sweeper.run_once()).sent == 1
        assert await site.deliver() == 1
        assert (await site.job("ann", job["id"]))["status"] == "failed", "it ran: there was nothing to zip"

    async def test_a_database_that_is_away_is_said(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        await site.token("ann")
        database = site.services.database
        monkeypatch.setattr(database, "_conninfo", "postgresql://nobody@127.0.0.1:9/x?connect_timeout=1")
        await database.close()
        for method, path in (("GET", "/api/jobs/mine"), ("POST", "/api/jobs/packer")):
            answer = await site.call("ann", method, path, json={} if method == "POST" else None)
            problem = assert_problem(answer, 503)
            assert answer.headers["retry-after"] == "5"
            assert "127.0.0.1" not in problem["detail"]
        health = await site.call(None, "GET", "/api/health")
        assert (health.status_code, health.json()["status"]) == (503, "down")
        monkeypatch.undo()
        await database.close()
        assert (await site.call("ann", "GET", "/api/jobs/mine")).status_code == 200
