"""Brings the dashboard into each of its states, for visual tests and screenshots.

The page must be signed in as an admin, with some sample jobs in the database (`tools.sample_jobs.generate_jobs`).
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urljoin

from playwright.sync_api import Page, expect


def show(page: Page, state: str) -> None:
    """Bring the page into one of `STATES` and wait until it is reached."""
    STATES[state](page)


def open_view(page: Page, query: str = "") -> None:
    """Open the dashboard at a URL, and keep the session of this tab."""
    page.goto(urljoin(page.url, f"/dashboard.html{query}"))
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def _list(page: Page) -> None:
    open_view(page)
    expect(page.locator("table.jobs tbody tr").first).to_be_visible()
    for counted in (".count", ".chip .number >> nth=-1"):  # they come after the list
        expect(page.locator(counted)).not_to_be_empty()


def _filtered(page: Page) -> None:
    open_view(page, "?status=failed&status=aborted&attemptsOver=2&status=unknown")
    expect(page.get_by_text("Ignored filters")).to_be_visible()
    expect(page.locator("table.jobs tbody tr").first).to_be_visible()


def _filters(page: Page) -> None:
    open_view(page, "?status=succeeded&kind=thumbnail")
    expect(page.locator("table.jobs tbody tr").first).to_be_visible()
    page.get_by_role("button", name="More filters").click()
    expect(page.get_by_label("Owner")).to_be_visible()


def _no_match(page: Page) -> None:
    open_view(page, "?user=none")
    expect(page.get_by_text("No job matches these filters")).to_be_visible()


def _selection(page: Page) -> None:
    _list(page)
    page.get_by_label("Select job ").nth(1).check()
    page.get_by_label("Select job ").nth(3).check()
    expect(page.get_by_text("2 selected")).to_be_visible()


def _job(page: Page) -> None:
    open_view(page, "?status=failed&attemptsOver=2")
    page.locator("table.jobs tbody a").first.click()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Attempts")).to_be_visible()


def _no_job(page: Page) -> None:
    open_view(page, "?job=01a20f71-90cb-7027-842a-5ce2fd999aaa")
    expect(page.get_by_role("dialog").get_by_text("Job not found")).to_be_visible()


def _bulk(page: Page) -> None:
    open_view(page, "?status=failed&error=FileNotFoundError")
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("button", name="Retry all that match").click()
    expect(page.get_by_text("will run again")).to_be_visible()


def _failures(page: Page) -> None:
    open_view(page, "?view=failures&window=7d")
    expect(page.locator("table.groups tbody tr").first).to_be_visible()


def _statistics(page: Page) -> None:
    open_view(page, "?view=statistics")
    expect(page.locator("figure svg")).to_have_count(3)


def _tables(page: Page) -> None:
    _statistics(page)
    for _ in range(3):
        page.get_by_role("button", name="Show as table").first.click()
    expect(page.locator("figure table")).to_have_count(3)


def _queues(page: Page) -> None:
    open_view(page, "?view=queues")
    expect(page.locator("table.queues tbody tr").first).to_be_visible()


def _operations(page: Page) -> None:
    open_view(page, "?view=operations")
    expect(page.get_by_role("table", name="Schedules").get_by_role("row")).not_to_have_count(0)


def _unreachable(page: Page) -> None:
    _list(page)
    page.route("**/api/admin/**", lambda route: route.abort())
    page.get_by_label("Period").select_option("7d")
    page.get_by_role("link", name="Failures").click()
    expect(page.get_by_text("Could not load").first).to_be_visible()
    expect(page.get_by_text("Not up to date")).to_be_visible()


STATES: dict[str, Callable[[Page], None]] = {
    "list": _list,
    "filtered": _filtered,
    "filters": _filters,
    "no-match": _no_match,
    "selection": _selection,
    "job": _job,
    "no-job": _no_job,
    "bulk": _bulk,
    "failures": _failures,
    "statistics": _statistics,
    "tables": _tables,
    "queues": _queues,
    "operations": _operations,
    "unreachable": _unreachable,
}
