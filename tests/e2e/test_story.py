"""From a click to the bell to the download, in a real browser."""

from __future__ import annotations

import itertools
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import Noise
from tests.support.bell import picture, wait_on
from tests.support.held_jobs import let_go, no_attempt_starts
from tools.local_stack.stack import Stack

Visitor = Callable[..., Page]

#: Places where the job waits until the file is deleted: with half of its work done, and with most of it.
HALF, MOST = "24.hold", "44.hold"


@pytest.fixture(scope="module")
def fifty_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    for number in range(50):
        (folder / f"file-{number:02}.bin").write_bytes(random.Random(number).randbytes(1_000_000))
    return sorted(folder.iterdir())


def bell(page: Page) -> Locator:
    return page.get_by_role("button", name="Background jobs")


def open_bell(page: Page) -> Locator:
    """Open the panel and return its rows, newest first."""
    bell(page).click()
    return page.locator("job-bell li.row")


def choose(stack: Stack, page: Page, files: list[Path], *holds: str) -> None:
    places = [files[0].with_name(f"file-{hold}") for hold in holds]
    for place in places:
        place.write_bytes(b".")
    with no_attempt_starts(stack):
        page.locator("input[type=file]").set_input_files([*files, *places])
        page.get_by_role("button", name="Zip ").click()
        expect(page.get_by_text("Your job has started")).to_be_visible()


def watch(page: Page) -> None:
    """Have the page keep every state that its bell gets to know."""
    page.evaluate(
        """() => {
            globalThis.seen = [];
            document.querySelector('job-bell').addEventListener('job-updated', (event) => seen.push(event.detail.job));
        }"""
    )


def watched(page: Page) -> list[dict[str, Any]]:
    states: list[dict[str, Any]] = page.evaluate("seen")
    return states


@contextmanager
def standing_still(stack: Stack, page: Page, hold: str, share: float) -> Iterator[None]:
    """The job has done this share of its work, and stays there: it still runs, however fast this machine is."""
    try:
        wait_on(page, lambda: any((state["progress"] or 0) >= share for state in watched(page)), f"{share} is done")
        yield
    finally:
        let_go(stack, hold)


def test_fifty_files_from_the_click_to_the_download(
    stack: Stack, visitor: Visitor, fifty_files: list[Path], tmp_path: Path
) -> None:
    page = visitor(stack.guest_url)
    expect(page).to_have_url(stack.page_url)  # the invite is taken out of the address
    picture(page, "start")
    watch(page)
    rows = open_bell(page)
    expect(page.get_by_text("No jobs")).to_be_visible()
    picture(page, "empty")
    page.keyboard.press("Escape")
    choose(stack, page, fifty_files, HALF, MOST)
    expect(page.get_by_role("button", name="Choose files")).to_be_focused()  # the one that was pressed is gone
    with standing_still(stack, page, HALF, 0.49):
        expect(bell(page)).to_have_accessible_name("Background jobs, 1 running")
        bell(page).click()
        row = rows.first
        expect(row).to_contain_text("Running")
        bar = row.get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[1-9]\d?$"))
        picture(page, "running")
    with standing_still(stack, page, MOST, 0.89):
        expect(bar).to_have_attribute("aria-valuenow", "90")
    expect(row).to_contain_text("Succeeded")
    expect(row).to_contain_text("50 files")
    picture(page, "succeeded")
    states = watched(page)
    assert list(dict.fromkeys(state["status"] for state in states)) == ["pending", "running", "succeeded"]
    progress = [state["progress"] or 0 for state in states if state["status"] == "running"]
    assert progress == sorted(progress)
    assert len(set(progress)) >= 3, "it rises while one watches"
    assert [state["version"] for state in states] == sorted({state["version"] for state in states})
    with page.expect_download() as download:
        row.get_by_role("button", name="Download zip").click()
    download.value.save_as(tmp_path / "files.zip")
    with zipfile.ZipFile(tmp_path / "files.zip") as zip_file:
        assert zip_file.testzip() is None
        content = {name: zip_file.read(name) for name in zip_file.namelist()}
    assert content == {path.name: path.read_bytes() for path in fifty_files}
    row.get_by_role("button", name="Clear").click()
    expect(rows).to_have_count(0)
    page.reload()
    open_bell(page)
    expect(page.get_by_text("No jobs")).to_be_visible()


def test_sample_files_and_two_tabs_of_one_person(stack: Stack, visitor: Visitor) -> None:
    first = visitor(stack.guest_url)
    first.get_by_role("button", name="Use sample files").click()
    first.get_by_role("button", name="Zip ").click()
    expect(bell(first)).to_have_accessible_name("Background jobs, 1 new")
    second = visitor(stack.page_url, like=first)
    expect(bell(second)).to_have_accessible_name("Background jobs, 1 new")
    rows = open_bell(second)
    expect(rows).to_have_count(1)
    expect(bell(first)).to_have_accessible_name("Background jobs")  # seen there is seen here
    rows.first.get_by_role("button", name="Clear").click()
    rows_of_first = open_bell(first)
    expect(rows_of_first).to_have_count(0)


def test_a_stranger_is_told_how_to_get_in(stack: Stack, visitor: Visitor) -> None:
    page = visitor(stack.page_url)
    expect(page.get_by_text("You need an invite link")).to_be_visible()
    picture(page, "stranger")


def test_a_wrong_invite_is_told(stack: Stack, visitor: Visitor, noise: Noise) -> None:
    noise.expect(r"401 \(Unauthorized\)")
    page = visitor(f"{stack.page_url}#invite=wrong")
    expect(page.get_by_text("This invite link does not work")).to_be_visible()
    assert "wrong" not in page.url


def test_a_page_that_is_reloaded_while_it_signs_in_still_has_its_invite(stack: Stack, visitor: Visitor) -> None:
    page = visitor("about:blank")
    held: list[Route] = []
    page.route("**/api/session", lambda route: route.continue_() if held else held.append(route))
    page.goto(stack.guest_url)
    wait_on(page, lambda: len(held) == 1, "the invite is on its way")
    assert "invite" not in page.url
    page.reload()
    expect(page.get_by_role("button", name="Use sample files")).to_be_visible()
    kept = page.evaluate("JSON.stringify({ ...sessionStorage })")
    assert stack.invite not in kept


def test_the_hub_goes_away_in_mid_job(stack: Stack, visitor: Visitor, noise: Noise, fifty_files: list[Path]) -> None:
    noise.expect(r"ERR_CONNECTION_REFUSED|WebSocket|Connection disconnected|Failed to (start|complete)|Error from HTTP")
    page = visitor(stack.guest_url)
    watch(page)
    choose(stack, page, fifty_files, HALF)
    with standing_still(stack, page, HALF, 0.49):
        rows = open_bell(page)
        expect(rows.first).to_contain_text("Running")
        stack.hub.kill()
        expect(page.get_by_text("Reconnecting")).to_be_visible()
        picture(page, "reconnecting")
    expect(rows.first).to_contain_text("Succeeded")
    stack.hub.start()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    assert rows.count() == 1


def test_the_host_is_killed_in_mid_job(stack: Stack, visitor: Visitor, noise: Noise, fifty_files: list[Path]) -> None:
    noise.expect(r"ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|Failed to|Error from HTTP")
    page = visitor(stack.guest_url)
    watch(page)
    choose(stack, page, fifty_files, HALF)
    with standing_still(stack, page, HALF, 0.49):
        rows = open_bell(page)
        expect(rows.first).to_contain_text("Running")
        stack.host.kill()
    with psycopg.connect(stack.settings()["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("update queued_jobs.job set lease_until = lease_until - interval '1 hour'")
    stack.host.start()
    expect(rows.first).to_contain_text("Succeeded")
    statuses = [status for status, _ in itertools.groupby(state["status"] for state in watched(page))]
    assert statuses == ["pending", "running", "retrying", "running", "succeeded"]
