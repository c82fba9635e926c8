"""What admins see of everybody's jobs, and do with them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from queued_jobs.model import JobStatus
from tests.integration.functions.conftest import Site
from tests.integration.functions.test_jobs_api import assert_problem
from tests.support.stored_jobs import ERROR, NOON, store
from tools.test_app.jobs.packer import Packer


async def add(site: Site, count: int = 1, **columns: Any) -> list[str]:
    return store(site.settings["DATABASE_URL"], count, **columns)


async def read(site: Site, path: str, **query: Any) -> Any:
    answer = await site.call("admin", "GET", f"/api/admin/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids(site: Site, **query: Any) -> list[str]:
    return [item["id"] for item in (await read(site, "jobs", **query))["items"]]


class TestSearch:
    async def test_every_filter_narrows_and_all_of_them_together(self, site: Site) -> None:
        await add(site, 2)
        other: dict[str, Any] = {
            "kind": "importer",
            "queue": "csv",
            "user_id": "bob|%_'\"",
            "user_name": "Bob %",
            "status": "aborted",
            "attempt": 5,
            "request": {"file": '50%_off "q".csv'},
            "error": ERROR | {"type": "KeyError"},
        }
        (wanted,) = await add(site, **other)
        whole = {
            "kind": "importer",
            "queue": "csv",
            "user": "bob|%_'\"",
            "userName": "bob %",
            "status": ["aborted", "cancelled"],
            "attemptsOver": 3,
            "text": '50%_OFF "Q"',
            "error": "KeyError",
            "id": wanted[:13].upper(),
        }
        for name, value in whole.items():
            assert await ids(site, **{name: value}) == [wanted], name
        assert await ids(site, **whole) == [wanted]
        assert await ids(site, **whole | {"user": "bob"}) == []
        assert len(await ids(site)) == 3
        assert await ids(site, text="%") == [wanted]
        later = {"from": (NOON + timedelta(seconds=1)).isoformat(), "to": (NOON + timedelta(hours=1)).isoformat()}
        assert len(await ids(site, **later)) == 1
        assert len(await ids(site, **{"to": (NOON + timedelta(seconds=1)).isoformat()})) == 2

    async def test_pages_follow_each_other(self, site: Site) -> None:
        stored = await add(site, 7)
        first = await read(site, "jobs", limit=3)
        second = await read(site, "jobs", limit=3, before=first["nextBefore"])
        third = await read(site, "jobs", limit=3, before=second["nextBefore"])
        found = [item["id"] for page in (first, second, third) for item in page["items"]]
        assert found == stored[::-1]
        assert third["nextBefore"] is None

    async def test_a_job_in_the_list(self, site: Site) -> None:
        (key,) = await add(site, request={"much": "x" * 100_000})
        (item,) = (await read(site, "jobs"))["items"]
        assert (item["id"], item["userId"], item["waitMs"], item["durationMs"]) == (key, "ann", 2_000, 3_000)
        assert item["error"] == {"class": "ValueError", "message": "line 3 is bad"}
        assert item["actions"] == ["retry"]
        assert len(json.dumps(item)) < 1_000

    async def test_labels_are_those_of_the_bell_in_the_list_the_dialog_and_the_file(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Packer, "label", lambda request: request.name or "")
        ann = await site.user_id("ann")
        names = ["plans", "=cmd()", "\u202egpj.exe", "<b>x</b>", "a\nb", "y" * 256 * 1024, "token=hunter2!"]
        for name in names:
            await add(site, user_id=ann, request={"prefix": "a", "name": name})
        await add(site, user_id=ann, kind="unknown")
        seen = {item["id"]: item["label"] for item in (await site.call("ann", "GET", "/api/jobs/mine")).json()["items"]}
        assert {"plans", "=cmd()", "a b", "unknown", "token=***"} <= set(seen.values())
        assert {item["id"]: item["label"] for item in (await read(site, "jobs"))["items"]} == seen
        for key, label in seen.items():
            assert (await read(site, f"jobs/{key}"))["label"] == label
        rows = {row["id"]: row["label"] for row in read_csv(await site.call("admin", "GET", "/api/admin/jobs.csv"))}
        assert rows == {key: f"'{label}" if label.startswith("=") else label for key, label in seen.items()}

    async def test_while_a_job_waits_for_another_try_no_time_is_told_of_the_last_one(self, site: Site) -> None:
        await add(site, status="retrying")
        (item,) = (await read(site, "jobs"))["items"]
        assert (item["waitMs"], item["durationMs"], item["actions"]) == (None, None, ["cancel"])

    async def test_each_status_is_counted_by_the_other_filters(self, site: Site) -> None:
        await add(site, 3)
        await add(site, 2, status="cancelled", user_id="bob")
        await add(site, 1, status="pending", error=None)
        for status in ([], ["failed"], ["succeeded", "cancelled"]):
            counts = (await read(site, "jobs/statuses", status=status))["counts"]
            assert {name for name, count in counts.items() if count["exact"]} == {*JobStatus}
            assert {name: count["number"] for name, count in counts.items() if count["number"]} == {
                "failed": 3,
                "cancelled": 2,
                "pending": 1,
            }
        counts = (await read(site, "jobs/statuses", user="bob", text="a"))["counts"]
        assert {name for name, count in counts.items() if count["number"]} == {"cancelled"}
        for wrong in ("status=broken", "limit=3", "before=x", "action=retry", "attemptsOver=-1"):
            assert_problem(await site.call("admin", "GET", f"/api/admin/jobs/statuses?{wrong}"), 422)


class TestOneJob:
    async def test_everything_about_a_job(self, site: Site) -> None:
        job = await site.start("ann", "nowhere/")
        assert await site.deliver() == 1
        detail = await read(site, f"jobs/{job['id']}")
        assert (detail["status"], detail["label"]) == ("failed", "Zip of your files")
        assert detail["userId"] == await site.user_id("ann")
        assert detail["userName"] == (await site.services.authenticator.authenticate(await site.token("ann"))).display
        assert detail["userName"] not in (await site.call("ann", "GET", f"/api/jobs/{job['id']}")).text
        assert detail["error"]["class"] == "NothingToZip"
        assert "packer.py" in detail["error"]["traceback"]
        (attempt,) = detail["attempts"]
        assert (attempt["outcome"], attempt["error"]["class"]) == ("failed", "NothingToZip")
        assert detail["request"]["value"]["prefix"] == "nowhere/"
        assert detail["result"] is None
        assert_problem(await site.call("admin", "GET", f"/api/admin/jobs/{job['id']}/payload/result"), 404)

    async def test_secrets_are_masked_wherever_they_stand(self, site: Site) -> None:
        secrets = {
            "apiKey": "hunter2",
            "nested": [{"password": {"is": "hunter2"}, "url": "https://x.example/f?sv=1&sig=hunter2&x=1"}],
            "header": "Bearer hunter2",
            "token": None,
            "tokens": 7,
        }
        (key,) = await add(site, status="succeeded", error=None, request=secrets, result=secrets)
        detail = await read(site, f"jobs/{key}")
        assert (
            detail["request"]["value"]
            == detail["result"]["value"]
            == {
                "apiKey": "***",
                "nested": [{"password": "***", "url": "https://x.example/f?sv=1&sig=***&x=1"}],
                "header": "Bearer ***",
                "token": None,
                "tokens": 7,
            }
        )
        for part in ("request", "result"):
            assert "hunter2" not in (await site.call("admin", "GET", f"/api/admin/jobs/{key}/payload/{part}")).text

    async def test_errors_that_other_code_stored_are_masked_too(self, site: Site) -> None:
        error = ERROR | {"message": "at https://x.example/?sig=hunter2", "traceback": "token=hunter2"}
        (key,) = await add(site, status="failed", error=error, user_id=await site.user_id("ann"))
        paths = [
            *("/api/admin/jobs", f"/api/admin/jobs/{key}", "/api/admin/jobs.csv", "/api/admin/failures"),
            *(f"/api/jobs/{key}", "/api/jobs/mine"),
        ]
        for path in paths:
            for who in ("admin", "ann") if path.startswith("/api/jobs") else ("admin",):
                answer = await site.call(who, "GET", path)
                assert answer.status_code == 200
                assert "hunter2" not in answer.text, (who, path)
        assert "sig=***" in (await site.call("admin", "GET", f"/api/admin/jobs/{key}")).text

    async def test_a_large_request_is_cut_and_can_be_had_whole(self, site: Site) -> None:
        request = {"rows": ["ü" * 1_000] * 1_000, "password": "hunter2"}
        (key,) = await add(site, request=request)
        answer = await site.call("admin", "GET", f"/api/admin/jobs/{key}")
        shown = answer.json()["request"]
        assert shown["value"] is None
        assert shown["bytes"] > 2_000_000
        assert len(shown["beginning"]) == 100 * 1024
        assert len(answer.content) < 300_000
        whole = await site.call("admin", "GET", f"/api/admin/jobs/{key}/payload/request")
        assert whole.headers["content-disposition"] == f'attachment; filename="{key}-request.json"'
        assert whole.json() == request | {"password": "***"}
        assert len(whole.content) == shown["bytes"]
        assert "ü" not in (await site.call("admin", "GET", "/api/admin/jobs")).text

    async def test_admins_retry_and_cancel_anybodys_job(self, site: Site) -> None:
        (key,) = await add(site)
        assert (await site.call("admin", "POST", f"/api/jobs/{key}/retry")).json()["status"] == "pending"
        assert (await site.call("admin", "POST", f"/api/jobs/{key}/cancel")).json()["status"] == "cancelled"
        assert_problem(await site.call("admin", "POST", f"/api/jobs/{key}/cancel"), 409)


class TestBulk:
    async def test_what_was_counted_is_done_once_by_two_admins_with_double_clicks(self, site: Site) -> None:
        await add(site, 230)
        (untouched,) = await add(site, user_id="bob")
        filters = {"user": "ann", "status": ["failed", "succeeded"]}
        counted = await read(site, "jobs/count", **filters, action="retry")
        assert (counted["number"], counted["exact"]) == (230, True)
        assert (await read(site, "jobs/count", **filters, action="cancel"))["number"] == 0

        async def click() -> tuple[int, int]:
            body: dict[str, Any] = {"action": "retry", "filters": filters, "asOf": counted["asOf"], "limit": 100}
            changed, refused, calls, place = 0, 0, 0, None
            while calls == 0 or place is not None:
                answer = await site.call("admin", "POST", "/api/admin/jobs/bulk", json=body | {"before": place})
                assert answer.status_code == 200, answer.text
                changed += answer.json()["changed"]
                refused += sum(answer.json()["refused"].values())
                place = answer.json()["next"]
                calls += 1
            return changed, refused

        done = await asyncio.gather(click(), click(), click())
        assert sum(changed for changed, _ in done) == 230
        assert (await read(site, "jobs/count", status="pending"))["number"] == 230
        async with site.services.database.connection() as conn:
            rows = await conn.execute(
                "select dispatch_gen, count(*) as jobs from queued_jobs.job group by 1 order by 1"
            )
            assert await rows.fetchall() == [{"dispatch_gen": 3, "jobs": 1}, {"dispatch_gen": 4, "jobs": 230}]
        assert await ids(site, status="failed") == [untouched]
        assert await click() == (0, 0)

    async def test_refusals_come_with_their_reason(self, site: Site) -> None:
        free, taken = await add(site, unique_key="one"), await add(site, status="pending", unique_key="two", error=None)
        (refused,) = await add(site, unique_key="two")
        counted = await read(site, "jobs/count", action="retry")
        assert counted["number"] == 2
        body = {"action": "retry", "filters": {}, "asOf": counted["asOf"]}
        report = (await site.call("admin", "POST", "/api/admin/jobs/bulk", json=body)).json()
        reason = "Another job with the same unique key is unfinished."
        assert report == {
            "changed": 1,
            "refused": {reason: 1},
            "refusals": [{"id": refused, "reason": reason}],
            "next": None,
        }
        cancelled = (await site.call("admin", "POST", "/api/admin/jobs/bulk", json=body | {"action": "cancel"})).json()
        assert cancelled["changed"] == 2
        assert set(await ids(site, status="cancelled")) == {*free, *taken}


class TestExport:
    async def test_cells_are_no_formulas_and_the_file_reads_back(self, site: Site) -> None:
        messages = [
            " =1",
            "\ufeff=1",
            "\u3000\uff1d1",
            "a;=1\tb",
            "=cmd()",
            "+1",
            "-1",
            "@x",
            "\tx",
            "\rx",
            'say "a, b"\r\nand c',
            "ü €",
            "a=b",
            "",
        ]
        for message in messages:
            await add(site, user_id=message or "ann", error=ERROR | {"message": message})
        answer = await site.call("admin", "GET", "/api/admin/jobs.csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert file_name(answer) == f"jobs-{datetime.now(UTC):%Y-%m-%d}.csv"
        assert answer.content.startswith("\ufeff".encode()), "spreadsheets take it for another encoding otherwise"
        rows = read_csv(answer)
        assert len(rows) == len(messages)
        for row in rows:
            assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())
            assert row["wait_ms"] == "2000"
        told = {row["error_message"] for row in rows}
        assert told == {
            "' =1",
            "'\ufeff=1",
            "'\u3000\uff1d1",
            "a;=1\tb",
            "'=cmd()",
            "'+1",
            "'-1",
            "'@x",
            "'\tx",
            "'\rx",
            'say "a, b"\r\nand c',
            "ü €",
            "a=b",
            "",
        }
        assert answer.content.count(b"\r\n") == 1 + len(messages) + 2  # two stand in cells

    async def test_filters_hold_and_pages_are_put_together(self, site: Site) -> None:
        await add(site, 450)
        await add(site, user_id="bob")
        answer = await site.call("admin", "GET", "/api/admin/jobs.csv?user=ann")
        rows = read_csv(answer)
        assert [row["id"] for row in rows[:200]] == await ids(site, user="ann", limit=200)
        assert len({row["id"] for row in rows}) == len(rows) == 450
        assert_problem(await site.call("admin", "GET", "/api/admin/jobs.csv?limit=3"), 422)

    async def test_there_is_an_end(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("api.admin.export.MAX_ROWS", 250)
        await add(site, 450)
        answer = await site.call("admin", "GET", "/api/admin/jobs.csv")
        assert len(answer.text.splitlines()) == 251

    async def test_its_name_says_the_day_and_the_filters(self, site: Site) -> None:
        query = {
            "status": ["failed", "aborted"],
            "user": 'ann "x"/../\r\n\u00fc',
            "attemptsOver": 2,
            "from": "2026-11-01T00:00:00Z",
        }
        answer = await site.call("admin", "GET", "/api/admin/jobs.csv", params=query)
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        wanted = f"jobs-{day}-status-failed-aborted-user-ann-x-from-2026-11-01T00-00-00Z-attemptsOver-2.csv"
        assert sorted(file_name(answer).split("-")) == sorted(wanted.split("-"))
        long = await site.call("admin", "GET", "/api/admin/jobs.csv", params={"text": "x" * 200})
        assert len(file_name(long)) < 130

    async def test_no_cell_is_split_at_another_delimiter(self, site: Site) -> None:
        """Programs that offer comma, semicolon and tab at once keep a quoted cell whole."""
        await add(site, error=ERROR | {"message": "a;=1"})
        answer = await site.call("admin", "GET", "/api/admin/jobs.csv")
        assert all(cell[0] == cell[-1] == '"' for line in answer.text[1:].splitlines() for cell in line.split(","))


def file_name(answer: httpx.Response) -> str:
    found = re.fullmatch(r'attachment; filename="([0-9A-Za-z_.-]+)"', answer.headers["content-disposition"])
    assert found is not None
    return found[1]


def read_csv(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
