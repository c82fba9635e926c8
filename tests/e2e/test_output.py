"""What jobs emit, in the bell and on the dashboard, whatever becomes of the pushes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Noise
from tests.support.axe import violations
from tests.support.bell import Bell, wait_on
from tests.support.dashboard import open_dashboard
from tests.support.hub import control
from tools.docs_and_samples.staged_jobs import Stage
from tools.local_stack.stack import Stack

Visitor = Callable[..., Page]

DROPPED = r"Connection disconnected|WebSocket closed|WebSocket connection to|Error from HTTP|Failed to (start|complete)"
TABS = 3
#: In pushes of ten. Ten times as many take longer than a test may: most of it is storing them one by one.
CHUNKS = 1_000
PUSH = 10
#: Keeps what a loop of the page brings.
FOLLOW = """async (id) => {
    globalThis.followed = [];
    const { openJobs } = await import('/js/feed/jobs.js');
    (async () => { for await (const { seq, text } of openJobs().stream(id)) followed.push([seq, text]); })();
}"""


@pytest.fixture(autouse=True)
def quiet_hub(stack: Stack) -> Iterator[None]:
    yield
    control(stack.hub, "reset")


def output_of(bell: Bell) -> Locator:
    return bell.host.get_by_role("log")


def unfold(bell: Bell) -> None:
    bell.rows.first.get_by_role("button", name="Output").click()


def test_three_tabs_end_with_the_same_text_after_faults_and_a_retry(
    stack: Stack, stage: Stage, visitor: Visitor, noise: Noise
) -> None:
    noise.expect(DROPPED)
    tabs = [Bell(visitor(stack.guest_url))]
    user_id = tabs[0].user_id
    for _ in range(TABS - 1):
        tabs.append(Bell(visitor(stack.guest_url.partition("#")[0], like=tabs[0].page)))
    key = stage.put(user_id, "running")
    stage.emit(key, "begins")
    for bell in tabs:
        bell.open()
        bell.expect_live()
        bell.page.evaluate(FOLLOW, str(key))
        unfold(bell)
    texts = ["begins"]
    faults = {10: "duplicate?count=9", 20: "reorder?count=5", 35: "drop", 55: "pause?count=9", 70: "drop"}
    for number in range(CHUNKS // PUSH):
        if number in faults:
            control(stack.hub, faults[number])
        if number == CHUNKS // PUSH // 2:
            stage.change(key, "retrying")
            stage.change(key, "running", attempt=2)
        texts += [f"line {number * PUSH + each}" for each in range(PUSH)]
        frame = stage.emit(key, *texts[-PUSH:])
        stage.send("chunks", frame if number % 17 else frame | {"chunks": []}, user_id)
        if number % 25 == 0:
            tabs[0].page.wait_for_timeout(50)
    control(stack.hub, "reset")
    stage.emit(key, "ends, and no push tells it")
    texts.append("ends, and no push tells it")
    for bell in tabs:
        expect(output_of(bell)).to_contain_text(texts[-2])
    stage.change(key, "succeeded")
    for bell in tabs:
        expect(output_of(bell)).to_contain_text(texts[-1])
        assert output_of(bell).locator(".line:not([hidden])").all_text_contents() == texts
        wait_on(bell.page, partial(has_followed, bell.page, len(texts)), "the loop has all of it")
        assert bell.page.evaluate("followed") == [[number + 1, text] for number, text in enumerate(texts)]


def has_followed(page: Page, count: int) -> bool:
    return len(page.evaluate("followed")) >= count


def test_a_closed_bell_reads_nothing_and_an_open_one_what_is_on_screen(bell: Bell, stage: Stage) -> None:
    reads: list[str] = []
    bell.page.on("request", lambda request: reads.append(request.url) if "/stream?" in request.url else None)
    bell.close()
    keys = [stage.put(bell.user_id, "running") for _ in range(30)]
    for key in keys:
        stage.emit(key, "hello")
    bell.page.wait_for_timeout(500)
    assert reads == []
    bell.open()
    expect(bell.rows.first.locator(".last-line")).to_have_text("hello")
    bell.page.wait_for_timeout(500)
    assert 0 < len({url.partition("/stream")[0] for url in reads}) < len(keys)
    bell.close()
    bell.page.wait_for_timeout(300)
    before = len(reads)
    for key in keys:
        stage.send("chunks", stage.emit(key, "more") | {"chunks": []}, bell.user_id)
    bell.page.wait_for_timeout(1_000)
    assert len(reads) == before


def test_the_view_shows_text_keeps_its_place_and_is_read_under_details(bell: Bell, stage: Stage) -> None:
    key = stage.put(bell.user_id, "running", progress=0.3)
    said = bell.listen()
    stage.send("chunks", stage.emit(key, *(f"line {number}" for number in range(50))), bell.user_id)
    expect(bell.rows.first.locator(".last-line")).to_have_text("line 49")
    bell.rows.first.get_by_role("button", name="Output Zip of reports").press("Enter")
    output = output_of(bell)
    expect(output).to_have_accessible_name("Output of Zip of reports")
    from_end = "(log) => log.scrollHeight - log.scrollTop - log.clientHeight"
    wait_on(bell.page, lambda: output.evaluate(from_end) < 8, "it is at its end")
    output.focus()
    bell.page.keyboard.press("Home")
    wait_on(bell.page, lambda: output.evaluate("(log) => log.scrollTop") == 0, "the reader has scrolled up")
    hostile = "<img src=x onerror=alert(1)> \u202egpj.exe"
    stage.send("chunks", stage.emit(key, hostile), bell.user_id)
    expect(bell.rows.first.locator(".last-line")).to_have_text("<img src=x onerror=alert(1)> [U+202E]gpj.exe")
    assert output.evaluate("(log) => log.scrollTop") == 0
    assert violations(bell.page) == []
    assert said.json_value() == []
    bell.page.keyboard.press("End")
    wait_on(bell.page, lambda: output.evaluate(from_end) < 8, "the reader is at the end again")
    stage.change(key, "succeeded")
    expect(bell.row("Succeeded")).to_have_count(1)
    wait_on(bell.page, lambda: output.evaluate(from_end) < 8, "it stays at its end among the finished jobs")
    bell.page.keyboard.press("Escape")
    bell.open()
    expect(output).to_have_count(0)
    bell.rows.first.get_by_role("button", name="Details").click()
    expect(output).to_contain_text("[U+202E]gpj.exe")
    assert output.locator("img").count() == 0


def test_without_live_updates_it_goes_on(stack: Stack, stage: Stage, bell: Bell, noise: Noise) -> None:
    noise.expect(DROPPED + "|ERR_|Failed to start")
    key = stage.put(bell.user_id, "running")
    stage.emit(key, "one")
    expect(bell.rows.first.locator(".last-line")).to_have_text("one")
    bell.page.route("**/negotiate?*", lambda route: route.abort())
    control(stack.hub, "drop")
    stage.emit(key, "two")
    expect(bell.rows.first.locator(".last-line")).to_have_text("two")
    bell.page.unroute_all()


def test_the_dashboard_follows_downloads_and_copies(
    stack: Stack, stage: Stage, visitor: Visitor, tmp_path: Path
) -> None:
    key = stage.put("ann", "running")
    stage.emit(key, "connected", "password=hunter2")
    stage.emit(key, "one ", topic="story")
    stage.emit(key, "word", topic="story")
    page = open_dashboard(stack, visitor, f"?job={key}", permissions=["clipboard-write", "clipboard-read"])
    dialog = page.get_by_role("dialog")
    output = dialog.get_by_role("log")
    expect(output).to_contain_text("connected")
    expect(output).not_to_contain_text("hunter2")
    stage.emit(key, "followed")
    expect(output).to_contain_text("followed")
    dialog.get_by_role("combobox", name="Topic").select_option("story")
    expect(output).not_to_contain_text("connected")
    expect(output).to_contain_text("one word")
    dialog.get_by_role("combobox", name="Topic").select_option("")
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download text").click()
    download.value.save_as(tmp_path / "log.txt")
    lines = (tmp_path / "log.txt").read_text().split("\n")
    assert (lines[0], lines[2:]) == ("connected", ["one word", "followed", ""])
    dialog.get_by_role("button", name="Copy: Output").click()
    copied: Any = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("connected\n")
    dialog.get_by_role("checkbox", name="Follow").uncheck()
    stage.emit(key, "not followed")
    page.wait_for_timeout(2_500)
    expect(output).not_to_contain_text("not followed")
    assert violations(page) == []
