"""The bell by keyboard, and as a screen reader tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import expect

from tests.support.bell import SECONDS, Bell, wait_on
from tests.support.client import Person
from tools.docs_and_samples.staged_jobs import Stage
from tools.local_stack.stack import Stack

HERE = Path(__file__).parent


def test_a_long_error_opens_and_can_be_scrolled_by_keyboard(bell: Bell, stage: Stage) -> None:
    message = "First line\n" + "\n".join(f"line {number} of the rest" for number in range(60))
    stage.put(bell.user_id, "failed", error={"type": "ValueError", "message": message})
    row = bell.rows.first
    expect(row.locator(".error p")).to_have_text("First line")
    region = row.get_by_role("region", name="Details")
    expect(region).to_be_hidden()
    row.get_by_role("button", name="Details").press("Enter")
    expect(region).to_contain_text("ValueError: First line")
    expect(region).to_contain_text("line 59")
    region.focus()
    bell.page.keyboard.press("End")
    bell.page.wait_for_function("(region) => region.scrollTop > 0", arg=region.element_handle())
    bell.picture("error-open")


def test_the_whole_panel_works_by_keyboard(bell: Bell, stage: Stage) -> None:
    page, press = bell.page, bell.page.keyboard.press
    for name in ("one", "two", "three"):
        stage.put(bell.user_id, "failed", request={"prefix": "", "name": name})
    expect(bell.rows).to_have_count(3)
    bell.close()
    expect(bell.button).to_be_focused()
    page.locator("body").click(position={"x": 2, "y": 400})
    page.locator("a.skip").focus()
    press("Tab")
    expect(bell.button).to_be_focused()
    assert bell.button.evaluate("(button) => getComputedStyle(button).outlineStyle") == "solid"
    press("Enter")
    expect(bell.heading).to_be_focused()
    press("Tab")
    expect(bell.panel.get_by_role("button", name="Clear finished")).to_be_focused()
    order = []
    for _ in range(9):
        press("Tab")
        order.append(
            page.evaluate(
                "document.activeElement.shadowRoot.activeElement.getAttribute('aria-label') ?? "
                "document.activeElement.shadowRoot.activeElement.textContent"
            )
        )
    assert order == [
        f"{action} Zip of {name}" for name in ("three", "two", "one") for action in ("Details", "Retry", "Clear")
    ]
    press("ArrowUp")
    expect(bell.rows.nth(1)).to_be_focused()
    press("ArrowUp")
    expect(bell.rows.nth(0)).to_be_focused()
    for _ in range(3):
        press("Tab")
    press("Enter")  # clears three
    expect(bell.rows).to_have_count(2)
    expect(bell.rows.nth(0)).to_be_focused()
    expect(bell.rows.nth(0)).to_contain_text("two")
    for _ in range(2):
        for _ in range(3):
            press("Tab")
        press("Enter")
    expect(bell.rows).to_have_count(0)
    expect(bell.heading).to_be_focused()
    press("Escape")
    expect(bell.panel).to_be_hidden()
    expect(bell.button).to_be_focused()
    press("Tab")
    assert page.evaluate("document.activeElement.localName") != "job-bell", "the bell is not a trap"


def test_the_focus_stays_when_what_had_it_goes_away(bell: Bell, stage: Stage, stack: Stack) -> None:
    page, press = bell.page, bell.page.keyboard.press
    failed = stage.put(bell.user_id, "failed", error={"type": "E", "message": "line\n" * 9})
    done = stage.put(bell.user_id, "succeeded", request={"prefix": "", "name": "done"})
    expect(bell.rows).to_have_count(2)
    expect(bell.heading).to_be_focused()
    press("ArrowDown")
    expect(bell.rows.nth(0)).to_be_focused()
    press("ArrowDown")
    expect(bell.rows.nth(1)).to_be_focused()
    bell.row("Zip of done").get_by_role("button", name="Download zip").focus()
    stage.change(done, result=None, expired_at=datetime.now(UTC))
    expect(bell.row("The result has expired")).to_be_focused()
    bell.row("line").get_by_text("Details").click()
    bell.row("line").get_by_role("region", name="Details").focus()
    stage.change(failed, "running", error=None, finished_at=None)
    expect(bell.row("Running")).to_be_focused()
    bell.panel.get_by_role("button", name="Clear finished").focus()
    with Person.of(stack.page_url, bell.session()) as person:
        person.call("POST", "/api/jobs/clear-finished")
    expect(bell.rows).to_have_count(1)
    expect(bell.heading).to_be_focused()
    press("Escape")
    expect(bell.button).to_be_focused()
    assert page.locator("job-bell").count() == 1


def test_a_screen_reader_hears_ends_once_and_many_as_one(bell: Bell, stage: Stage) -> None:
    bell.close()
    user_id = bell.user_id
    stage.put_many(user_id, 2, "succeeded", finished_at=datetime.now(UTC))
    bell.page.reload()
    bell.expect_name("Background jobs, 2 new")
    said = bell.listen()
    job = stage.put(user_id, "running", progress=0.1)
    bell.expect_name("Background jobs, 1 running, 2 new")
    for percent in range(2, 10):
        stage.change(job, progress=percent / 10)
    stage.change(job, "succeeded")
    expect(bell.said).to_have_text("Zip of reports succeeded")
    bell.open()
    bell.page.wait_for_timeout(2 * SECONDS)
    assert said.json_value() == ["Zip of reports succeeded"], "neither progress nor the opening is told"
    bell.close()
    bell.watch()
    bell.page.clock.install()
    bell.page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=20))  # or a pause between two would end the digest
    for number in range(20):
        stage.put(user_id, "failed" if number < 5 else "succeeded")
    wait_on(bell.page, lambda: len(bell.watched()) == 20, "the page knows all of them")
    bell.page.clock.run_for(1_100)
    expect(bell.said).to_have_text("20 jobs have ended: 15 succeeded, 5 failed")
    assert len(said.json_value()) == 2


def test_what_a_screen_reader_finds_in_the_panel(bell: Bell, stage: Stage) -> None:
    stage.put(bell.user_id, "failed")
    stage.put(bell.user_id, "succeeded")
    stage.put(bell.user_id, "running", progress=0.42, progress_message="5 of 12 files")
    expect(bell.rows).to_have_count(3)
    expected = (HERE / "panel.aria.yml").read_text()
    expect(bell.panel).to_match_aria_snapshot(expected)
