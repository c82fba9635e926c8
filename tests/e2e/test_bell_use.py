"""What people do with the bell: start, watch, cancel, try again, and what it shows of each job."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zipfile import is_zipfile

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Noise
from tests.support.bell import Bell, wait_on
from tests.support.client import Person
from tests.support.held_jobs import no_attempt_starts
from tests.support.hub import control
from tests.support.waiting import wait_until
from tools.docs_and_samples.staged_jobs import ZIP_RESULT, Stage
from tools.local_stack.stack import Stack

Visitor = Callable[..., Page]

ATTACK = "<img src=x onerror=alert(1)>.zip"


def choose(bell: Bell, folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    bell.page.locator("input[type=file]").set_input_files(sorted(folder.iterdir()))


def test_three_files_are_zipped_and_told_at_each_step(bell: Bell, stack: Stack, tmp_path: Path) -> None:
    bell.close()
    choose(bell, tmp_path, {"a": b"1", "b": b"2", "c": b"3"})
    bell.watch()
    bell.keep_messages()
    with no_attempt_starts(stack):
        bell.page.get_by_role("button", name="Zip 3 files").click()
        wait_on(bell.page, lambda: bool(bell.watched()), "the job is known")
    expect(bell.toasts).to_contain_text("Zip of your filesSucceeded")
    bell.expect_name("Background jobs, 1 new")
    assert next(each["status"] for each in bell.watched()) == "pending"
    with bell.page.expect_download() as download:
        bell.toasts.get_by_role("button", name="Download").click()
    assert is_zipfile(download.value.path())
    expect(bell.toasts).to_have_count(0)
    bell.let_messages_go()
    bell.open()
    expect(bell.rows).to_contain_text("3 files")
    expect(bell.rows.locator(".time")).to_have_text(re.compile(r"^(just now|\d+ s ago)(, took \d+ s)?$"))
    bell.expect_name("Background jobs")


def test_a_failed_job_tells_why_and_runs_again_in_its_row(bell: Bell, stack: Stack) -> None:
    """The job fails for want of files, for good; a retry runs it once more."""
    with Person.of(stack.page_url, bell.session()) as person:
        key = person.start("nothing/")
        expect(bell.rows).to_contain_text("Failed")
        kind = bell.rows.get_by_text("NothingToZip")
        expect(kind).to_be_hidden()  # the class says nothing to people
        bell.rows.get_by_role("button", name="Details").click()
        expect(kind).to_be_visible()
        assert len(person.job(key)["attempts"]) == 1
        bell.watch()
        bell.rows.get_by_role("button", name="Retry").click()
        person.wait(key, lambda job: len(job["attempts"]) == 2)
        ended = person.wait_for_end(key)
    wait_on(bell.page, lambda: ended["version"] in {job["version"] for job in bell.watched()}, "the end is known")
    expect(bell.rows).to_have_count(1)
    expect(bell.rows).to_contain_text("Failed")
    expect(bell.rows.get_by_role("button", name="Retry")).to_be_visible()
    assert "starts in" not in bell.rows.inner_text()


def test_a_running_job_is_cancelled(bell: Bell, stage: Stage) -> None:
    waiting = stage.put(bell.user_id, "pending")
    expect(bell.rows).to_contain_text("Pending")
    bell.rows.get_by_role("button", name="Cancel").click()
    expect(bell.rows).to_contain_text("Cancelled")
    stage.put(bell.user_id, "running", progress=0.3)
    running = bell.rows.first
    running.get_by_role("button", name="Cancel").click()
    expect(running).to_contain_text("Cancelling")
    expect(running.get_by_role("button", name="Cancel")).to_be_hidden()
    assert stage.view(waiting)["status"] == "cancelled"


def test_the_button_tells_how_far_the_work_is_and_what_is_new(bell: Bell, stage: Stage) -> None:
    bell.close()
    ring, badge = bell.button.locator(".ring"), bell.button.locator(".badge")
    expect(ring).to_be_hidden()
    started = datetime.now(UTC) - timedelta(minutes=10)
    for progress in (0.25, 0.75):
        stage.put(bell.user_id, "running", progress=progress, started_at=started)
    bell.expect_name("Background jobs, 2 running")
    expect(ring).to_be_visible()
    wait_on(bell.page, lambda: ring.evaluate("(ring) => getComputedStyle(ring).getPropertyValue('--done')") == "50", "")
    expect(badge).to_be_hidden()
    for status, count, failed in (("succeeded", "1", None), ("failed", "2", "")):
        stage.put(bell.user_id, status)
        expect(badge).to_have_text(count)
        assert badge.get_attribute("data-failed") == failed
    expect(bell.page).to_have_title("(2) Queued jobs")
    icon = bell.page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", re.compile(r"^data:image/svg\+xml,.*%3E2%3C"))
    bell.page.evaluate("document.title = 'Another view'")
    expect(bell.page).to_have_title("(2) Another view")
    bell.open()
    expect(badge).to_be_hidden()  # it is seen
    expect(bell.page).to_have_title("Another view")
    expect(icon).to_have_attribute("href", "favicon.svg")
    groups = [group.locator("li.row") for group in bell.panel.get_by_role("list").all()]
    assert [group.count() for group in groups] == [2, 2], "what is in progress, then what is finished"
    expect(groups[0].nth(0)).to_contain_text("about 3 min left")
    expect(groups[0].nth(1)).to_contain_text("about 30 min left")
    for row in bell.rows.all():
        box = row.bounding_box()
        assert box is not None
        assert box["height"] < 90, "a line for the title, one for the rest, and one for the bar or the error"


def test_what_comes_from_outside_is_only_text(bell: Bell, stage: Stage) -> None:
    bell.close()
    error = {"type": "</p><script>alert(1)</script>", "message": "</pre><script>alert(1)</script>\nsecond line"}
    stage.put(bell.user_id, "failed", request={"prefix": "", "name": ATTACK}, error=error)
    stage.put(bell.user_id, "succeeded")
    forged = stage.view(stage.put(bell.user_id, "succeeded")) | {
        "version": 8,
        "kind": "__proto__",
        "label": '"><svg onload=alert(1)>',
        "result": {"url": "javascript:alert(1)", "html": "<iframe src=javascript:alert(1)>"},
    }
    stage.push(forged, bell.user_id)
    bell.page.evaluate("(job) => document.querySelector('job-bell').track(job)", forged | {"version": 9})
    bell.open()
    expect(bell.rows).to_have_count(3)
    failed = bell.row("onerror")
    expect(failed).to_contain_text(f"Zip of {ATTACK}")
    failed.get_by_text("Details").click()
    expect(failed).to_contain_text("</pre><script>alert(1)</script>")
    generic = bell.row("svg onload")
    generic.get_by_role("button", name="Details").click()
    generic.get_by_text("Result", exact=True).click()
    expect(generic).to_contain_text("javascript:alert(1)")
    assert bell.host.locator("img, iframe, script, a").count() == 0
    assert bell.host.locator("svg[onload]").count() == 0


def test_a_toast_shows_text_only_and_only_of_jobs_started_here(bell: Bell, stage: Stage) -> None:
    bell.close()
    bell.page.clock.install()
    bell.keep_messages()
    stage.put(bell.user_id, "succeeded", request={"prefix": "", "name": "elsewhere"})
    for number in range(5):
        key = stage.put(bell.user_id, "running", request={"prefix": "", "name": f"{number} {ATTACK}"})
        bell.page.evaluate("(job) => document.querySelector('job-bell').track(job)", stage.view(key))
        stage.change(key, "failed" if number % 2 else "succeeded")
    bell.expect_name("Background jobs, 6 new")
    expect(bell.toasts).to_have_count(3)
    expect(bell.toasts.last).to_contain_text(f"4 {ATTACK}")
    expect(bell.host.locator(".toasts")).not_to_contain_text("elsewhere")
    assert bell.host.locator(".toasts img").count() == 0
    box, button = bell.toasts.first.bounding_box(), bell.button.bounding_box()
    assert box is not None
    assert button is not None
    assert box["y"] > button["y"] + button["height"], "a toast must not cover the bell"
    bell.picture("toasts")
    bell.toasts.first.get_by_role("button", name="Dismiss").focus()
    bell.page.keyboard.press("Escape")
    expect(bell.toasts).to_have_count(2)
    expect(bell.toasts.first.get_by_role("button", name="Dismiss")).to_be_focused()
    bell.let_messages_go()
    bell.page.clock.run_for(21_000)
    expect(bell.toasts).to_have_count(1)  # the one with the focus waits
    expect(bell.toasts.get_by_role("button", name="Dismiss")).to_be_focused()
    bell.page.keyboard.press("Enter")
    expect(bell.toasts).to_have_count(0)
    assert stage.view(key)["clearedAt"] is None


def test_a_failed_job_is_retried_and_shown_from_its_message_by_keyboard(bell: Bell, stage: Stage, noise: Noise) -> None:
    noise.expect("ERR_FAILED")
    bell.close()
    stage.put(bell.user_id, "succeeded")
    key = stage.put(bell.user_id, "running", request={"prefix": "nothing/", "name": "again"})
    bell.page.evaluate("(job) => document.querySelector('job-bell').track(job)", stage.view(key))
    stage.change(key, "failed")
    known = stage.view(key)["version"]
    expect(bell.toasts).to_contain_text("Zip of again")
    bell.button.focus()
    bell.page.keyboard.press("Tab")
    expect(bell.toasts.get_by_role("button", name="Dismiss")).to_be_focused()
    bell.page.keyboard.press("Tab")
    retry = bell.toasts.get_by_role("button", name="Retry Zip of again")
    expect(retry).to_be_focused()
    bell.page.route("**/retry", lambda route: route.abort(), times=1)
    bell.page.keyboard.press("Enter")
    expect(bell.toasts).to_contain_text(bell.text("failure", "retry"))  # and stays
    expect(bell.said).to_contain_text(bell.text("failure", "retry"))
    bell.watch()
    bell.page.keyboard.press("Enter")
    wait_on(bell.page, lambda: any(job["version"] > known for job in bell.watched()), "it runs again")
    bell.toasts.get_by_role("button", name="Show").press("Enter")
    expect(bell.row("again")).to_be_focused()
    expect(bell.row("again").get_by_role("button", name="Details")).to_have_attribute("aria-expanded", "true")
    expect(bell.toasts).to_have_count(0)


def test_nobody_sees_or_touches_what_is_anothers(bell: Bell, stage: Stage, stack: Stack, visitor: Visitor) -> None:
    other = Bell(visitor(stack.guest_url))
    other.open()
    other.expect_live()
    other.watch()
    key = stage.put(bell.user_id, "failed")
    expect(bell.rows).to_have_count(1)
    own = stage.put(other.user_id, "running")
    expect(other.rows).to_have_count(1)
    assert [job["id"] for job in other.watched()] == [str(own)]
    with Person.of(stack.page_url, other.session()) as bob:
        calls = [("GET", ""), ("DELETE", ""), ("POST", "/retry"), ("POST", "/cancel"), ("GET", "/download")]
        for method, action in calls:
            assert bob.status(method, f"/api/jobs/{key}{action}") == 404, (method, action)
        place = bob.call("POST", f"/api/negotiate?userId={bell.user_id}").json()
        assert bell.user_id not in place["accessToken"]
    assert stage.view(key)["status"] == "failed"


def test_durations_that_cannot_be_are_dashes(bell: Bell, stage: Stage) -> None:
    now = datetime.now(UTC) + timedelta(minutes=30)  # for this machine, however slow it is, none of it is long ago
    stage.put(bell.user_id, "failed", started_at=now, finished_at=now - timedelta(hours=2))
    stage.put(bell.user_id, "cancelled", started_at=None, finished_at=now + timedelta(seconds=1))
    stage.put(bell.user_id, "succeeded", started_at=now - timedelta(days=400), finished_at=now)
    stage.put(bell.user_id, "succeeded", started_at=now - timedelta(days=150 * 365), finished_at=now)
    stage.put(bell.user_id, "running", started_at=now + timedelta(hours=3))
    expect(bell.rows).to_have_count(5)
    times = bell.rows.locator(".time").all_inner_texts()
    assert times == ["0 s", "just now", "just now", "just now, took 1 y", "1 h ago"]
    assert "NaN" not in bell.panel.inner_text()


def test_a_renderer_that_throws_harms_only_its_own_rows(bell: Bell, stage: Stage, noise: Noise) -> None:
    noise.expect(r"^The renderer of mail-merge failed:")
    bell.page.evaluate(
        """async () => {
            const { register } = await import('/js/renderers/index.js');
            const broken = () => { throw new Error('broken'); };
            register('mail-merge', { title: broken, result: broken });
            register('plain', { result: () => '<b>rows</b>: 3 \u202e.exe' });
        }"""
    )
    for kind in ("plain", "mail-merge", "mail-merge", "thumbnail", "packer"):
        stage.put(bell.user_id, "succeeded", kind=kind, result=ZIP_RESULT | {"sent": 4})
    expect(bell.rows).to_have_count(5)
    expect(bell.row("plain")).to_contain_text("<b>rows</b>: 3 [U+202E].exe")
    expect(bell.row("mail-merge")).to_have_count(2)
    bell.row("thumbnail").get_by_role("button", name="Details").click()
    expect(bell.row("thumbnail").get_by_text("Result", exact=True)).to_be_visible()
    expect(bell.row("Zip of")).to_contain_text("12 files")
    assert [text.split(":")[0] for text in noise.heard] == ["The renderer of mail-merge failed"]


def test_expired_and_missing_results_are_told(bell: Bell, stage: Stage, noise: Noise) -> None:
    noise.expect("status of 410")
    stage.put(
        bell.user_id, "succeeded", request={"prefix": "", "name": "old"}, result=None, expired_at=datetime.now(UTC)
    )
    expect(bell.row("Zip of old")).to_contain_text(bell.text("job", "expiredShort"))
    bell.row("Zip of old").get_by_role("button", name="Details").click()
    expect(bell.row("Zip of old").get_by_text(bell.text("job", "expired"))).to_be_visible()
    expect(bell.row("Zip of old").get_by_role("button", name="Download zip")).to_have_count(0)
    stage.put(bell.user_id, "succeeded", request={"prefix": "", "name": "lost"})
    lost = bell.row("Zip of lost")
    lost.get_by_role("button", name="Download zip").click()
    expect(lost.locator(".note")).to_contain_text(bell.text("failure", "download"))
    bell.picture("expired")


def test_several_bells_share_a_connection_and_come_and_go(bell: Bell, stage: Stage, stack: Stack, noise: Noise) -> None:
    def sockets() -> int:
        listed = control(stack.hub, "connections", method="GET")["connections"]
        return sum(each["user"] == bell.user_id for each in listed)

    bell.close()
    bell.page.evaluate("document.querySelector('main').append(document.createElement('job-bell'))")
    stage.put(bell.user_id, "running")
    buttons = bell.page.get_by_role("button", name="Background jobs, 1 running")
    expect(buttons).to_have_count(2)
    assert sockets() == 1
    bell.page.evaluate("document.querySelector('header job-bell').remove()")
    stage.put(bell.user_id, "running")
    expect(bell.page.get_by_role("button", name="Background jobs, 2 running")).to_have_count(1)
    assert sockets() == 1
    bell.page.evaluate("(globalThis.kept = document.querySelector('job-bell')).remove()")
    wait_until(lambda: sockets() == 0, "the last one ends the connection")
    stage.put(bell.user_id, "running")
    bell.page.evaluate("document.querySelector('header').append(kept)")
    bell.expect_name("Background jobs, 3 running")
    assert noise.heard == []
