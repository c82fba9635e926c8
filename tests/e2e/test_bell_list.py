"""Long lists in the bell: pages, and clearing with a way back."""

from __future__ import annotations

from playwright.sync_api import Route, expect

from tests.e2e.conftest import Noise
from tests.support.bell import SECONDS, Bell, wait_on
from tools.docs_and_samples.staged_jobs import Stage


def test_a_long_list_comes_in_pages(bell: Bell, stage: Stage, noise: Noise) -> None:
    noise.expect("ERR_FAILED")
    bell.close()
    stage.put_many(bell.user_id, 130, "succeeded")
    stage.put(bell.user_id, "running")
    bell.page.reload()
    bell.expect_name("Background jobs, 1 running, 130 new")
    expect(bell.host.locator(".badge.unseen")).to_have_text("99+")
    bell.open()
    expect(bell.rows).to_have_count(50)
    more = bell.panel.get_by_role("button", name="Show more")
    bell.page.route("**/api/jobs/mine?*before=*", lambda route: route.abort())
    more.click()
    failure = bell.text("failure", "more")
    expect(bell.panel).to_contain_text(failure)
    expect(bell.panel).to_contain_text(bell.text("failure", "network"))
    expect(bell.said).to_contain_text(failure)
    bell.page.unroute_all(behavior="wait")
    more.click()
    expect(bell.rows).to_have_count(100)
    expect(bell.rows.nth(50)).to_be_focused()
    more.click()
    expect(bell.rows).to_have_count(131)
    expect(more).to_be_hidden()
    bell.page.wait_for_timeout(1.5 * SECONDS)  # longer than a digest waits
    expect(bell.said).to_contain_text(failure)  # and not the end of what ended long ago


def test_clear_finished_leaves_the_running_and_can_be_undone(bell: Bell, stage: Stage) -> None:
    page = bell.page
    stage.put(bell.user_id, "running")
    for status in ("succeeded", "failed", "cancelled"):
        stage.put(bell.user_id, status)
    expect(bell.rows).to_have_count(4)
    bell.panel.get_by_role("button", name="Clear finished").press("Enter")  # moves the focus to the undo, which stays
    expect(bell.rows).to_have_count(1)
    expect(bell.rows).to_contain_text("Running")
    expect(bell.panel).to_contain_text("3 jobs cleared")
    bell.picture("undo")
    bell.panel.get_by_role("button", name="Undo").click()
    expect(bell.rows).to_have_count(4)
    shown = bell.rows.locator(".status").all_inner_texts()
    page.reload()
    bell.open()
    expect(bell.rows).to_have_count(4)
    assert bell.rows.locator(".status").all_inner_texts() == shown
    bell.panel.get_by_role("button", name="Clear finished").click()
    expect(bell.rows).to_have_count(1)
    expect(bell.panel).to_contain_text("3 jobs cleared")  # the rows are hidden before the server has done it
    page.reload()
    bell.open()
    expect(bell.rows).to_have_count(1)


def test_clear_finished_counts_what_is_not_listed_too(bell: Bell, stage: Stage) -> None:
    bell.close()
    stage.put_many(bell.user_id, 120, "failed")
    stage.put(bell.user_id, "running")
    bell.page.reload()
    bell.open()
    bell.expect_live()
    bell.expect_name("Background jobs, 1 running, 71 new")
    bell.panel.get_by_role("button", name="Clear finished").click()
    expect(bell.panel).to_contain_text("120 jobs cleared")
    expect(bell.rows).to_have_count(1)
    bell.expect_name("Background jobs, 1 running")
    expect(bell.panel.get_by_role("button", name="Show more")).to_be_hidden()


def test_the_undo_is_offered_until_its_answer_is_there(bell: Bell, stage: Stage, noise: Noise) -> None:
    noise.expect("ERR_FAILED")
    page = bell.page
    page.clock.install()
    held: list[Route] = []
    page.route("**/api/jobs/undo-clear", lambda route: held.append(route))
    stage.put(bell.user_id, "failed")
    bell.panel.get_by_role("button", name="Clear finished").press("Enter")
    undo = bell.panel.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()  # as long as it is, it stays
    undo.click()
    wait_on(page, lambda: len(held) == 1, "it is asked for")
    expect(undo).to_have_attribute("aria-busy", "true")
    bell.heading.focus()
    page.mouse.move(2, 700)
    page.clock.run_for(9_000)
    undo.focus()
    held[0].abort()
    expect(bell.panel).to_contain_text(bell.text("failure", "undo"))
    page.clock.run_for(9_000)
    expect(undo).to_be_focused()
    page.unroute_all()
    undo.click()
    expect(bell.rows).to_have_count(1)
    page.clock.run_for(9_000)
    expect(undo).to_be_hidden()
