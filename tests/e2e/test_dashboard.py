"""What an admin does with the dashboard, in real browsers on the whole running system."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from azure.storage.queue import QueueServiceClient
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Noise
from tests.support.bell import DOUBLE_CLICK, SECONDS, Bell
from tests.support.client import Person
from tests.support.dashboard import PARKED, address_of, for_all, hrefs, owner_of, recent, rows, without_storage
from tests.support.keyboard import tab_to
from tests.support.stored_jobs import ERROR, store
from tools.local_stack.stack import Stack

Admin = Callable[..., Page]

OF_A_JOB = re.compile("[?&]job=")


@pytest.fixture(scope="module")
def queues(stack: Stack) -> Iterator[QueueServiceClient]:
    with QueueServiceClient.from_connection_string(stack.settings()["QueuesConn"]) as service:
        service.create_queue(PARKED["queue"])
        yield service


class TestFinding:
    def test_filters_stand_in_the_address_and_lead_to_the_same_rows_anywhere(self, stack: Stack, admin: Admin) -> None:
        store(stack.database_url, 3, user_id="filter-bob", since=recent())
        store(stack.database_url, 2, user_id="filter-bob", status="cancelled", since=recent())
        page = admin()
        page.get_by_role("button", name="More filters").click()
        page.get_by_label("Owner").fill("filter-bob")
        page.get_by_role("button", name="Search").click()
        expect(rows(page)).to_have_count(5)
        page.get_by_role("checkbox", name="Failed").check()
        expect(rows(page)).to_have_count(3)
        expect(page.locator(".count")).to_have_text("3 jobs")
        assert address_of(page) == "status=failed&user=filter-bob"
        shown = hrefs(page)
        page.reload()
        expect(rows(page)).to_have_count(3)
        assert hrefs(page) == shown
        expect(page.get_by_role("checkbox", name="Failed")).to_be_checked()
        page.go_back()
        expect(rows(page)).to_have_count(5)
        page.go_forward()
        expect(rows(page)).to_have_count(3)
        elsewhere = admin("?status=failed&user=filter-bob")
        expect(rows(elsewhere)).to_have_count(3)
        assert hrefs(elsewhere) == shown
        page.get_by_role("button", name="Remove the filter Owner").press("Enter")
        expect(page.get_by_label("Text in request or error")).to_be_focused()
        assert address_of(page) == "status=failed"
        for_all_of = page.get_by_role("button", name=re.compile("that match"))
        page.get_by_role("button", name="Actions").click()
        for button in for_all_of.all():
            expect(button).to_be_enabled()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Clear filters").click()
        expect(page).to_have_url(f"{stack.page_url}dashboard.html")
        page.get_by_role("button", name="Actions").click()
        expect(for_all_of).to_have_count(2)
        for button in for_all_of.all():
            expect(button).to_be_disabled()

    def test_the_list_comes_first(self, stack: Stack, admin: Admin) -> None:
        store(stack.database_url, user_id="first", attempt=2, max_attempts=3, since=recent())
        expect(rows(admin("?user=first"))).to_contain_text("attempt 2 of 3")
        page = admin()
        row = rows(page).first
        for width, height, end in ((1280, 800, 400), (375, 667, 667)):
            page.set_viewport_size({"width": width, "height": height})
            expect(row).to_be_visible()
            expect(page.get_by_role("list", name="At a glance").locator("svg path[d]")).to_have_count(5)
            box = row.bounding_box()
            assert box is not None
            assert box["y"] + min(box["height"], 48) <= end, f"at {width} x {height}"

    @pytest.mark.usefixtures("queues")
    def test_chips_and_strip_have_figures_that_move_nothing(self, stack: Stack, admin: Admin) -> None:
        since = recent() - timedelta(hours=2)
        store(stack.database_url, 3, user_id="figures", since=since, **PARKED)
        store(stack.database_url, 2, user_id="figures", status="cancelled", since=since, **PARKED)
        page = admin("?user=figures&status=cancelled")
        chips = page.get_by_role("search").locator(".chip")
        cancelled, failed, running = (chips.filter(has_text=name) for name in ("Cancelled", "Failed", "Running"))
        expect(rows(page)).to_have_count(2)
        for chip, number in ((cancelled, "2"), (failed, "3"), (running, "0")):
            expect(chip.locator(".number")).to_have_text(number)
        place = rows(page).first.bounding_box()
        page.clock.install()
        rows(page).first.get_by_role("button", name="Retry").click()
        expect(rows(page)).to_have_count(1)
        page.clock.run_for(6_000)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(cancelled.locator(".number")).to_have_text("1")
        expect(chips.filter(has_text="Pending").locator(".number")).to_have_text("1")
        now = rows(page).first.bounding_box()
        assert place is not None
        assert now is not None
        assert now["y"] == place["y"]
        many = {"failed": {"number": 1000, "exact": False}}
        page.route("**/api/admin/jobs/statuses?*", lambda route: route.fulfill(json={"counts": many}))
        page.get_by_role("checkbox", name="Failed").check()
        expect(failed.locator(".number")).to_have_text("1,000+")
        strip = page.get_by_role("list", name="At a glance")
        expect(strip.get_by_role("listitem").filter(has_text="Throughput")).to_contain_text(
            re.compile(r"\d / (min|h|d)")
        )
        for width in (1280, 640, 375):
            page.set_viewport_size({"width": width, "height": 800})
            assert strip.evaluate("(strip) => strip.scrollWidth <= strip.clientWidth"), "a figure is cut"

    def test_what_is_not_valid_is_left_out_and_told(self, stack: Stack, admin: Admin) -> None:
        store(stack.database_url, user_id="valid", since=recent())
        page = admin("?user=valid&status=broken&from=yesterday&attemptsOver=-1&before=x")
        told = "status=broken, from=yesterday, attemptsOver=-1, before=x"
        expect(page.get_by_text(told)).to_be_visible()
        expect(rows(page)).to_have_count(1)

    def test_a_text_is_searched_as_it_stands(self, stack: Stack, admin: Admin) -> None:
        store(stack.database_url, user_id="text", request={"name": "50%_\"off\" 'now'\\"}, since=recent())
        store(stack.database_url, user_id="text", request={"name": "50 and off"}, since=recent())
        page = admin("?user=text")
        for text in ("%", "_", '"', "'", "\\", '%_"OFF" \'n'):
            page.get_by_label("Text in request or error").fill(text)
            page.get_by_role("button", name="Search").click()
            expect(page.locator(".count")).to_have_text("1 job")
            expect(rows(page)).to_have_count(1)
        page.get_by_label("Text in request or error").fill("nothing has this")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_text("No job matches these filters")).to_be_visible()

    def test_pages_lead_there_and_back(self, stack: Stack, admin: Admin) -> None:
        stored = store(stack.database_url, 120, user_id="pages", since=datetime.now(UTC) - timedelta(days=1))
        page = admin("?user=pages")
        expect(rows(page)).to_have_count(50)
        found = hrefs(page)
        page.get_by_role("button", name="Older").click()
        expect(page.get_by_role("button", name="Newest")).to_be_visible()
        expect(rows(page).first.locator("a")).to_have_attribute("href", re.compile(stored[69]))
        found += hrefs(page)
        page.get_by_role("button", name="Older").click()
        expect(rows(page)).to_have_count(20)
        found += hrefs(page)
        assert found == stored[::-1]
        expect(page.get_by_role("button", name="Older")).to_be_hidden()
        rows(page).first.locator("a").click()
        expect(page).to_have_url(OF_A_JOB)
        page.keyboard.press("Escape")
        expect(page).not_to_have_url(OF_A_JOB)
        page.get_by_role("button", name="Newer").click()
        expect(rows(page).first.locator("a")).to_have_attribute("href", re.compile(stored[69]))
        page.get_by_role("button", name="Newer").click()
        expect(rows(page).first.locator("a")).to_have_attribute("href", re.compile(stored[119]))

    def test_new_jobs_are_told_on_every_page_and_many_as_such(self, stack: Stack, admin: Admin) -> None:
        store(stack.database_url, 60, user_id="news", since=datetime.now(UTC) - timedelta(days=1))
        page = admin("?user=news")
        expect(rows(page)).to_have_count(50)
        page.get_by_role("button", name="Older").click()
        expect(rows(page)).to_have_count(10)
        news = page.get_by_role("button", name=re.compile("new job"))
        expect(news).to_be_hidden()
        page.clock.install()
        for count, told in ((1, "Show 1 new job"), (60, "Show 50+ new jobs")):
            store(stack.database_url, count, user_id="news", since=recent())
            page.clock.run_for(6_000)
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            expect(news).to_have_text(told)
        news.click()
        expect(news).to_be_hidden()
        expect(rows(page)).to_have_count(50)
        page.emulate_media(media="print")
        for control in (
            page.get_by_role("search"),
            page.get_by_role("button", name="Older"),
            page.get_by_label("Period"),
        ):
            expect(control).to_be_hidden()
        expect(rows(page).first).to_be_visible()

    def test_the_csv_file_holds_what_the_filters_show(self, stack: Stack, admin: Admin, tmp_path: Path) -> None:
        error = {**ERROR, "message": '=HYPERLINK("x")'}
        stored = store(stack.database_url, 60, user_id="csv", error=error, since=datetime.now(UTC) - timedelta(days=1))
        page = admin("?user=csv")
        with page.expect_download() as download:
            for_all(page, "Download CSV")
        assert re.fullmatch(r"jobs-\d{4}-\d\d-\d\d-user-csv\.csv", download.value.suggested_filename)
        download.value.save_as(tmp_path / "jobs.csv")
        content = (tmp_path / "jobs.csv").read_bytes()
        assert content.startswith("\ufeff".encode())
        read = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        assert [row["id"] for row in read] == stored[::-1]
        assert {row["error_message"] for row in read} == {'\'=HYPERLINK("x")'}


@pytest.mark.usefixtures("queues")
class TestActing:
    def test_two_admins_who_double_click_retry_each_job_once(self, stack: Stack, admin: Admin) -> None:
        store(stack.database_url, 1_200, user_id="bulk", since=datetime.now(UTC) - timedelta(days=2), **PARKED)
        pages = [admin("?user=bulk&kind=parked") for _ in range(2)]
        for page in pages:
            for_all(page, "Retry all that match")
            expect(page.get_by_text("1,200 jobs will run again")).to_be_visible()
        for page in pages:
            page.get_by_role("button", name="Retry 1,200 jobs").evaluate(DOUBLE_CLICK)
        told = []
        for page in pages:
            said = page.get_by_role("dialog").get_by_text(re.compile(r"^[\d,]+ jobs? retried$"))
            expect(said).to_be_visible()
            told.append(int(said.inner_text().split()[0].replace(",", "")))
        assert sum(told) == 1_200
        with psycopg.connect(stack.database_url) as connection:
            counted = connection.execute(
                "select status, dispatch_gen, count(*) from queued_jobs.job where user_id = 'bulk' group by 1, 2"
            ).fetchall()
        assert counted == [("pending", 4, 1_200)]
        page = pages[0]
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        for_all(page, "Cancel all that match")
        page.get_by_role("button", name="Cancel 1,200 jobs").click()
        expect(page.get_by_text("1,200 jobs cancelled", exact=True)).to_be_visible()

    def test_what_is_left_alone_is_told_with_its_reason(self, stack: Stack, admin: Admin) -> None:
        store(stack.database_url, user_id="refused", status="pending", unique_key="only-one", since=recent(), **PARKED)
        store(stack.database_url, user_id="refused", unique_key="only-one", since=recent(), **PARKED)
        page = admin("?user=refused")
        for_all(page, "Retry all that match")
        page.get_by_role("button", name="Retry 1 job").click()
        expect(page.get_by_text("1 job skipped")).to_be_visible()
        expect(page.get_by_text("1: Another job with the same unique key is unfinished.")).to_be_visible()

    def test_selected_jobs_and_single_ones(self, stack: Stack, admin: Admin) -> None:
        store(stack.database_url, 4, user_id="selected", since=datetime.now(UTC) - timedelta(hours=1), **PARKED)
        page = admin("?user=selected")
        expect(rows(page)).to_have_count(4)
        for index in (0, 2):
            page.get_by_label("Select job ").nth(index).check()
        page.get_by_role("button", name="Retry 2", exact=True).click()
        page.get_by_role("button", name="Retry 2 jobs").click()
        expect(page.get_by_text("2 jobs retried", exact=True)).to_be_visible()
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
        expect(rows(page).nth(0)).to_contain_text("Pending")
        expect(rows(page).nth(1)).to_contain_text("Failed")
        rows(page).nth(1).get_by_role("button", name="Retry").click()
        expect(rows(page).nth(1)).to_contain_text("Pending")
        rows(page).nth(1).get_by_role("button", name="Cancel").click()
        expect(rows(page).nth(1)).to_contain_text("Cancelled")

    def test_a_kind_is_paused_and_its_owner_is_told(self, stack: Stack, admin: Admin, bell: Bell) -> None:
        page = admin("?view=queues")
        row = page.locator("table.queues tr").filter(has_text="packer")
        row.get_by_role("button", name="Pause: packer").click()
        expect(row.get_by_role("button", name="Resume: packer")).to_be_visible()
        expect(row.get_by_role("rowheader")).to_contain_text(re.compile("Paused .* by "))
        with Person.of(stack.page_url, bell.session()) as owner:
            key = owner.start(owner.upload({"a.txt": b"a"}))
            expect(bell.rows.first.locator(".status")).to_have_text(bell.text("job", "paused"), timeout=60 * SECONDS)
            row.get_by_role("button", name="Resume: packer").click()
            expect(row.get_by_role("button", name="Pause: packer")).to_be_visible()
            assert owner.wait_for_end(key)["status"] == "succeeded"

    def test_a_schedule_is_run_now_once(self, stack: Stack, admin: Admin) -> None:
        page = admin("?view=operations")
        row = page.get_by_role("table", name="Schedules").get_by_role("row").filter(has_text="importer")
        expect(row).to_contain_text("never")
        row.get_by_role("button", name="Run now: importer").evaluate(DOUBLE_CLICK)
        row.get_by_role("link", name="Show job: importer").click()
        expect(page.get_by_role("dialog").get_by_text("NothingToImport").first).to_be_visible()
        expect(rows(admin("?user=schedule"))).to_have_count(1)

    def test_poison_is_shown_and_put_back(self, queues: QueueServiceClient, admin: Admin) -> None:
        # not to be seen for an hour, or the host would take it before anybody looks
        queues.get_queue_client("packer-poison").send_message("x", visibility_timeout=3_600)
        page = admin("?view=queues")
        row = page.locator("table.queues tr").filter(has_text="packer")
        expect(row.locator(".c-poison")).to_have_text("1")
        row.get_by_role("button", name="Redrive").click()
        expect(page.get_by_text("messages moved back to packer")).to_be_attached()
        page.route("**/api/admin/queues", without_storage)
        page.reload()
        expect(row.locator(".c-poison")).to_have_text("unknown")
        expect(row.locator(".c-waiting")).to_have_text("0")
        expect(page.get_by_role("button", name="Redrive")).to_have_count(0)
        queues.get_queue_client("packer-poison").clear_messages()


class TestLive:
    def test_a_job_fails_while_one_looks(self, stack: Stack, admin: Admin, ann: Person) -> None:
        first = ann.start("nowhere/one/")
        ann.wait_for_end(first)
        owner = owner_of(stack, first)
        page = admin(f"?status=failed&user={owner}")
        expect(rows(page)).to_have_count(1)
        second = ann.start("nowhere/two/")
        expect(rows(page)).to_have_count(2)  # nobody points at the list: it comes by itself
        page.get_by_label(f"Select job {first}").check()
        page.get_by_label(f"Select job {first}").hover()
        place = page.get_by_label(f"Select job {first}").bounding_box()
        ann.wait_for_end(ann.start("nowhere/three/"))
        fresh = page.get_by_role("button", name=re.compile(r"Show \d new jobs?"))
        expect(fresh).to_have_text("Show 1 new job")
        expect(rows(page)).to_have_count(2)
        assert page.get_by_label(f"Select job {first}").bounding_box() == place
        fresh.click()
        expect(rows(page)).to_have_count(3)
        expect(page.get_by_label(f"Select job {first}")).to_be_checked()
        # last, because a job that runs again has not failed until it ends, and leaves this list until then
        rows(page).filter(has=page.get_by_label(f"Select job {second}")).locator("a").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.locator(".attempts li")).to_have_count(1)
        ann.call("POST", f"/api/jobs/{second}/retry")
        expect(dialog.locator(".attempts li")).to_have_count(2)

    def test_a_break_in_the_connection_is_told_and_made_up_for(
        self, stack: Stack, admin: Admin, ann: Person, noise: Noise
    ) -> None:
        noise.expect("WebSocket|Connection disconnected|Failed to|ERR_CONNECTION|Error from HTTP")
        ann.wait_for_end(ann.start("nowhere/"))
        page = admin(f"?user={ann.user_id}")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        stack.hub.kill()
        expect(page.get_by_text("Reconnecting")).to_be_visible()
        key = ann.start("nowhere/again/")
        ann.wait_for_end(key)
        stack.hub.start()
        expect(page.get_by_label(f"Select job {key}")).to_be_attached()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()


class TestKeyboard:
    @pytest.mark.usefixtures("queues")
    def test_with_the_keyboard_alone(self, stack: Stack, admin: Admin) -> None:
        (key,) = store(stack.database_url, user_id="keys", since=recent(), **PARKED)
        page = admin("?user=keys")
        expect(rows(page)).to_have_count(1)
        page.get_by_label("Text in request or error").focus()
        tab_to(page, f"Select job {key}")
        page.keyboard.press("Space")
        expect(page.get_by_text("1 selected")).to_be_visible()
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        expect(dialog.get_by_role("heading").first).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(rows(page).first.locator("a")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(rows(page).first).to_contain_text("Pending")
