"""Whom the dashboard is for: rights, functions that are set again and again, tokens that change, and places that do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from playwright.sync_api import Page, Request, Route, expect

from tests.e2e.conftest import Noise
from tests.support.bell import Bell
from tests.support.client import Person
from tests.support.dashboard import recent, rows
from tests.support.stored_jobs import store
from tools.local_stack.stack import Stack

Visitor = Callable[..., Page]
Admin = Callable[..., Page]

#: As a framework renders: time and again, in tasks of their own, with a function of its own for each element.
SET_AGAIN = """async (token) => {
    for (let time = 0; time < 20; time += 1) {
        for (const element of document.querySelectorAll('job-dashboard, job-bell')) {
            element.getToken = async () => token;
            for (const { name, value } of [...element.attributes]) element.setAttribute(name, value);
            element.setAttribute('api', 'api/');
        }
        await new Promise((resolve) => setTimeout(resolve));
    }
}"""
MOVE = """() => {
    const board = document.querySelector('job-dashboard');
    for (let time = 0; time < 20; time += 1) {
        board.remove();
        document.querySelector('main').append(board);
    }
}"""


def count_requests(page: Page) -> Counter[str]:
    """Count what the page asks from here on: by the last part of each path."""
    asked: Counter[str] = Counter()

    def hear(request: Request) -> None:
        if "/api/" in request.url:
            asked[request.url.partition("?")[0].rpartition("/")[2]] += 1

    page.on("request", hear)
    page.on("websocket", lambda _socket: asked.update(["socket"]))
    return asked


def live(page: Page) -> Bell:
    """See that the bell is live, and let it ask what it asks at its start."""
    bell = still_live(page)
    bell.settle()
    return bell


def still_live(page: Page) -> Bell:
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    bell.close()
    return bell


def test_a_function_that_is_set_again_costs_nothing(stack: Stack, admin: Admin, noise: Noise) -> None:
    (key,) = store(stack.database_url, user_id="again", since=recent())
    page = admin(f"?user=again&job={key}")
    expect(page.get_by_role("dialog").get_by_text("line 3 is bad").first).to_be_visible()
    page.keyboard.press("Escape")
    bell = live(page)
    asked = count_requests(page)
    page.evaluate(SET_AGAIN, bell.session()["token"])
    expect(rows(page)).to_have_count(1)
    assert {"negotiate", "socket", "options", "mine"}.isdisjoint(asked), asked
    assert noise.heard == []


def test_a_dashboard_that_is_moved_goes_on(stack: Stack, admin: Admin, noise: Noise) -> None:
    (key,) = store(stack.database_url, user_id="moved", since=recent())
    page = admin(f"?user=moved&job={key}")
    expect(page.get_by_role("dialog").get_by_text("line 3 is bad").first).to_be_visible()
    page.keyboard.press("Escape")
    live(page)  # what it asks at its start is not counted
    rows(page).first.locator("a").click()
    expect(page.get_by_role("dialog").get_by_text("line 3 is bad").first).to_be_visible()
    asked = count_requests(page)
    page.evaluate(MOVE)
    expect(page.get_by_role("dialog").get_by_text("line 3 is bad").first).to_be_visible()
    page.keyboard.press("Escape")
    still_live(page)
    expect(rows(page)).to_have_count(1)
    assert {"negotiate", "socket", "options", "mine"}.isdisjoint(asked), asked


def test_who_may_not_see_it_is_asked_once_and_sees_it_once_they_may(stack: Stack, admin: Admin, noise: Noise) -> None:
    noise.expect("status of 403")
    store(stack.database_url, user_id="rights", since=recent())
    page = admin("?user=rights")
    expect(rows(page)).to_have_count(1)
    token = live(page).session()["token"]
    with Person(stack.page_url, stack.invite) as guest:
        asked = count_requests(page)
        page.evaluate(SET_AGAIN, guest.token)
        expect(page.get_by_text("This page is for admins")).to_be_visible()
        expect(rows(page)).to_have_count(0)
        page.evaluate(SET_AGAIN, guest.token)
        live(page)
        assert (asked["options"], asked["negotiate"]) == (1, 1)
        page.evaluate(SET_AGAIN, token)
        expect(rows(page)).to_have_count(1)
        live(page)
        assert (asked["options"], asked["negotiate"]) == (2, 2)


class TestPeople:
    def test_who_is_no_admin_sees_nothing(self, stack: Stack, visitor: Visitor, noise: Noise) -> None:
        noise.expect("403")
        asked: list[str] = []
        page = visitor(stack.page_url)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(stack.guest_url.replace("#", "dashboard.html#"))
        expect(page.get_by_text("This page is for admins")).to_be_visible()
        assert [url for url in asked if "/api/admin/" in url] == [f"{stack.page_url}api/admin/options"]
        expect(page.get_by_role("table")).to_have_count(0)

    def test_a_stranger_is_told_how_to_get_in(self, stack: Stack, visitor: Visitor) -> None:
        page = visitor(f"{stack.page_url}dashboard.html")
        expect(page.get_by_text("You need an invite link")).to_be_visible()

    def test_a_viewer_gets_no_buttons_to_act(self, stack: Stack, visitor: Visitor) -> None:
        store(stack.database_url, user_id="viewed", since=recent())

        def as_viewer(route: Route) -> None:  # invite links make no viewers
            answer = route.fetch()
            route.fulfill(response=answer, json=answer.json() | {"canAct": False})

        page = visitor(stack.page_url)
        page.route("**/api/admin/options", as_viewer)
        page.goto(stack.admin_url.replace("#", "dashboard.html?user=viewed#"))
        expect(page.get_by_text("Read only")).to_be_visible()
        expect(rows(page)).to_have_count(1)
        expect(page.get_by_label("Select job ")).to_have_count(0)
        expect(page.get_by_role("button", name=re.compile("Retry|Cancel"))).to_have_count(0)
        page.get_by_role("button", name="Actions").click()
        expect(page.get_by_role("button", name="Download CSV")).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("Retry|Cancel"))).to_have_count(0)
