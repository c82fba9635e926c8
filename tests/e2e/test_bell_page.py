"""The bell and its page: wrong clocks, storage that is refused, another user in the same tab, and the way back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.e2e.conftest import Noise, launch
from tests.support.axe import violations
from tests.support.bell import Bell, wait_on
from tests.support.hub import control
from tools.docs_and_samples.staged_jobs import Stage
from tools.local_stack.stack import Stack

Visitor = Callable[..., Page]


@pytest.mark.parametrize("hours", [2, -2])
def test_a_wrong_clock_makes_no_wrong_times(stack: Stack, stage: Stage, visitor: Visitor, hours: int) -> None:
    page = visitor("about:blank")
    page.clock.install(time=time.time() + hours * 3600)
    page.goto(stack.guest_url)
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    two_minutes_ago = datetime.now(UTC) - timedelta(seconds=125)
    stage.put(bell.user_id, "succeeded", started_at=two_minutes_ago, finished_at=two_minutes_ago)
    expect(bell.rows).to_contain_text("2 min ago")
    stage.put(bell.user_id, "running", started_at=datetime.now(UTC))
    ticking = bell.rows.nth(0).locator(".time")
    expect(ticking).to_have_text(re.compile(r"^[1-9]\d? s$"))


def test_a_clock_that_is_set_is_noticed(stack: Stack, stage: Stage, visitor: Visitor) -> None:
    page = visitor("about:blank")
    page.clock.install()
    page.goto(stack.guest_url)
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    stage.put(bell.user_id, "running", started_at=datetime.now(UTC))
    ticking = bell.rows.locator(".time")
    for hours in (3, -3):
        with page.expect_response("**/api/jobs/mine?*"):
            page.clock.set_system_time(time.time() + hours * 3600)
        expect(ticking).to_have_text(re.compile(r"^[1-9]\d? s$"))


def test_a_browser_that_stores_nothing_is_enough(stack: Stack, stage: Stage, visitor: Visitor) -> None:
    page = visitor("about:blank")
    page.add_init_script(
        """const refuse = () => { throw new DOMException('denied', 'SecurityError'); };
        for (const name of ['sessionStorage', 'localStorage']) Object.defineProperty(globalThis, name, { get: refuse });
        navigator.locks.request = async () => refuse();"""
    )
    page.goto(stack.guest_url)
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    expect(page.get_by_role("button", name="Use sample files")).to_be_visible()


def test_a_page_without_actions_has_its_bell_and_no_card(stack: Stack, stage: Stage, visitor: Visitor) -> None:
    page = visitor("about:blank")
    no_actions = "export const ACTIONS = [];"
    page.route("**/actions.js", lambda route: route.fulfill(body=no_actions, content_type="text/javascript"))
    page.goto(stack.guest_url)
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    stage.put(bell.user_id, "running")
    expect(bell.rows).to_have_count(1)
    expect(page.locator("#start")).to_be_hidden()


@pytest.mark.parametrize("path", ["", "dashboard.html"])
def test_somebody_else_in_the_same_tab_sees_nothing_of_the_one_before(
    stack: Stack, stage: Stage, visitor: Visitor, noise: Noise, path: str
) -> None:
    """Not even while the own list cannot be read; the dashboard's next one may be no admin. Who is there decides."""
    noise.expect("ERR_FAILED|status of 403")
    guest, admin = stack.guest_url.partition("#")[2], stack.admin_url.partition("#")[2]
    first, then, name = (admin, guest, "Guest") if path else (guest, admin, "Admin")
    page = visitor(f"{stack.page_url}{path}#{first}")
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    stage.put(bell.user_id, "running")
    expect(bell.rows).to_have_count(1)
    user = page.locator("#user").inner_text()
    question = page.get_by_role("heading", name=bell.text("session", "other"))
    for choice in ("stay", "useLink"):
        page.evaluate("(hash) => { location.hash = hash; }", then)
        expect(question).to_be_visible()
        expect(page.locator("#user")).to_have_text(user)
        bell.expect_name("Background jobs, 1 running")
        assert path or violations(page) == []
        if choice == "useLink":
            page.route("**/api/jobs/mine?*", lambda route: route.abort())
        # not with the mouse, which would close the panel
        page.get_by_role("button", name=bell.text("session", choice)).press("Enter")
        expect(question).to_have_count(0)
    expect(page.locator("#user")).to_contain_text(name)
    expect(bell.rows).to_have_count(0)
    bell.expect_name("Background jobs")
    if path:
        expect(page.get_by_text("This page is for admins")).to_be_visible()
        expect(page.locator("job-dashboard").get_by_role("table")).to_have_count(0)


def test_it_is_right_and_live_after_back(stack: Stack, stage: Stage, bell: Bell) -> None:
    job = stage.put(bell.user_id, "running")
    user_id = bell.user_id
    expect(bell.rows).to_contain_text("Running")
    bell.page.goto("about:blank")
    stage.change(job, "failed")
    bell.page.go_back()
    if not bell.panel.is_visible():  # it was, where the browser has kept the page
        bell.open()
    expect(bell.rows).to_contain_text("Failed")
    bell.expect_live()
    stage.put(user_id, "running")
    expect(bell.rows).to_have_count(2)


def test_a_page_that_the_browser_keeps_for_a_way_back_has_closed_its_socket(
    stack: Stack, stage: Stage, playwright: Playwright, noise: Noise
) -> None:
    """Else the browser closes it, and writes its whole address into the console, with the token."""
    noise.expect("status of 404")  # the other page has no icon
    browser = launch(playwright, ignore_default_args=["--disable-back-forward-cache"])
    try:
        page = browser.new_page()
        page.on("console", noise.hear_console)
        page.goto(stack.guest_url)
        bell = Bell(page)
        bell.open()
        bell.expect_live()
        user_id = bell.user_id
        bell.close()
        page.evaluate("globalThis.kept = true")
        page.goto(f"{stack.page_url}favicon.svg")

        def sockets() -> int:
            listed = control(stack.hub, "connections", method="GET")["connections"]
            return sum(each["user"] == user_id for each in listed)

        wait_on(page, lambda: sockets() == 0, "the socket is closed")
        stage.put(user_id, "failed")
        page.evaluate("history.back()")
        page.wait_for_function("globalThis.kept")
        bell.expect_name("Background jobs, 1 new")
        bell.open()
        bell.expect_live()
        stage.put(user_id, "running")
        expect(bell.rows).to_have_count(2)
    finally:
        browser.close()
