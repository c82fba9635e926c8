"""Brings the bell into each of its states, for visual tests and screenshots.

The page must be signed in as a user without jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tools.docs_and_samples.staged_jobs import ZIP_RESULT, Stage

_PATIENCE = 180_000.0
#: More attempts than are needed to lay out a page of rows, one screen at a time.
_MAX_SCROLLS = 20
_LONG = "quarterly-report-of-all-regions_" * 3
_CSV_RESULT = {
    "container": "results",
    "blob": "nowhere/1.jsonl",
    "files": 2,
    "columns": ["order", "date", "region", "quantity"],
    "rows": 18_204,
    "imported": 18_201,
    "rejected": 3,
    "rejectedLines": [
        {"file": "orders-2026-09.csv", "line": 1_204, "reason": "The number of fields is 3 instead of 4."},
        {"file": "orders-2026-09.csv", "line": 9_310, "reason": "It is not UTF-8."},
        {"file": "orders-2026-10.csv", "line": 77, "reason": "The number of fields is 5 instead of 4."},
    ],
}


def show(page: Page, state: str, stage: Stage, user_id: str) -> None:
    """Bring the page into one of `STATES` and wait until it is reached."""
    STATES[state](page, stage, user_id)
    expect(page.locator("job-bell .bell")).to_be_visible()


def scroll_to(target: Locator) -> None:
    """Scroll until the target is in sight and stays there.

    Rows are laid out when they come into sight. One that turns out taller than expected pushes away what follows it.
    """
    for _ in range(_MAX_SCROLLS):
        target.scroll_into_view_if_needed()
        before = target.bounding_box()
        target.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if target.bounding_box() == before:
            break
    expect(target).to_be_in_viewport()


def put_everything(stage: Stage, user_id: str) -> None:
    """Jobs in every status, oldest first, with results of both kinds."""
    now = datetime.now(UTC)

    def put(status: str, name: str, **columns: Any) -> None:
        stage.put(user_id, status, **{"request": {"prefix": "", "name": name}, "user_name": "Ada Lovelace", **columns})

    put("aborted", "tax archive", started_at=now - timedelta(hours=3), finished_at=now - timedelta(hours=2))
    put("cancelled", "old drafts", started_at=now - timedelta(minutes=64), finished_at=now - timedelta(minutes=63))
    put("succeeded", "scans", result=None, expired_at=now, started_at=now - timedelta(days=9), finished_at=now)
    put("failed", "invoices", started_at=now - timedelta(minutes=31), finished_at=now - timedelta(minutes=30))
    imported = {"kind": "importer", "result": _CSV_RESULT, "request": {"prefix": f"{'0' * 32}/", "name": "orders"}}
    put(
        "succeeded",
        "orders",
        started_at=now - timedelta(seconds=184),
        finished_at=now - timedelta(minutes=3),
        **imported,
    )
    result = ZIP_RESULT | {
        "skippedCount": 1,
        "skipped": [{"name": "made.zip", "reason": "It is a zip that was created by this app."}],
    }
    put("succeeded", "holiday photos", result=result, started_at=now - timedelta(seconds=95), finished_at=now)
    put("retrying", "meter readings", attempt=2)
    put("running", "site backup", progress=None, started_at=now - timedelta(seconds=4))
    put("running", "reports", progress=0.62, progress_message="31 of 50 files", started_at=now - timedelta(seconds=48))
    put("pending", "drawings")


def _live(page: Page) -> None:
    page.get_by_role("button", name="Background jobs").click()
    expect(page.locator("job-bell .connection")).to_have_text("Live", timeout=_PATIENCE)


def _closed(page: Page, stage: Stage, user_id: str) -> None:
    put_everything(stage, user_id)
    expect(page.get_by_role("button", name="Background jobs, 4 running, 6 new")).to_be_visible(timeout=_PATIENCE)


def _empty(page: Page, stage: Stage, user_id: str) -> None:
    _live(page)
    expect(page.get_by_text("No jobs")).to_be_visible()


def _every_status(page: Page, stage: Stage, user_id: str) -> None:
    _closed(page, stage, user_id)
    _live(page)
    expect(page.locator("job-bell li.row")).to_have_count(10)


def _ended(page: Page, stage: Stage, user_id: str) -> None:
    """The lower half of the list, with the views of each kind of ended job."""
    _every_status(page, stage, user_id)
    scroll_to(page.get_by_text("result expired"))
    scroll_to(page.get_by_text("Zip of tax archive"))


def _paged(page: Page, stage: Stage, user_id: str) -> None:
    for number in range(60):
        stage.put(user_id, "succeeded", request={"prefix": "", "name": f"report {number + 1}"})
    page.reload()
    _live(page)
    expect(page.locator("job-bell li.row")).to_have_count(50, timeout=_PATIENCE)
    scroll_to(page.get_by_role("button", name="Show more"))


def _not_done(page: Page, stage: Stage, user_id: str) -> None:
    """Errors of the API are shown next to the action."""
    _every_status(page, stage, user_id)
    page.route("**/api/jobs/**", lambda route: route.abort())
    for name in ("Retry", "Download", "Cancel", "Clear finished"):
        page.get_by_role("button", name=name).first.click()
    expect(page.locator("job-bell .note:visible")).to_have_count(4, timeout=_PATIENCE)
    expect(page.locator("job-bell .connection")).to_have_attribute("data-state", "stale", timeout=_PATIENCE)


def _details(page: Page, stage: Stage, user_id: str) -> None:
    """An error, rejected lines and skipped files, all expanded."""
    lines = [f'File "etl/load.py", line {number}, in step_{number}' for number in range(30)]
    message = "\n".join(["Server error '503 Service Unavailable' for url 'https://files.example/part-7'", *lines])
    put_everything(stage, user_id)
    stage.put(user_id, "failed", error={"type": "HTTPStatusError", "message": message})
    _live(page)
    expect(page.locator("job-bell li.row")).to_have_count(11)
    for button in page.get_by_role("button", name="Details ").all():
        button.click()
    for word in ("lines were rejected", "file was skipped"):
        page.get_by_text(word).first.click()
    scroll_to(page.get_by_role("region", name="Details").first)


def _long_texts(page: Page, stage: Stage, user_id: str) -> None:
    request = {"prefix": "", "name": _LONG[:80]}
    stage.put(user_id, "failed", request=request, error={"type": _LONG, "message": _LONG * 5})
    stage.put(user_id, "running", request=request, progress=0.5, progress_message=_LONG)
    _live(page)
    expect(page.locator("job-bell li.row")).to_have_count(2)


def _toasts(page: Page, stage: Stage, user_id: str) -> None:
    _live(page)
    page.keyboard.press("Escape")
    # messages stay as long as their tab is hidden
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    for status, name in (("failed", "invoices"), ("succeeded", "reports")):
        key = stage.put(user_id, "running", request={"prefix": "", "name": name})
        page.evaluate("(job) => document.querySelector('job-bell').track(job)", stage.view(key))
        stage.change(key, status)
    expect(page.locator("job-bell .toast")).to_have_count(2, timeout=_PATIENCE)


def _undo(page: Page, stage: Stage, user_id: str) -> None:
    _every_status(page, stage, user_id)
    page.get_by_role("button", name="Clear finished").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Undo")).to_be_focused(timeout=_PATIENCE)  # so it stays


def _live_updates_off(page: Page, stage: Stage, user_id: str) -> None:
    put_everything(stage, user_id)
    page.route("**/negotiate*", lambda route: route.abort())
    page.reload()
    page.get_by_role("button", name="Background jobs").click()
    expect(page.locator("job-bell .connection")).to_contain_text("Live updates off", timeout=_PATIENCE)
    expect(page.locator("job-bell li.row")).to_have_count(10, timeout=_PATIENCE)


def _sign_in_again(page: Page, stage: Stage, user_id: str) -> None:
    _every_status(page, stage, user_id)
    page.evaluate("document.querySelector('job-bell').getToken = async () => 'ended'")
    expect(page.locator("job-bell .connection")).to_have_text("Sign in again", timeout=_PATIENCE)


STATES: dict[str, Callable[[Page, Stage, str], None]] = {
    "closed": _closed,
    "empty": _empty,
    "every-status": _every_status,
    "ended": _ended,
    "paged": _paged,
    "not-done": _not_done,
    "details": _details,
    "long-texts": _long_texts,
    "toasts": _toasts,
    "undo": _undo,
    "live-updates-off": _live_updates_off,
    "sign-in-again": _sign_in_again,
}
#: Expected messages in the browser's console in these states.
NOISE = r"ERR_FAILED|status of 401|Failed to (start|complete)|Error from HTTP"
