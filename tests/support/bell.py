"""The bell on a page, as a person finds it there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import JSHandle, Locator, Page, expect

from tests.support.waiting import wait_until

#: Where pictures of each state are left to be looked at.
PICTURES = Path(__file__).resolve().parents[2] / "test-results"
SECONDS = 1_000.0
#: Click what is there twice, at once: a slow machine would make two clicks of a double one.
DOUBLE_CLICK = """(button) => {
    const { x, y, width, height } = button.getBoundingClientRect();
    const root = button.getRootNode();  // the first click may remove the button
    const click = () => root.elementFromPoint(x + width / 2, y + height / 2)?.click();
    click();
    click();
}"""


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def wait_on(page: Page, condition: Callable[[], bool], what: str) -> None:
    """Wait while the page goes on: its events reach us only while something of it is waited for."""

    def after_a_moment() -> bool:
        page.wait_for_timeout(50)
        return condition()

    wait_until(after_a_moment, what)


class Bell:
    """The first bell of a page: its button, its panel, its rows."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.host = page.locator("job-bell").first
        self.button = page.get_by_role("button", name="Background jobs").first
        self.panel = page.get_by_role("dialog", name="Background jobs")
        self.heading = self.panel.get_by_role("heading", name="Background jobs")
        self.rows = self.host.locator("li.row")
        self.connection = self.host.locator(".connection")
        self.said = self.host.locator("[role=status]")
        self.toasts = self.host.locator(".toast")

    def open(self) -> Locator:
        """Open the panel and return its rows, newest first."""
        self.button.click()
        expect(self.panel).to_be_visible()
        return self.rows

    def close(self) -> None:
        self.page.keyboard.press("Escape")
        expect(self.panel).to_be_hidden()

    def row(self, text: str) -> Locator:
        return self.rows.filter(has_text=text)

    def text(self, group: str, name: str) -> str:
        """Return a text of the bell by its name, which a fork may change."""
        script = """async ([group, name]) => group === 'session'
            ? (await import('/js/sign-in/strings.js')).words[name]
            : (await import('/js/strings.js')).strings[group][name]"""
        text: str = self.page.evaluate(script, [group, name])
        return text

    def expect_live(self) -> None:
        """Wait until pushes arrive; the panel must be open."""
        expect(self.connection).to_have_text("Live")

    def expect_name(self, name: str) -> None:
        """Wait until the button is called so: the counts are part of its name."""
        expect(self.button).to_have_accessible_name(name)

    @property
    def user_id(self) -> str:
        """Who is signed in on this page."""
        user_id: str = self.session()["user"]["id"]
        return user_id

    def session(self) -> dict[str, Any]:
        """The session that the page keeps for this tab; waits until there is one."""
        expect(self.page.locator("#user")).not_to_be_empty()
        session: dict[str, Any] = self.page.evaluate("JSON.parse(sessionStorage.getItem('queued-jobs.session'))")
        return session

    def watch(self) -> None:
        """Have the page keep every state that its bell gets to know, for `watched`."""
        self.page.evaluate(
            """() => {
                globalThis.seen = [];
                const keep = (event) => seen.push(event.detail.job);
                document.querySelector('job-bell').addEventListener('job-updated', keep);
            }"""
        )

    def watched(self) -> list[dict[str, Any]]:
        states: list[dict[str, Any]] = self.page.evaluate("seen")
        return states

    def listen(self) -> JSHandle:
        """What a screen reader is told from here on, each text once: `json_value()` is the list."""
        return self.page.evaluate_handle(
            """() => {
                const said = [];
                const region = document.querySelector('job-bell').shadowRoot.querySelector('[role=status]');
                new MutationObserver(() => said.push(region.textContent)).observe(region, { childList: true });
                return said;
            }"""
        )

    def settle(self) -> None:
        """Wait until no read of the list is under way: one comes at once, and one more when pushes arrive."""
        self.page.evaluate("document.querySelector('job-bell').feed.sync()")

    def keep_messages(self) -> None:
        """Have messages about ended jobs stay, as in a hidden tab, however late this machine looks at them."""
        self.page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")

    def let_messages_go(self) -> None:
        """End `keep_messages`: each goes when it has been there for its time."""
        self.page.evaluate("delete document.hidden")

    def picture(self, name: str) -> None:
        picture(self.page, name)
