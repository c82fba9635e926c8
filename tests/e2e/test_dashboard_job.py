"""The dialog of one job on the dashboard, in real browsers on the whole running system."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Noise
from tests.support.client import Person
from tests.support.dashboard import owner_of, recent, rows
from tests.support.stored_jobs import store
from tools.local_stack.stack import Stack

Admin = Callable[..., Page]

HOSTILE = "<img src=x onerror=alert(1)>"
OF_A_JOB = re.compile("[?&]job=")


class TestOneJob:
    def test_everything_about_a_job_and_retry_from_there(self, stack: Stack, admin: Admin, ann: Person) -> None:
        key = ann.start("nowhere/")
        ann.wait_for_end(key)
        page = admin(f"?job={key}", permissions=["clipboard-read", "clipboard-write"])
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading", name="Zip of your files")).to_be_visible()
        expect(dialog.get_by_text("NothingToZip").first).to_be_visible()
        expect(dialog.get_by_text("packer.py").first).to_be_visible()
        expect(dialog.get_by_text('"nowhere/"')).to_be_visible()
        expect(dialog.locator("[data-fact=user]")).to_contain_text("Guest")
        expect(dialog.locator("[data-fact=userId]")).to_have_text(owner_of(stack, key))
        expect(dialog.locator(".attempts li")).to_have_count(1)
        for name, part in (("Id", key), ("Error", "packer.py"), ("Request", '"prefix": "nowhere/"')):
            button = dialog.get_by_role("button", name=f"Copy: {name}", exact=True)
            button.click()
            expect(button).to_have_text("Copied")
            assert part in page.evaluate("navigator.clipboard.readText()")
        dialog.get_by_role("button", name="Retry").click()
        expect(dialog.locator(".attempts li")).to_have_count(2)
        expect(dialog.locator(".job-status")).to_have_text("Failed")
        assert len(ann.job(key)["attempts"]) == 2
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(page).to_have_url(f"{stack.page_url}dashboard.html")

    def test_a_huge_request_is_cut_and_its_secrets_are_masked(self, stack: Stack, admin: Admin, tmp_path: Path) -> None:
        request = {"pwd": "hunter2", "rows": ["row"] * 300_000}
        (key,) = store(stack.database_url, user_id="huge", request=request, since=recent())
        page = admin("?user=huge")
        with page.expect_response(re.compile(f"/api/admin/jobs/{key}")) as answer:
            rows(page).first.locator("a").click()
        assert len(answer.value.body()) < 200_000
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text("The first 102 kB of 2.1 MB.")).to_be_visible()
        expect(dialog.get_by_role("region", name="Beginning of the request")).to_contain_text('"pwd": "***"')
        with page.expect_download() as download:
            dialog.get_by_role("button", name="Download raw").click()
        download.value.save_as(tmp_path / "request.json")
        assert json.loads((tmp_path / "request.json").read_text()) == request | {"pwd": "***"}

    def test_a_job_that_is_not_there_is_told(self, admin: Admin, noise: Noise) -> None:
        noise.expect("404")
        page = admin("?job=01a20f71-90cb-7027-842a-5ce2fd999aaa")
        expect(page.get_by_role("dialog").get_by_text("Job not found")).to_be_visible()

    def test_texts_of_jobs_stay_texts(self, stack: Stack, admin: Admin) -> None:
        hostile: dict[str, Any] = {
            "kind": "constructor",
            "user_id": f'">{HOSTILE}',
            "request": {HOSTILE: "javascript:alert(1)"},
            "error": {"type": HOSTILE, "message": "</pre><script>alert(1)</script>\u202egpj.exe", "traceback": HOSTILE},
        }
        store(stack.database_url, since=recent(), **hostile)
        page = admin("?kind=constructor")
        expect(rows(page)).to_have_count(1)
        expect(rows(page)).to_contain_text(HOSTILE)
        expect(rows(page)).to_contain_text("[U+202E]")
        rows(page).first.locator("a").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading", name="constructor")).to_be_visible()
        expect(dialog.get_by_role("region", name="Traceback")).to_have_text(HOSTILE)
        assert dialog.locator("img, script").count() == 0
        page.keyboard.press("Escape")
        expect(page).not_to_have_url(OF_A_JOB)
        page.get_by_role("link", name="Failures").click()
        expect(page.locator("table.groups")).to_be_visible()

    def test_label_and_owner_are_texts_that_can_be_read_whole(self, stack: Stack, admin: Admin) -> None:
        name, owner = f"{HOSTILE}" + " long" * 10, f"Ann {HOSTILE}\u202e" + " of the Archive" * 5
        (key,) = store(
            stack.database_url, user_id="labels", user_name=owner, request={"prefix": "a", "name": name}, since=recent()
        )
        page = admin("?user=labels")
        row = rows(page)
        shown = row.locator(".c-job strong")
        expect(shown).to_contain_text(f"Zip of {HOSTILE}")
        expect(row.locator(".c-user")).to_contain_text(f"Ann {HOSTILE}[U+202E]")
        expect(row.locator(".c-job .kind")).to_have_text(f"packer …{key[-8:]}")
        expect(row.locator("td.c-user")).to_have_attribute("title", re.compile("of the Archive.*\nlabels"))
        assert page.locator("job-dashboard img").count() == 0
        is_whole = "(element) => element.scrollHeight <= element.clientHeight"
        parts = [shown.locator("bdi"), row.locator(".c-user bdi")]
        row.get_by_role("checkbox").click()  # a press must not move the rows
        assert [part.evaluate(is_whole) for part in parts] == [False, False]
        row.get_by_role("checkbox").press("Tab")
        assert [part.evaluate(is_whole) for part in parts] == [True, True]
