"""The bell's looks: open to everybody in each state, at every width and zoom, in both directions, and quick."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from tests.e2e.conftest import Noise
from tests.support.axe import LOOKS, Looks, settle, violations
from tests.support.bell import Bell, wait_on
from tests.support.names import ambiguous, not_of_their_row
from tools.docs_and_samples.bell_states import NOISE, STATES, scroll_to, show
from tools.docs_and_samples.staged_jobs import Stage
from tools.local_stack.stack import Stack

Visitor = Callable[..., Page]

WIDTHS = (1280, 640, 320)
#: What a page may load before the bell is usable: with a slow line that is what takes the time.
MAX_BYTES = 150_000

#: Elements that stick out of the page or of the panel, and controls that a finger would miss.
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
IN_SIGHT = """(button) => {
    const [own, scroller] = [button, button.closest('.scroller')].map((element) => element.getBoundingClientRect());
    return own.bottom <= scroller.bottom;
}"""
#: What tells one state from another, counted.
SHOWN = """(bell) => ['.panel', '.row', '.toast', '.undo', '.note', '.more', 'details[open]', '.empty']
    .map((name) => [name, [...bell.shadowRoot.querySelectorAll(name)].filter((each) => each.checkVisibility()).length])
    .concat([bell.shadowRoot.querySelector('.connection').dataset.state])"""
SMALL = """(bell) => [...bell.shadowRoot.querySelectorAll('button, summary')]
    .filter((control) => control.checkVisibility())
    .map((control) => [control.className || control.textContent, control.getBoundingClientRect()])
    .filter(([name, { width, height }]) => Math.min(width, height) < (name === 'bell' ? 44 : 24))
    .map(([name, { width, height }]) => `${name}: ${width} x ${height}`)"""
CUT_OFF = """(bell) => [...bell.shadowRoot.querySelectorAll('.panel *, .toast *')]
    .filter((element) => element.checkVisibility() && element.namespaceURI.endsWith('xhtml'))
    .filter((element) => element.textContent.trim() && !element.closest('.sr-only'))
    .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0)
    .map((element) => element.className || element.localName)"""


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_open_to_everybody_and_nothing_is_cut_off(
    stack: Stack, stage: Stage, visitor: Visitor, noise: Noise, state: str
) -> None:
    noise.expect(NOISE)
    page = visitor(stack.guest_url)
    bell = Bell(page)
    show(page, state, stage, bell.user_id)
    looks = Looks(page)
    shown = bell.host.evaluate(SHOWN)
    found = ambiguous(page) + not_of_their_row(bell.host.locator("li.row, .toast"))
    for look, media in LOOKS.items():
        page.emulate_media(**media)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            settle(page)
            place = f"{look} at {width}"
            found += [f"{place}: {each}" for each in looks.violations()]
            found += [f"{place} is too wide"] * page.evaluate(TOO_WIDE)
            found += [f"{place}: {each} is too small" for each in bell.host.evaluate(SMALL)]
            found += [f"{place}: {each} is cut off" for each in bell.host.evaluate(CUT_OFF)]
            assert bell.host.evaluate(SHOWN) == shown, f"{place} it is in another state"
    assert not found, "\n".join(found)


def test_the_page_itself_is_open_to_everybody(stack: Stack, visitor: Visitor) -> None:
    stranger = visitor(stack.page_url)
    expect(stranger.get_by_text("You need an invite link")).to_be_visible()
    assert violations(stranger) == []
    page = visitor(stack.guest_url)
    page.locator("input[type=file]").set_input_files(
        FilePayload(name="a.csv", mimeType="text/csv", buffer=b"a,b\n1,2\n")
    )
    expect(page.get_by_role("button", name="Import 1 CSV file")).to_be_visible()
    assert violations(page) == []


def test_the_panel_is_as_wide_as_a_narrow_window(stack: Stack, stage: Stage, visitor: Visitor) -> None:
    page = visitor(stack.guest_url)
    bell = Bell(page)
    show(page, "every-status", stage, bell.user_id)
    page.set_viewport_size({"width": 320, "height": 640})

    def place() -> tuple[float, float] | None:
        box = bell.panel.bounding_box()
        return None if box is None else (box["x"], box["width"])

    wait_on(page, lambda: place() == (8, 304), "the panel has followed the window")
    page.set_viewport_size({"width": 1280, "height": 800})
    for button in bell.panel.get_by_role("button").all():
        scroll_to(button)


def test_who_scrolls_to_the_end_of_a_long_list_stays_there(stack: Stack, stage: Stage, visitor: Visitor) -> None:
    """Rows that come into sight are about as tall as was expected, so that they do not push the button away."""
    bell = Bell(visitor(stack.guest_url))
    stage.put_many(bell.user_id, 60, "succeeded")
    bell.page.reload()
    bell.open()
    expect(bell.rows).to_have_count(50)
    more = bell.panel.get_by_role("button", name="Show more")
    more.scroll_into_view_if_needed()
    bell.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert more.evaluate(IN_SIGHT)


def test_messages_leave_the_bell_free_in_a_small_window(stack: Stack, stage: Stage, visitor: Visitor) -> None:
    page = visitor(stack.guest_url)
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    bell.close()
    bell.keep_messages()
    page.set_viewport_size({"width": 320, "height": 256})  # 1280 x 1024 at 400 %
    for number in range(3):
        key = stage.put(bell.user_id, "running", request={"prefix": "", "name": f"{number} {'long-name_' * 7}"})
        page.evaluate("(job) => document.querySelector('job-bell').track(job)", stage.view(key))
        stage.change(key, "failed")
    bell.expect_name("Background jobs, 3 new")
    expect(bell.toasts.last).to_contain_text("Zip of 2")
    button = bell.button.bounding_box()
    assert button is not None
    for toast in bell.toasts.all():
        box = toast.bounding_box()
        assert box is not None
        assert box["y"] > button["y"] + button["height"]
    bell.picture("toasts-small")


def test_from_right_to_left_with_names_that_turn_the_text(stack: Stack, stage: Stage, visitor: Visitor) -> None:
    page = visitor(stack.guest_url)
    bell = Bell(page)
    page.evaluate("document.documentElement.dir = 'rtl'")
    bell.open()
    bell.expect_live()
    key = stage.put(bell.user_id, "running", progress=0.4)
    stage.push(stage.view(key) | {"version": 2, "label": "Zip of evil\u202egpj.exe"}, bell.user_id)
    arabic = "\u062a\u0642\u0631\u064a\u0631 \u0627\u0644\u0634\u0647\u0631"
    stage.put(bell.user_id, "succeeded", request={"prefix": "", "name": arabic})
    expect(bell.row(arabic)).to_be_visible()
    expect(bell.row("evil[U+202E]gpj.exe").locator("bdi").first).to_have_text("Zip of evil[U+202E]gpj.exe")
    expect(bell.row("evil")).to_contain_text("40%")
    for label in (bell.row(arabic), bell.row("evil")):
        icon, title = label.locator(".status-icon").bounding_box(), label.locator(".title").bounding_box()
        assert icon is not None
        assert title is not None
        assert icon["x"] > title["x"], "mirrored: the icon stands right of the words"
    panel, button = bell.panel.bounding_box(), bell.button.bounding_box()
    assert panel is not None
    assert button is not None
    assert abs(panel["x"] - button["x"]) < 10
    assert not page.evaluate(TOO_WIDE)
    assert violations(page) == []
    bell.picture("rtl")


def test_with_reduced_motion_nothing_moves(stack: Stack, stage: Stage, visitor: Visitor) -> None:
    page = visitor(stack.guest_url, reduced_motion="reduce")
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    stage.put(bell.user_id, "running", progress=None)
    expect(bell.rows).to_contain_text("Running")
    moving = "(bell) => bell.shadowRoot.getAnimations().length"
    assert bell.host.evaluate(moving) == 0
    bar = bell.rows.locator(".bar")
    assert bar.evaluate("(bar) => bar.firstElementChild.offsetWidth === bar.clientWidth"), "the whole bar is filled"
    page.emulate_media(reduced_motion="no-preference")
    wait_on(page, lambda: bell.host.evaluate(moving) > 0, "this test sees what moves")


def test_on_a_slow_line_it_is_usable_soon_and_does_nothing_twice(stack: Stack, stage: Stage, visitor: Visitor) -> None:
    page = visitor("about:blank")
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    page.goto(stack.guest_url, wait_until="commit")
    bell = Bell(page)
    bell.button.click()
    expect(bell.panel).to_contain_text(re.compile("Loading your jobs|No jobs"))
    loaded = page.evaluate(LOADED)
    sys.stdout.write(f"the bell is usable after {loaded:,} bytes\n")
    assert 10_000 < loaded < MAX_BYTES
    expect(bell.panel).to_contain_text("No jobs")
    before = bell.panel.bounding_box()
    stage.put(bell.user_id, "failed")
    expect(bell.rows).to_have_count(1)
    after = bell.panel.bounding_box()
    assert before is not None
    assert after is not None
    assert (before["x"], before["y"], before["width"]) == (after["x"], after["y"], after["width"])
    held: list[Route] = []  # until the second click is over, however long it takes
    page.route("**/retry", lambda route: held.append(route))
    retry = bell.rows.get_by_role("button", name="Retry")
    busy = retry.evaluate_handle(
        """(button) => {
            const told = [];
            const look = () => told.push(button.getAttribute('aria-busy'));
            new MutationObserver(look).observe(button, { attributeFilter: ['aria-busy'] });
            return told;
        }"""
    )
    retry.dblclick()
    wait_on(page, lambda: bool(held), "it is asked for")
    held[0].continue_()
    expect(bell.rows).to_contain_text("NothingToZip")  # it has run again
    assert busy.json_value()[:1] == ["true"]
    assert [route.request.method for route in held] == ["POST"]


#: All that came over the line so far, headers included.
LOADED = """() => ['navigation', 'resource'].flatMap((type) => performance.getEntriesByType(type))
    .reduce((sum, entry) => sum + entry.transferSize, 0)"""


def test_500_jobs_open_as_easily_as_50(stack: Stack, stage: Stage, visitor: Visitor) -> None:
    """All of them have been shown, page by page, before the panel is opened once more.

    What is measured is the processor's time in the page, not how long a busy machine takes for it.
    """
    bell = Bell(visitor(stack.guest_url))
    stage.put_many(bell.user_id, 500, "succeeded")
    bell.page.reload()
    bell.expect_name("Background jobs, 500 new")
    click = """() => new Promise((done) => {
        document.querySelector('job-bell').shadowRoot.querySelector('.bell').click();
        requestAnimationFrame(() => setTimeout(done));
    })"""
    devtools = bell.page.context.new_cdp_session(bell.page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def computed() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    def opening() -> float:
        before = computed()
        bell.page.evaluate(click)
        return computed() - before

    first = opening()
    expect(bell.rows).to_have_count(50)
    more = bell.panel.get_by_role("button", name="Show more")
    for page in range(2, 11):
        more.click()
        expect(bell.rows).to_have_count(page * 50)
    bell.close()
    again = opening()
    expect(bell.rows).to_have_count(500)
    sys.stdout.write(f"opening the panel takes {first * 1e3:.0f} ms with 50 rows, {again * 1e3:.0f} ms with 500\n")
    assert again < 5 * first


def test_every_status_has_a_word_and_an_icon_besides_its_colour(stack: Stack, stage: Stage, visitor: Visitor) -> None:
    page = visitor(stack.guest_url, forced_colors="active")
    bell = Bell(page)
    show(page, "every-status", stage, bell.user_id)
    words = set(bell.rows.locator(".status").all_inner_texts())
    assert words == {"Pending", "Running", "Retrying", "Succeeded", "Failed", "Cancelled", "Aborted"}
    assert bell.rows.locator(".status-icon svg").count() == bell.rows.count()
