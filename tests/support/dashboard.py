"""What tests of the dashboard do with its page, and what they read from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from playwright.sync_api import Locator, Page, Route, expect

from tools.local_stack.stack import Stack

SECONDS = 1_000.0
#: Nobody takes jobs from this queue: they stay as an action leaves them.
PARKED: dict[str, Any] = {"kind": "parked", "queue": "parked"}


def open_dashboard(stack: Stack, visitor: Callable[..., Page], query: str = "", **options: Any) -> Page:
    page = visitor(stack.admin_url.replace("#", f"dashboard.html{query}#"), **options)
    expect(page.locator("job-dashboard").get_by_role("navigation", name="Views")).to_be_visible()
    return page


def rows(page: Page) -> Locator:
    return page.locator("table.jobs tbody tr")


def address_of(page: Page) -> str:
    return page.url.partition("?")[2]


def for_all(page: Page, action: str) -> None:
    """Choose from the menu of what concerns all jobs that match."""
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("button", name=action).click()


def recent() -> datetime:
    """Long enough ago for a job to have ended by now."""
    return datetime.now(UTC) - timedelta(minutes=1)


def without_storage(route: Route) -> None:
    """Answer as the API does whose storage is unavailable."""
    answer = route.fetch()
    queues = [queue | {"messages": None, "poison": None} for queue in answer.json()["queues"]]
    route.fulfill(response=answer, json={"queues": queues})


def hrefs(page: Page) -> list[str]:
    """The ids of the jobs that are shown, in their order."""
    links = [link.get_attribute("href") or "" for link in rows(page).locator("a").all()]
    return [re.findall("job=([^&]+)", link)[0] for link in links]


def owner_of(stack: Stack, key: str) -> str:
    with psycopg.connect(stack.database_url) as connection:
        found = connection.execute("select user_id from queued_jobs.job where id = %s", (key,)).fetchone()
    assert found is not None
    return str(found[0])
