"""What a careful admin meets on a bad day: others act too, answers break off, rights and jobs go away."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import Noise
from tests.support.bell import DOUBLE_CLICK, Bell, wait_on
from tests.support.client import Person
from tests.support.dashboard import PARKED, SECONDS, address_of, recent, rows
from tests.support.stored_jobs import ERROR, store
from tests.support.waiting import wait_until
from tools.docs_and_samples.staged_jobs import Stage
from tools.local_stack.stack import Stack

Admin = Callable[..., Page]


def test_two_admins_retry_the_same_selection_once(stack: Stack, admin: Admin) -> None:
    store(stack.database_url, 3, user_id="both", request={"prefix": "nowhere/"}, since=recent() - timedelta(hours=1))
    pages = [admin("?user=both") for _ in range(2)]
    for page in pages:
        expect(rows(page)).to_have_count(3)
        page.get_by_label("Select all on this page").check()
        page.get_by_role("button", name="Retry 3", exact=True).click()
        expect(page.get_by_role("button", name="Retry 3 jobs")).to_be_visible()
    first, second = pages
    first.get_by_role("button", name="Retry 3 jobs").click()
    expect(first.get_by_text("3 jobs retried", exact=True)).to_be_visible()
    # they fail again at once, and could be retried again by now
    wait_until(lambda: runs_of(stack, "both") == [("failed", 1)] * 3, "each has run once more")
    second.get_by_role("button", name="Retry 3 jobs").click()
    expect(second.get_by_text("3 jobs skipped")).to_be_visible()
    expect(second.get_by_text("3: The job is now failed.")).to_be_visible()
    assert runs_of(stack, "both") == [("failed", 1)] * 3


def test_a_group_of_failures_leads_to_its_own_jobs(stack: Stack, admin: Admin) -> None:
    def fail(message: str, count: int, created: datetime) -> None:
        error = {**ERROR, "type": "GroupedError", "message": message}
        ended = datetime.now(UTC) - timedelta(minutes=5)
        store(stack.database_url, count, user_id="grouped", error=error, since=created, finished_at=ended)

    fail("row 17 of file 'a.csv' is bad (50%)", 3, recent() - timedelta(minutes=30))
    fail('cannot open "x"', 2, recent() - timedelta(minutes=30))
    fail("gave up after 3 days", 1, recent() - timedelta(days=3))  # created before the period, failed in it
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(ATTEMPTS)
    page = admin("?view=failures")
    for text, count in (("row <n> of file <text> is bad", 3), ("cannot open <text>", 2), ("gave up after <n>", 1)):
        page.locator("table.groups tr").filter(has_text=text).get_by_role("button", name="Show jobs").click()
        expect(rows(page)).to_have_count(count)
        page.go_back()


def test_who_is_no_admin_any_more_sees_nothing_more(stack: Stack, admin: Admin, noise: Noise) -> None:
    noise.expect("403")
    (key,) = store(stack.database_url, user_id="revoked", since=recent())
    page = admin(f"?user=revoked&job={key}")
    expect(page.get_by_role("dialog").get_by_text("line 3 is bad").first).to_be_visible()

    def refuse(route: Route) -> None:  # invite links cannot be taken back
        route.fulfill(status=403, content_type="application/problem+json", body=json.dumps({"detail": "No admin."}))

    page.route("**/api/admin/**", refuse)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as on coming back to the tab
    expect(page.get_by_text("This page is for admins")).to_be_visible()
    expect(rows(page)).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_count_comes_also_where_the_page_was_turned_meanwhile(stack: Stack, admin: Admin) -> None:
    store(stack.database_url, 60, user_id="counted", since=datetime.now(UTC) - timedelta(days=1))
    page = admin("?user=counted")
    expect(page.locator(".count")).to_have_text("60 jobs")
    held: list[Route] = []
    page.route("**/api/admin/jobs/count?*", lambda route: held.append(route))
    page.get_by_role("checkbox", name="Failed").check()
    wait_on(page, lambda: len(held) == 1, "the count is asked for")
    page.get_by_role("button", name="Older").click()
    expect(rows(page)).to_have_count(10)
    held[0].continue_()
    expect(page.locator(".count")).to_have_text("60 jobs")


def test_an_answer_that_is_late_says_nothing_about_who_comes_next(stack: Stack, admin: Admin, noise: Noise) -> None:
    noise.expect("403")
    page = admin()
    held: list[Route] = []
    page.route("**/api/admin/stats?*", lambda route: route.continue_() if held else held.append(route))
    page.evaluate(SEEN_AGAIN)
    wait_on(page, lambda: len(held) == 1, "the figures are asked for")
    with (
        Person(stack.page_url, stack.settings()["ADMIN_INVITE_SECRET"]) as other,
        page.expect_response("**/api/admin/options"),
    ):
        page.evaluate("(token) => { document.querySelector('job-dashboard').getToken = () => token; }", other.token)
    expect(page.locator("job-dashboard .cards")).to_be_visible()
    with page.expect_response(lambda answer: answer.status == 403):
        held[0].fulfill(status=403, json={})
    page.evaluate("new Promise((done) => setTimeout(done, 100))")  # the page has it by then
    expect(page.locator("job-dashboard .cards")).to_be_visible()


def test_an_api_that_was_away_is_back_by_itself(stack: Stack, admin: Admin, noise: Noise) -> None:
    noise.expect("ERR_|Failed to load")
    store(stack.database_url, 2, user_id="away", since=recent() - timedelta(hours=1))
    page = admin("?user=away")
    expect(rows(page)).to_have_count(2)
    notes = page.locator("job-dashboard .note:visible")
    stack.host.kill()
    rows(page).first.get_by_role("button", name="Retry").click()
    expect(notes.first).to_be_visible()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("Not up to date, last update")).to_be_visible()
    expect(rows(page)).to_have_count(2)
    stack.host.start()
    expect(notes).to_have_count(0)
    # the hub was never away: it is not a reason to wait a minute for the next read
    expect(page.locator("job-dashboard .connection")).to_have_text("Live")
    page.route("**/failures-view.js", lambda route: route.abort())
    page.get_by_role("link", name="Failures").click()
    expect(notes).to_have_count(1)
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("region", name="Failures, grouped")).to_be_visible()
    expect(notes).to_have_count(0)


def test_links_and_focus_follow_what_is_shown(stack: Stack, admin: Admin, noise: Noise) -> None:
    noise.expect("404")
    (key,) = store(stack.database_url, user_id="spaced ", status="cancelled", since=recent())
    page = admin(f"?user=spaced+&job={key}")
    dialog, link = page.get_by_role("dialog"), rows(page).locator("a")
    expect(dialog.locator(".job-status")).to_have_text("Cancelled")
    expect(rows(page)).to_have_count(1)
    page.keyboard.press("Escape")
    expect(link).to_be_focused()
    page.get_by_role("checkbox", name="Cancelled").check()
    expect(link).to_have_attribute("href", f"?job={key}&status=cancelled&user=spaced+")
    assert address_of(page) == "status=cancelled&user=spaced+"
    link.click()
    expect(dialog.locator(".job-status")).to_have_text("Cancelled")
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("delete from queued_jobs.job where id = %s", (key,))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(dialog.get_by_text("Job not found")).to_be_visible()
    expect(dialog.locator(".job-status")).to_be_empty()
    expect(rows(page)).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_focused()


def test_what_goes_away_does_not_take_the_focus_with_it(stack: Stack, admin: Admin, noise: Noise) -> None:
    noise.expect("503")
    store(stack.database_url, 51, user_id="goes", since=recent() - timedelta(hours=1), **PARKED)
    (last,) = store(stack.database_url, user_id="goes", status="cancelled", since=recent(), **PARKED)
    page = admin("?user=goes")
    heading, count = page.get_by_role("heading", name="Dashboard"), page.locator(".count")
    for button in ("Older", "Newest", "Older", "Newer"):
        page.get_by_role("button", name=button).press("Enter")
        expect(count).to_be_focused()
    page.get_by_role("checkbox", name="Cancelled").check()
    expect(rows(page)).to_have_count(1)
    rows(page).get_by_role("button", name=f"Retry job {last}").press("Enter")
    expect(rows(page)).to_have_count(0)
    expect(heading).to_be_focused()
    page.get_by_role("search").get_by_role("button", name="Clear filters").press("Enter")
    expect(heading).to_be_focused()
    page.route("**/api/admin/jobs?*", lambda route: route.fulfill(status=503, json={}))
    page.evaluate(SEEN_AGAIN)
    again = page.get_by_role("button", name="Try again")
    again.focus()
    page.unroute("**/api/admin/jobs?*")
    again.press("Enter")
    expect(again).to_have_count(0)
    expect(heading).to_be_focused()


def test_bell_and_dashboard_share_what_they_know_of_the_person(
    stack: Stack, stage: Stage, admin: Admin, noise: Noise
) -> None:
    noise.expect("401")
    page = admin()
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    stage.put(bell.user_id, "running")
    with page.expect_response("**/api/jobs/seen"):
        stage.put(bell.user_id, "failed")
    page.wait_for_timeout(1 * SECONDS)  # the dashboard is told within that time, and reads again
    expect(bell.said).to_have_text("Zip of reports failed")  # the dashboard, which came first, says nothing of it
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("/api/")[2].partition("?")[0]))
    page.evaluate(MOVED_TWICE)
    expect(page.locator("job-dashboard .cards")).to_be_visible()
    assert {"admin/options", "negotiate"}.isdisjoint(asked), "what is moved goes on"
    page.evaluate("Object.assign(board, { parent: board.parentNode }).remove(), (board.getToken = null)")
    bell.expect_name("Background jobs, 1 running")
    page.evaluate("board.parent.append(board), (board.getToken = document.querySelector('job-bell').getToken)")
    expect(page.locator("job-dashboard .count")).not_to_be_empty()
    page.evaluate(KEEP_EVENTS)
    page.route("**/api/**", lambda route: route.fulfill(status=401, json={}))
    page.evaluate(SEEN_AGAIN)
    expect(page.locator("job-dashboard .connection")).to_have_text("Sign in again")
    page.evaluate(COUNT_REQUESTS)
    page.evaluate(SEEN_AGAIN)
    page.evaluate("dispatchEvent(new Event('job-bell-auth'))")
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    page.evaluate("document.querySelector('job-bell').getToken = null")
    expect(page.get_by_text("Sign in to see the jobs")).to_be_visible()
    assert page.evaluate("sent") == 0, "a token that was refused is not sent again"
    assert sorted(page.evaluate("heard")) == ["job-bell-auth", "job-bell-auth", "job-dashboard-auth"], "once each"


def test_figures_stay_readable_from_right_to_left(stack: Stack, admin: Admin) -> None:
    store(stack.database_url, user_id="rtl", since=recent())
    page = admin("?user=rtl")
    page.evaluate("document.documentElement.dir = 'rtl'")
    assert page.locator("td.c-wait").inner_text() == "2 s"
    assert page.locator("td.c-wait").evaluate(LEFT_OF_UNIT)
    page.get_by_role("link", name="Statistics").click()
    label = page.locator("figure svg text").first
    expect(label).to_be_visible()
    assert label.evaluate("(text) => text.getBBox().x + text.getBBox().width <= 0"), "it lies on the bars"


def test_no_cell_of_a_csv_file_is_a_formula_in_any_spreadsheet(stack: Stack) -> None:
    for message in ("\n=1+1", "\uff1d1+1", "harmless = 1"):
        store(stack.database_url, user_id="formulas", error={**ERROR, "message": message}, since=recent())
    with Person(stack.page_url, stack.admin_url.partition("#invite=")[2]) as person:
        text = person.call("GET", "/api/admin/jobs.csv", params={"user": "formulas"}).text
    read = {row["error_message"] for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))}
    assert read == {"'\n=1+1", "'\uff1d1+1", "harmless = 1"}


def runs_of(stack: Stack, user_id: str) -> list[tuple[str, int]]:
    """Status of each job and how many attempts at it there were."""
    with psycopg.connect(stack.database_url) as connection:
        return connection.execute(RUNS, (user_id,)).fetchall()


RUNS = """
select status, (select count(*) from queued_jobs.attempt where job_id = job.id and ended_at is not null)
from queued_jobs.job where user_id = %s"""

ATTEMPTS = """
insert into queued_jobs.attempt
  (job_id, gen, attempt, lease_token, worker_id, due_at, started_at, ended_at, outcome, error)
select id, dispatch_gen - 1, attempt, gen_random_uuid(), 'w', available_at, started_at, finished_at, 'failed', error
from queued_jobs.job where user_id = 'grouped'"""

#: What a tab tells its page when one comes back to it.
SEEN_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"

MOVED_TWICE = """() => {
    globalThis.board = document.querySelector('job-dashboard');
    const place = board.parentNode;
    place.prepend(board);
    place.append(board);
}"""

COUNT_REQUESTS = """() => {
    globalThis.sent = 0;
    const send = fetch;
    globalThis.fetch = (...request) => (sent += 1) && send(...request);
}"""

#: The first of each does not get to the page, which would end the session.
KEEP_EVENTS = """() => {
    globalThis.heard = [];
    const keep = (event) => heard.push(event.type) <= 2 && event.stopImmediatePropagation();
    for (const name of ['job-bell-auth', 'job-dashboard-auth']) addEventListener(name, keep, true);
}"""

#: Whether the number of "2 s" is seen to the left of its unit.
LEFT_OF_UNIT = """(cell) => {
    const text = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT).nextNode();
    const at = (index) => {
        const range = document.createRange();
        range.setStart(text, index);
        range.setEnd(text, index + 1);
        return range.getBoundingClientRect().left;
    };
    return at(0) < at(text.data.length - 1);
}"""


def test_from_right_to_left(stack: Stack, admin: Admin) -> None:
    store(stack.database_url, user_id="\u0639\u0628\u062f", since=recent())
    page = admin("?user=\u0639\u0628\u062f")
    expect(rows(page)).to_have_count(1)
    page.evaluate("document.documentElement.dir = 'rtl'")
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        heading = page.get_by_role("heading", name="Dashboard").bounding_box()
        assert heading is not None
        assert heading["x"] + heading["width"] > width / 2


def test_a_job_is_started_from_the_form_of_its_request(admin: Admin, noise: Noise) -> None:
    noise.expect("status of 422")
    page = admin("?view=operations")
    form = page.get_by_role("region", name="Start a job")
    form.get_by_label("Kind").select_option("packer")
    form.get_by_label("Prefix").fill("../elsewhere/")
    start = form.get_by_role("button", name="Start")
    start.click()
    expect(form.locator(".note").last).to_contain_text("prefix")
    form.get_by_label("Prefix").fill("nowhere/form/")
    form.get_by_label("Name").fill("From the form")
    start.evaluate(DOUBLE_CLICK)
    form.get_by_role("link", name="Show job").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("NothingToZip").first).to_be_visible()
    expect(dialog).to_contain_text("nowhere/form/")
    expect(rows(admin("?text=nowhere/form/"))).to_have_count(1)
